"""Jobs and executions of Dkrons, as they are written here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dkronpy.importing.changes import Kind
from dkronpy.importing.dump import Dump, DumpError, from_documents, from_pairs
from dkronpy.importing.mapped import Mapped
from dkronpy.importing.mapping import mapped
from dkronpy.model.execution import State
from dkronpy.model.execution_spec import parse_execution
from dkronpy.model.names import name_for
from dkronpy.model.times import parse_rfc3339
from tests.support.dkron_data import V1, V4_EXECUTIONS, V4_JOBS

NOW = parse_rfc3339("2026-11-21T12:34:56Z")
ZERO = "0001-01-01T00:00:00Z"


def v1(name: str = "job1", **fields: Any) -> dict[str, Any]:
    """A job as Dkron 1 answers it."""
    return {
        "name": name,
        "timezone": "UTC",
        "schedule": "0 0 * * * *",
        "owner": "",
        "owner_email": "",
        "success_count": 0,
        "error_count": 0,
        "last_success": ZERO,
        "last_error": ZERO,
        "disabled": False,
        "tags": None,
        "retries": 0,
        "dependent_jobs": None,
        "parent_job": "",
        "processors": None,
        "concurrency": "allow",
        "executor": "shell",
        "executor_config": {"command": "date"},
        "status": "success",
        "next": ZERO,
        **fields,
    }


def v4(name: str = "job1", **fields: Any) -> dict[str, Any]:
    return {**v1(name), "id": name, "displayname": "", "metadata": None, "ephemeral": False, "status": "", **fields}


def run(group: int, *, job: str = "job1", attempt: int = 1, success: bool = True, **fields: Any) -> dict[str, Any]:
    """An execution as Dkron 1 answers it."""
    found = {
        "job_name": job,
        "started_at": "2026-11-21T10:00:00Z",
        "finished_at": "2026-11-21T10:00:01Z",
        "node_name": "n1",
        "group": group,
        "attempt": attempt,
        **fields,
    }
    return found | {"success": True} if success else found


def take(*jobs: dict[str, Any], executions: dict[str, Any] | None = None) -> list[Mapped]:
    return mapped(from_documents(list(jobs), executions), now=NOW)


def kinds(job: Mapped) -> list[Kind]:
    assert not job.problem
    return [change.kind for change in job.changes]


def test_all_of_a_real_dkron_1_is_taken() -> None:
    found = {job.name: job for job in mapped(from_documents(V1), now=NOW)}
    assert found.keys() == {job["name"] for job in V1["jobs"]}
    assert not any(job.problem for job in found.values())
    assert {name: len(job.executions) for name, job in found.items()} == {
        name: len(listed) for name, listed in V1["executions"].items()
    }
    assert {kind for job in found.values() for kind in kinds(job)} == {Kind.EVERY}
    assert found["weekdays"].document["processors"] == {"files": {"forward": "true"}}
    statuses = {name: job.document["status"] for name, job in found.items()}
    assert (statuses["failing"], statuses["job1"], statuses["once"]) == ("failed", "success", "")


def test_all_of_a_real_dkron_4_is_taken() -> None:
    found = mapped(from_documents(json.loads(V4_JOBS.read_text()), json.loads(V4_EXECUTIONS.read_text())), now=NOW)
    assert len(found) == 9
    assert not any(job.problem for job in found)
    assert {job.name: kinds(job) for job in found if job.changes} == {
        "failing": [Kind.EVERY],
        "job1": [Kind.EVERY],
        "logs": [Kind.NAMED_ZONE],
    }


@pytest.mark.parametrize(
    ("original", "name"),
    [
        ("backup-db_2", "backup-db_2"),
        ("größe", "größe"),
        ("Nightly Report!", "nightly-report-"),
        ("Größe", "größe"),
        ("日本", "---cf2abf0c"),
    ],
)
def test_names(original: str, name: str) -> None:
    assert name_for(original) == name


def test_long_names_stay_apart() -> None:
    one, other = name_for("x" * 80 + "1"), name_for("x" * 80 + "2")
    assert one != other
    assert len(one) == len(other) == 64


def test_a_renamed_job_keeps_its_name_for_people_its_parent_and_its_hash() -> None:
    long = "j" * 70
    parent, child = take(v4(long, schedule="~ 0 3 * * *"), v4("child", parent_job=long, schedule=""))
    assert kinds(parent) == [Kind.NAME]
    assert parent.document["displayname"] == long
    assert parent.document["hash_id"] == long
    assert child.document["parent_job"] == parent.name


def test_two_names_that_would_become_one_are_told() -> None:
    one, other = take(v1("a b"), v1("a.b"))
    assert not one.problem
    assert "'a.b' and 'a b' would both be 'a-b'" in other.problem


@pytest.mark.parametrize(
    ("value", "written", "expected"),
    [
        ("web", "web", []),
        ("web:2", "web:2", []),
        ("1.2.5", "1.2.5", []),
        ("web|db", "web|db", [Kind.PATTERN]),
        ("web.*", "web.*", [Kind.PATTERN]),
        ("web:0", "web", [Kind.COUNT]),
    ],
)
def test_tags_of_dkron_1(value: str, written: str, expected: list[Kind]) -> None:
    (job,) = take(v1(tags={"role": value}))
    assert job.document["tags"] == {"role": written}
    assert kinds(job) == expected


def test_tags_of_dkron_4() -> None:
    (job,) = take(v4(tags={"role": "web|db", "zone": "a:b:1"}))
    assert job.document["tags"] == {"role": "web|db", "zone": "a"}
    assert kinds(job) == [Kind.COUNT]


@pytest.mark.parametrize("value", ["web:many", "a:b:1"])
def test_counts_that_mean_nothing_here(value: str) -> None:
    (job,) = take(v1(tags={"role": value}))
    assert job.problem.startswith(f"tags.role: {value!r} has no count")


def test_several_counts() -> None:
    (job,) = take(v1(tags={"role": "web:1", "dc": "eu:2"}))
    assert kinds(job) == [Kind.COUNT]


def test_a_missing_parent_starts_nothing() -> None:
    (job,) = take(v1(parent_job="gone", schedule=""))
    assert (job.document["schedule"], job.document.get("parent_job")) == ("@manually", None)
    assert kinds(job) == [Kind.PARENT]


def test_processors() -> None:
    config = {"forward": True, "limit": 5, "path": "/x", "reporting_node": "n1"}
    (job,) = take(v1(processors={"files": config}))
    assert job.document["processors"] == {"files": {"forward": "true", "limit": "5", "path": "/x"}}


def test_http_without_codes() -> None:
    config = {"method": "GET", "url": "http://localhost/"}
    with_codes = {**config, "expectCode": "200"}
    one, other = take(
        v1("one", executor="http", executor_config=config), v1("other", executor="http", executor_config=with_codes)
    )
    assert (kinds(one), kinds(other)) == ([Kind.CODES], [])


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"schedule": "0 0 25 * * *"}, "schedule: '25' means nothing as hour"),
        ({"schedule": "* * * *"}, "schedule: a Dkron 1 takes no schedule of 4 fields"),
        ({"schedule": 5}, "schedule: must be a string"),
        ({"tags": ["web"]}, "tags: must be an object"),
        ({"tags": {"role": 1}}, "tags: must be an object of strings"),
        ({"processors": {"log": "x"}}, "log: must be an object"),
    ],
)
def test_problems_are_told(fields: dict[str, Any], problem: str) -> None:
    (job,) = take(v1(**fields))
    assert (job.problem, job.document) == (problem, {})


def test_statuses_go_by_the_newest_group_that_has_ended() -> None:
    def status(*runs: dict[str, Any]) -> str:
        (job,) = take(v1(success_count=1), executions={"job1": list(runs)})
        return job.document["status"]

    assert status(run(1, success=False), run(2)) == "success"
    assert status(run(1), run(2, success=False)) == "failed"
    assert status(run(2, success=False), run(2, attempt=2)) == "partially_failed"
    assert status(run(1), run(2, success=False, finished_at=ZERO)) == "success"
    assert status() == "success"


def test_of_an_execution_told_twice_the_one_that_ended_counts_and_others_jobs_are_left_out() -> None:
    listed = [run(1, success=False, finished_at=ZERO), run(1), run(5, job="job10")]
    (job,) = take(v1(), executions={"job1": listed})
    assert [(execution["group"], execution["success"]) for execution in job.executions] == [(1, True)]


def test_output() -> None:
    listed = [
        run(1, output="Z3L8w59lCg=="),
        run(2, output="oldest\n", id="1-n1"),
        run(3, success=False, finished_at=ZERO),
    ]
    (job,) = take(v1(), executions={"job1": listed})
    first, second, third = (parse_execution(execution, "job1") for execution in job.executions)
    assert first[1] is not None
    assert first[1].data == b"gr\xfc\xc3\x9fe\n"
    assert second[1] is not None
    assert second[1].data == b"oldest\n"
    assert (first[0].state, first[0].output_size) == (State.SUCCESS, 7)
    assert (third[0].state, third[0].finished, third[1]) == (State.LOST, None, None)


def test_keys_of_a_store() -> None:
    pairs = [
        ("/dkron/jobs/job1", json.dumps(v1()).encode()),
        ("dkron/executions/job1/2-n1", json.dumps(run(2)).encode()),
        ("dkron/executions/job1/1-n1", json.dumps(run(1)).encode()),
        ("dkron/leader", b"n1"),
        ("dkron/jobs", b"\x01"),
        ("other/jobs/job2", b"{}"),
    ]
    assert from_pairs(pairs, "dkron") == Dump((v1(),), {"job1": (run(1), run(2))})
    with pytest.raises(DumpError, match="no jobs of a Dkron under 'cron'"):
        from_pairs(pairs, "cron")
    with pytest.raises(DumpError, match="dkron/jobs/job1: is not JSON"):
        from_pairs([("dkron/jobs/job1", b"{")], "dkron")


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([{}], "jobs: must be a list"),
        ([["x"]], r"jobs\[0\]: must be an object"),
        ([[], ["x"]], "executions: must be an object"),
        ([[], {"a": {}}], "executions.a: must be a list"),
        ([[], {"a": [1]}], r"executions.a\[0\]: must be an object"),
    ],
)
def test_documents_that_no_dkron_writes(documents: list[Any], message: str) -> None:
    with pytest.raises(DumpError, match=message):
        from_documents(*documents)
