"""What trigger files may say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.dsari.trigger_file import parse
from dkronpy.model.duration import SECOND
from dkronpy.model.fields import SpecError
from dkronpy.model.trigger_spec import TriggerSpec, to_trigger

WRITTEN = 1_795_000_000 * SECOND
"""2026-11-18T11:06:40Z"""


def read(content: Any, suffix: str = ".json", *, timezone: str = "Europe/Berlin") -> tuple[TriggerSpec, str]:
    text = content if isinstance(content, str) else json.dumps(content)
    return parse(text.encode(), suffix, written_at=WRITTEN, timezone=timezone)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def test_the_least_is_an_object() -> None:
    spec, data = read("{}")
    assert (spec.at, spec.type, spec.description, spec.env, spec.parameters, data) == (WRITTEN, "", "", {}, {}, "")


def test_all_of_it() -> None:
    content = {
        "environment": {"A": "x", "B": 5, "C": 0.5},
        "parameters": {"N": 3},
        "schedule_time": "2026-11-27 03:00",
        "type": "deploy",
        "description": "of 1.2",
        "commit": {"id": "f00", "files": [1, 2]},
    }
    for suffix in (".json", ".yaml"):
        spec, data = read(content, suffix)
        assert spec == TriggerSpec(
            at=None, type="deploy", description="of 1.2", env={"A": "x", "B": "5", "C": "0.5"}, parameters={"N": 3}
        ).model_copy(update={"at": at("2026-11-27T02:00")})
        assert json.loads(data) == {"commit": {"id": "f00", "files": [1, 2]}}


@pytest.mark.parametrize(
    ("given_time", "expected"),
    [
        (1_795_000_001, WRITTEN + SECOND),
        (1_795_000_000.25, WRITTEN + SECOND // 4),
        ("2026-11-27T03:00:00Z", at("2026-11-27T03:00")),
        ("2026-11-27T03:00:00+05:30", at("2026-11-26T21:30")),
        ("Fri, 27 Nov 2026 03:00:00 +0000", at("2026-11-27T03:00")),
        ("27 November 2026", at("2026-11-26T23:00")),
        ("03:00", at("2026-11-18T02:00")),
        (None, WRITTEN),
        ("1999-01-01T00:00:00Z", at("1999-01-01T00:00")),
    ],
)
def test_times(given_time: Any, expected: int) -> None:
    assert read({"schedule_time": given_time})[0].at == expected


def test_times_of_yaml_and_zones() -> None:
    assert read("schedule_time: 2026-11-27 03:00:00", ".yaml")[0].at == at("2026-11-27T02:00")
    assert read("schedule_time: 2026-11-27 03:00:00Z", ".yaml")[0].at == at("2026-11-27T03:00")
    assert read("schedule_time: 2026-11-27", ".yaml")[0].at == at("2026-11-26T23:00")
    tokyo = {"schedule_time": "2026-11-27 03:00", "schedule_timezone": "Asia/Tokyo"}
    assert read(tokyo)[0].at == at("2026-11-26T18:00")
    assert read({"schedule_time": "2026-11-27 03:00"}, timezone="Asia/Tokyo")[0].at == at("2026-11-26T18:00")


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ("", ""),
        ("{", ""),
        ("[]", ""),
        ("null", ""),
        ('{"a": 1, "a": 2}', ""),
        ('{"a": NaN}', ""),
        ('{"description": "\\ud800"}', ""),
        ('{"a": ' + "[" * 5000 + "]" * 5000 + "}", ""),
        ('{"a": ' + "9" * 5000 + "}", ""),
        ({"more": "x" * 8001}, ""),
        ({"type": 5}, "type"),
        ({"type": "x" * 101}, "type"),
        ({"environment": ["A=1"]}, "environment"),
        ({"environment": {"A": None}}, "environment.A"),
        ({"environment": {"A B": "1"}}, "environment.A B"),
        ({"environment": {"A": "\0"}}, "environment.A"),
        ({"parameters": []}, "parameters"),
        ({"schedule_time": "soon"}, "schedule_time"),
        ({"schedule_time": "2026-13-01"}, "schedule_time"),
        ({"schedule_time": "2026-11-27 03:00 XYZ"}, "schedule_time"),
        ({"schedule_time": []}, "schedule_time"),
        ({"schedule_time": True}, "schedule_time"),
        ({"schedule_time": -1}, "schedule_time"),
        ({"schedule_time": 1e300}, "schedule_time"),
        ({"schedule_timezone": "Mars/Phobos"}, "schedule_timezone"),
        ({"schedule_timezone": 1}, "schedule_timezone"),
    ],
)
def test_what_is_refused(content: Any, field: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(content)
    assert [found for found, _ in caught.value.errors] == [field]


def test_yaml_that_is_refused() -> None:
    for text in (
        "",
        "a: [",
        "- a",
        "a: &a [*a]",
        "? [1, 2]\n: 3",
        "a: !!python/object:os.system x",
        "\tb: 1",
        "a: 1\na: 2",
    ):
        with pytest.raises(SpecError):
            read(text, ".yaml")
    lines = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}]" for i in range(1, 25))]
    with pytest.raises(SpecError):
        read("\n".join(lines), ".yaml")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["2026-11-27", "now", "12:00 PM", "0001-01-01", "9999-12-31T23:59:59-12:00", "24:00", "10e5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["environment", "parameters", "schedule_time", "schedule_timezone", "type", "description", "other"]
)


def taken(content: bytes, suffix: str) -> None:
    """Whatever it is: a request that can be stored, or what is wrong with it."""
    try:
        spec, data = parse(content, suffix, written_at=WRITTEN, timezone="Europe/Berlin")
        record = to_trigger(spec, (), now=WRITTEN, by="", data=data, past=True)
    except SpecError:
        return
    assert record.at > 0


@given(st.binary(max_size=200), st.sampled_from([".json", ".yaml"]))
def test_any_bytes(content: bytes, suffix: str) -> None:
    taken(content, suffix)


@given(st.dictionaries(FIELDS, VALUES), st.sampled_from([".json", ".yaml"]))
def test_any_values(content: dict[str, Any], suffix: str) -> None:
    taken(json.dumps(content).encode(), suffix)


@given(st.text("-:[]{}&*!|>'\"#%@`,? \n\t0123456789abeghijlmnoprstuvy_.", max_size=60))
def test_any_yaml(text: str) -> None:
    taken(f"schedule_time: {text}".encode(), ".yaml")
    taken(text.encode(), ".yaml")
