"""RFC 7396, and what is past."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.api.definitions import checked_job, merge, merged
from dkronpy.model.fields import SpecError
from dkronpy.model.spec import to_document

JOB: dict[str, Any] = {
    "name": "a",
    "schedule": "@every 1s",
    "executor": "shell",
    "executor_config": {"command": "date"},
}
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_examples_of_the_rfc(target: Any, patch: Any, result: Any) -> None:
    assert merge(target, patch) == result


@given(st.dictionaries(st.sampled_from(["owner", "schedule", "displayname"]), st.text("ab", max_size=3)))
def test_merge_of_what_is_there_changes_nothing(fields: dict[str, str]) -> None:
    job = checked_job({**JOB, **fields, "schedule": "@manually"}, now=0)
    for patch in (to_document(job), {}):
        assert checked_job(merged(job, patch), now=0) == job


@pytest.mark.parametrize(
    ("schedule", "now", "past"),
    [
        ("@at 1970-01-01T00:00:10Z", 9 * SECOND, False),
        ("@at 1970-01-01T00:00:10Z", 10 * SECOND, True),
        ("@at 1970-01-01T00:00:10.000001Z", 10 * SECOND, False),
        ("@after 1970-01-01T00:00:10Z <PT1M", 69 * SECOND, False),
        ("@after 1970-01-01T00:00:10Z <PT1M", 70 * SECOND, True),
        ("@manually", 10**19, False),
        ("@every 1s", 10**18, False),
    ],
)
def test_past(schedule: str, now: int, past: bool) -> None:
    data = {**JOB, "schedule": schedule}
    if past:
        with pytest.raises(SpecError, match="past"):
            checked_job(data, now=now)
        old = checked_job(data, now=0)
        assert checked_job({**data, "owner": "me"}, now=now, old=old).owner == "me"
        with pytest.raises(SpecError, match="past"):
            checked_job({**data, "timezone": "UTC"}, now=now, old=old)
    else:
        checked_job(data, now=now)
