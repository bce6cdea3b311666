"""YAML as dsari reads it, made safe."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.model.yaml_text import YamlError, load_yaml

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)


def test_it_reads_as_pyyaml_does():
    text = "on: yes\nat: 12:30\nlist: &l [1, 2.5, null]\nsame: *l\n<<: {more: 1}\n"
    assert load_yaml(text) == yaml.safe_load(text) == {
        True: True, "at": 750, "list": [1, 2.5, None], "same": [1, 2.5, None], "more": 1,
    }  # fmt: skip
    assert load_yaml("") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "line 2, column 1: "),
        ("a: 1\nb: {c: 1, c: 2}", "line 2, column 11: the key 'c' is given twice"),
        ("a: !!python/object/apply:os.system [ls]", "line 1, column 4: could not determine a constructor"),
        ("--- 1\n--- 2", "line 2, column 1: but found another document"),
        ("a: 2024-99-99", "not YAML: month must be in 1..12"),
        ("a: \x00", "not YAML: unacceptable character"),
        (BOMB, "more than 200000 values"),
        ("&a [*a]", "more than 200000 values"),
        ("? [a]\n: 1", "found unhashable key"),
        ("[" * 100_000, "nested deeper than 100"),
        ("- " * 5_000, "nested deeper than 100"),
    ],
)
def test_what_is_refused(text: str, words: str):
    with pytest.raises(YamlError) as caught:
        load_yaml(text)
    assert words in str(caught.value)


@given(st.text(alphabet="ab:-[]{}&*!?|>'\"#%@,. \n\t0123456789~<\x07é", max_size=60))
def test_no_text_does_anything_else(text: str):
    with contextlib.suppress(YamlError):
        load_yaml(text)
