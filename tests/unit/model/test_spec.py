"""What users may write of a job; what is wrong is told field by field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.model.duration import SECOND
from dkronpy.model.fields import SpecError, check_name
from dkronpy.model.job import Catchup, CatchupPolicy, Concurrency, Job, JobState, JobStatus, Retry, RetryTarget
from dkronpy.model.spec import parse_spec, parse_state, to_document, to_job

MINIMAL: dict[str, Any] = {
    "name": "a",
    "schedule": "@every 1s",
    "executor": "shell",
    "executor_config": {"command": "date"},
}


def test_minimal_job_has_the_defaults() -> None:
    assert to_job(parse_spec(MINIMAL)) == Job(
        "a", 0, schedule="@every 1s", executor="shell", executor_config={"command": "date"}
    )


def test_whole_job() -> None:
    job = to_job(
        parse_spec(
            {
                **MINIMAL,
                "displayname": "A",
                "retries": 2,
                "retry": {"initial": "1.5s", "factor": 3, "maximum": "1h", "on": "any"},
                "catchup": {"window": "2d", "policy": "latest"},
                "concurrency": "forbid",
                "processors": {"log": {"forward": "true"}},
                "starts_at": "2026-12-01T00:00:00+01:00",
                "expires_at": "2026-12-02T15:04",
                "unknown": 5,
            }
        )
    )
    assert job.retry == Retry(1_500_000_000, 3.0, 3600 * SECOND, RetryTarget.ANY)
    assert job.catchup == Catchup(172_800 * SECOND, CatchupPolicy.LATEST)
    assert (job.concurrency, job.processors) == (Concurrency.FORBID, {"log": {"forward": "true"}})
    assert (job.starts_at, job.expires_at) == (1_796_079_600 * SECOND, 1_796_223_840 * SECOND)


@pytest.mark.parametrize("data", [None, 5, "x", [], [MINIMAL], True])
def test_no_object(data: object) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(data)
    assert caught.value.errors[0][0] == ""
    assert "must be an object" in caught.value.errors[0][1]


texts = st.text(max_size=20)
maps = st.dictionaries(st.text(min_size=1, max_size=8), texts, max_size=3)
jobs = st.builds(
    Job,
    name=st.text("abz09_-ßж", min_size=1, max_size=64),
    since=st.just(0),
    displayname=texts,
    timezone=texts,
    schedule=st.text(min_size=1, max_size=20),
    owner=texts,
    owner_email=texts,
    disabled=st.booleans(),
    tags=maps,
    metadata=maps,
    retries=st.integers(0, 100),
    retry=st.builds(
        Retry, st.integers(0, 10**18 // 4), st.floats(1, 100), st.integers(0, 10**18 // 4), st.sampled_from(RetryTarget)
    ),
    parent_job=texts,
    processors=st.dictionaries(st.text(min_size=1, max_size=8), maps, max_size=2),
    concurrency=st.sampled_from(Concurrency),
    executor=st.just("shell"),
    executor_config=st.just({"command": "date"}),
    ephemeral=st.booleans(),
    starts_at=st.none() | st.integers(1, 9 * 10**17),
    expires_at=st.none() | st.integers(10**18, 9 * 10**18),
    catchup=st.builds(Catchup, st.integers(0, 10**18 // 4), st.sampled_from(CatchupPolicy)),
)


@given(jobs)
def test_a_job_reads_back_as_it_was_written(job: Job) -> None:
    assert to_job(parse_spec(to_document(job))) == job


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    ),
    st.sampled_from(sorted(to_document(Job("a", 0)))),
)
def test_any_value_is_taken_or_refused_with_the_name_of_its_field(value: Any, field: str) -> None:
    try:
        to_document(to_job(parse_spec({**MINIMAL, field: value})))
    except SpecError as error:
        errors = error.errors
    else:
        errors = []
    assert all(found.partition(".")[0] in (field, "schedule") for found, _ in errors)
    assert all(message and len(message) < 500 for _, message in errors)


@pytest.mark.parametrize("name", ["a", "z9", "-", "_x", "straße", "дом", "x" * 64])
def test_good_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "empty"),
        ("A", "'A'"),
        ("a b", "' '"),
        ("a.b", "'.'"),
        ("a\u0301", "'́'"),
        ("x" * 65, "65"),
        ("日本", "日"),
        ("٣", "٣"),
    ],
)
def test_bad_names(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_name(name)


def test_counters_of_a_backup() -> None:
    assert parse_state(
        {"success_count": 3, "last_success": "2026-11-21T02:13:49.013455458Z", "status": "failed"}
    ) == JobState(success_count=3, last_success=1_795_227_229_013_455_458, status=JobStatus.FAILED)
    assert parse_state({"last_error": "0001-01-01T00:00:00Z", "status": "", "error_count": None}) == JobState()
    with pytest.raises(SpecError, match="success_count: must be at least 0"):
        parse_state({"success_count": -1})
