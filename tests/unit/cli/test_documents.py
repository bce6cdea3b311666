"""Files of jobs: YAML by its version 1.2, JSON, and what is neither."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dkronpy.cli.documents import read_documents, to_yaml


def values(text: str, source: str = "jobs.yml") -> list[Any]:
    return [document.value for document in read_documents(text, source)]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("on", "on"),
        ("No", "No"),
        ("12:30", "12:30"),
        ("1:30:00", "1:30:00"),
        ("2026-11-21", "2026-11-21"),
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1.2.3", "1.2.3"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("-5", -5),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("'5'", "5"),
    ],
)
def test_plain_scalars_follow_the_core_schema(written: str, value: object) -> None:
    (found,) = values(f"a: {written}")
    assert found == {"a": value}
    assert type(found["a"]) is type(value)


def test_the_key_on_stays_a_text() -> None:
    assert values("retry: {on: any}") == [{"retry": {"on": "any"}}]


def test_documents_and_lists_are_taken_apart() -> None:
    text = "a: 1\n---\n- b: 2\n- c: 3\n---\n---\n# nothing\n"
    assert [tuple(document) for document in read_documents(text, "jobs.yml")] == [
        ("jobs.yml, document 1", {"a": 1}),
        ("jobs.yml, document 2, item 1", {"b": 2}),
        ("jobs.yml, document 2, item 2", {"c": 3}),
    ]


def test_json_with_what_yaml_would_misread() -> None:
    assert values('{"a": "\\ud83d\\ude00", "b": "on"}\n\t{"c": [1]}') == [{"a": "😀", "b": "on"}, {"c": [1]}]
    assert values('[{"a": 1}, {"b": 2}]', "jobs.json") == [{"a": 1}, {"b": 2}]


def test_yaml_in_flow_style_is_no_broken_json() -> None:
    assert values("{a: 1}") == [{"a": 1}]


def test_anchors_and_merges() -> None:
    assert values("- &base {a: 1, b: 2}\n- {<<: *base, b: 3}") == [{"a": 1, "b": 2}, {"a": 1, "b": 3}]


@pytest.mark.parametrize(
    ("text", "source", "message"),
    [
        ("a: 1\nb: [", "jobs.yml", "jobs.yml, line 3, column 1"),
        ("a:\n\t- b", "jobs.yml", "jobs.yml, line 2, column 1"),
        ('{"a": 1,\n "b" 2}', "jobs.json", "jobs.json, line 2, column 6: Expecting ':'"),
        ("a: 1\na: 2", "jobs.yml", "line 2, column 1: the key 'a' is given twice"),
        ("- " * 50_000, "jobs.yml", "jobs.yml: lists and objects are nested deeper than 100"),
        ('{"a": 1, "a": 2}', "jobs.yml", "jobs.yml: the key 'a' is given twice"),
        ("a: \x00", "jobs.yml", "jobs.yml: not YAML"),
        ("!!python/object/apply:os.system [x]", "jobs.yml", "could not determine a constructor"),
    ],
)
def test_what_is_neither_says_where(text: str, source: str, message: str) -> None:
    with pytest.raises(ValueError, match="jobs") as caught:
        read_documents(text, source)
    assert message in str(caught.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), _JSON))
@example({"0E0": "1e3", "12:30": "on", "": "~", "010": "<<"})
def test_what_is_written_is_read_back(value: dict[str, Any]) -> None:
    assert values(to_yaml(value)) == [value]


def test_several_lines_become_a_block() -> None:
    assert to_yaml({"command": "a\nb\n"}) == "command: |\n  a\n  b\n"
