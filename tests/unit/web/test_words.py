"""The dashboard has words for everything that the API may say, and asks for every field that its form names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dkronpy import web
from dkronpy.api.explain import Verdict
from dkronpy.model.execution import Reason, State, Trigger
from dkronpy.model.executors import EXECUTORS
from dkronpy.model.job import CatchupPolicy, Concurrency, RetryTarget
from dkronpy.model.spec import JobSpec

STATIC = Path(web.__file__).with_name("static")


def keys(file: str, name: str) -> set[str]:
    """The keys of an object that is written out in a module: its words at the first depth of braces."""
    text = (STATIC / file).read_text()
    begin = re.search(rf"\bconst {name} = \{{", text)
    assert begin is not None, f"{file} has no {name}"
    depth, outer = 1, ""
    for character in text[begin.end() :]:
        depth += (character == "{") - (character == "}")
        if depth == 0:
            break
        outer += character if depth == 1 else ""
    return set(re.findall(r"(\w+):", re.sub(r"'[^']*'", "", outer)))


@pytest.mark.parametrize(
    ("file", "name", "values"),
    [
        ("parts/state.js", "STATES", set(State)),
        ("parts/state.js", "REASONS", set(Reason)),
        ("parts/state.js", "TRIGGERS", set(Trigger)),
        ("views/job-explain.js", "TONES", set(Verdict)),
        ("views/job-summary.js", "OVERLAPS", set(Concurrency)),
    ],
)
def test_every_value_has_a_word(file: str, name: str, values: set[str]) -> None:
    assert keys(file, name) >= {str(value) for value in values}


def test_choices_of_the_form_are_those_of_the_model() -> None:
    text = (STATIC / "views/editor/fields.js").read_text()
    choices = {
        found[1]: set(re.findall(r"(\w+): '", found[2]))
        for found in re.finditer(r"path: '([\w.]+)'[^{}]*choices: \{([^}]*)\}", text)
    }
    assert choices == {
        "executor": set(EXECUTORS),
        "concurrency": {str(value) for value in Concurrency},
        "retry.on": {str(value) for value in RetryTarget},
        "catchup.policy": {str(value) for value in CatchupPolicy},
    }


def test_fields_of_the_form_are_those_of_jobs() -> None:
    text = (STATIC / "views/editor/fields.js").read_text()
    paths = {path.split(".")[0] for path in re.findall(r"path: '([\w.]+)'", text)}
    assert paths <= set(JobSpec.model_fields)


def test_modules_are_small_and_licences_are_there() -> None:
    for file in STATIC.rglob("*"):
        if file.suffix in (".js", ".css") and "vendor" not in file.parts:
            lines = file.read_text().splitlines()
            assert len(lines) <= 400, file
            assert lines[0].startswith(("//", "/*")), f"{file} does not say what it is"
    for name in ("preact", "signals", "htm", "uplot"):
        assert "copyright" in (STATIC / "vendor" / f"{name}.LICENSE").read_text().lower()
