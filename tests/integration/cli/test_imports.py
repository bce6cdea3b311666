"""`dkron import` of what real Dkrons left behind, into a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.cli.conftest import Dkron
from tests.integration.importing.test_stores import fill_redis
from tests.support.dkron_data import BOLTDB, V1, V4_EXECUTIONS, V4_JOBS, same_execution, same_job
from tests.support.fake_api import serving
from tests.support.processes import Agent
from tests.support.redis import Redis


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path)
    try:
        yield agent.start()
    finally:
        agent.clean_up()


@pytest.fixture
def dkron(agent: Agent) -> Dkron:
    """Commands against the agent, which runs none of the jobs meanwhile."""
    dkron = Dkron(agent)
    dkron("pause", "taking over")
    return dkron


def jobs(agent: Agent) -> dict[str, Any]:
    return {job["name"]: job for job in agent.get("/v1/jobs")}


def executions(agent: Agent, job: str) -> list[Any]:
    """What ran, in the order in which it was due."""
    found = agent.get(f"/v1/jobs/{job}/executions")
    return sorted((e for e in found if e["attempt"]), key=lambda e: (e["group"], e["attempt"]))


def same_as(agent: Agent, dkrons_jobs: list[Any], dkrons_executions: dict[str, list[Any]]) -> None:
    """Check that the server holds these jobs and executions, and no others."""
    here = jobs(agent)
    assert here.keys() == {job["name"] for job in dkrons_jobs}
    for job in dkrons_jobs:
        same_job(job, here[job["name"]])
    for name, expected in dkrons_executions.items():
        expected.sort(key=lambda e: (e["group"], e["attempt"]))
        for execution, found in zip(expected, executions(agent, name), strict=True):
            same_execution(execution, found)


def test_database_of_a_dkron_1(agent: Agent, dkron: Dkron) -> None:
    planned = dkron.json("import", "boltdb", str(BOLTDB), "--dry-run")
    assert {job["action"] for job in planned} == {"created"}
    assert sum(job["executions"] for job in planned) == 67
    assert jobs(agent) == {}
    taken = dkron.json("import", "boltdb", str(BOLTDB))
    # Those counted from the start of a server may come at other times, the others never.
    for job in taken:
        if not job["schedule"].startswith("@every"):
            assert job["source_fires"] == job["fires"]
            assert not job["changes"]
        else:
            assert [change["kind"] for change in job["changes"]] == ["every"]
    assert len(next(job for job in taken if job["name"] == "weekdays")["fires"]) == 3
    same_as(agent, V1["jobs"], V1["executions"])
    again = dkron.json("import", "boltdb", str(BOLTDB))
    assert {job["action"] for job in again} == {"unchanged"}
    same_as(agent, V1["jobs"], V1["executions"])


def test_backup_of_a_dkron_4(agent: Agent, dkron: Dkron) -> None:
    dkron("import", "dkron", str(V4_JOBS), "--executions", str(V4_EXECUTIONS))
    same_as(agent, json.loads(V4_JOBS.read_text()), json.loads(V4_EXECUTIONS.read_text()))


def test_a_running_dkron_1(agent: Agent, dkron: Dkron) -> None:
    with serving() as old:
        old.on("GET", "/v1/jobs", V1["jobs"])
        for name, listed in V1["executions"].items():
            # For a job without executions it answers with those of others, or with null.
            old.on("GET", f"/v1/jobs/{quote(name)}/executions", listed or json.loads("null"))
        dkron("import", "dkron", old.url)
        assert not [request for request in old.requests if request.method != "GET"]
        assert not any("authorization" in map(str.lower, request.headers) for request in old.requests)
    same_as(agent, V1["jobs"], V1["executions"])


def test_the_keys_of_a_dkron_1_in_redis(agent: Agent, dkron: Dkron, tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    with Redis(folder) as redis:
        fill_redis(redis)
        dkron("import", "redis", redis.address)
    same_as(agent, V1["jobs"], V1["executions"])


def test_five_fields_keep_their_fires(agent: Agent, dkron: Dkron, tmp_path: Path) -> None:
    job = {**V1["jobs"][1], "name": "old-five", "schedule": "30 */15 9 * *", "tags": {"role": "web|db"}}
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps([job]))
    (taken,) = dkron.json("import", "dkron", str(file))
    assert taken["schedule"] == "30 */15 9 * * *"
    assert len(taken["fires"]) == 3
    assert taken["source_fires"] == taken["fires"]
    assert [change["kind"] for change in taken["changes"]] == ["five_fields", "pattern"]
    told = dkron("import", "dkron", str(file), "--format", "pretty")
    assert "has seconds first" in told
    assert "next fires, in Dkron and here: " in told


def test_jobs_that_are_there_are_kept_unless_asked_for(agent: Agent, dkron: Dkron, tmp_path: Path) -> None:
    first = V1["jobs"][1]
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps([first]))
    dkron("import", "dkron", str(file))
    file.write_text(json.dumps([{**first, "owner": "somebody else"}]))
    (kept,) = json.loads(dkron("import", "dkron", str(file), "--format", "json", code=1))
    assert kept["action"] == "kept"
    assert jobs(agent)["backup-db"]["owner"] == "Platform Team"
    (changed,) = dkron.json("import", "dkron", str(file), "--replace")
    assert changed["action"] == "changed"
    assert jobs(agent)["backup-db"]["owner"] == "somebody else"


def test_what_cannot_be_taken_is_told_and_the_rest_is_taken(agent: Agent, dkron: Dkron, tmp_path: Path) -> None:
    good, child = V1["jobs"][4], V1["jobs"][0]
    docker = {**good, "name": "in-docker", "executor": "docker"}
    below = {**child, "name": "below", "parent_job": "in-docker"}
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps([below, child, docker, good]))
    taken = json.loads(dkron("import", "dkron", str(file), "--format", "json", code=1))
    assert {job["name"]: job["action"] for job in taken} == {
        "job1": "created",
        "after-job1": "created",
        "below": "refused",
        "in-docker": "refused",
    }
    problems = {job["name"]: job["problem"] for job in taken}
    assert "'docker' is not known" in problems["in-docker"]
    assert "'in-docker' can't be taken" in problems["below"]
    assert jobs(agent).keys() == {"job1", "after-job1"}


def test_a_damaged_file_changes_nothing(agent: Agent, dkron: Dkron, tmp_path: Path) -> None:
    data = BOLTDB.read_bytes()
    page = data.index(b"dkron/executions/ping") // 4096 * 4096
    for name, content, told in [
        ("short", data[: len(data) // 2], "the file is cut short"),
        ("torn", data[:page] + bytes(512) + data[page + 512 :], "is damaged"),
        ("other", b"SQLite format 3\0" + bytes(8000), "is no BoltDB file"),
        ("missing", None, "No such file"),
    ]:
        file = tmp_path / name
        if content is not None:
            file.write_bytes(content)
        error = dkron("import", "boltdb", str(file), code=2)
        assert told in error
        assert str(file) in error
    assert jobs(agent) == {}
    told = dkron("import", "boltdb", str(BOLTDB), "--keyspace", "cron", code=2)
    assert "no jobs of a Dkron under 'cron'" in told
    assert "it has dkron" in told


CRONTAB = """\
MAILTO=ops@example.com
30 2 * * 1-5 root /opt/backup.sh --all
@reboot root /opt/warm-up
*/5 * * * nobody half a line
"""
TIMER = "[Timer]\nOnCalendar=Mon *-*~7/1 03:00 UTC\nPersistent=true\n"
CRON_JOB = """\
apiVersion: batch/v1
kind: CronJob
metadata: {name: report}
spec:
  schedule: "0 */2 * * *"
  timeZone: Europe/Berlin
  jobTemplate:
    spec:
      template:
        spec:
          containers: [{name: main, image: shop, command: [/opt/report]}]
"""


def test_cron_systemd_kubernetes_and_nrpe(agent: Agent, dkron: Dkron, tmp_path: Path) -> None:
    """Each is taken by a real server as it was planned, its fires are the same by both readings, and again is safe."""
    (tmp_path / "crontab").write_text(CRONTAB)
    (tmp_path / "dump.timer").write_text(TIMER)
    (tmp_path / "dump.service").write_text("[Service]\nExecStart=/bin/true\n")
    (tmp_path / "cronjob.yml").write_text(CRON_JOB)
    (tmp_path / "nrpe.cfg").write_text("command[check_load]=/bin/echo OK\n")
    sources = {
        "crontab": ("--system", str(tmp_path / "crontab")),
        "systemd": (str(tmp_path / "dump.timer"),),
        "kubernetes": (str(tmp_path / "cronjob.yml"),),
        "nrpe": (str(tmp_path / "nrpe.cfg"),),
    }
    for kind, arguments in sources.items():
        for action in ("created", "unchanged") if kind == "systemd" else ("created",):
            given = (*arguments, "--tag", "dkron_server=true:1")
            found = json.loads(dkron("import", kind, *given, "--format", "json", code=int(kind == "crontab")))
            assert {job["action"] for job in found if not job["problem"]} == {action}
            for job in found:
                if job["schedule"] and job["schedule"] != "@manually" and kind != "nrpe":
                    assert job["source_fires"] == job["fires"]
                    assert len(job["fires"]) == 3
    here = jobs(agent)
    assert set(here) == {"backup", "warm-up", "dump", "report", "check_load"}
    assert all(job["tags"] == {"dkron_server": "true:1"} for job in here.values())
    told = dkron("import", "crontab", "--system", str(tmp_path / "crontab"), "--format", "pretty", code=1)
    assert "kept      backup" in told
    assert "! cron mailed its output to ops@example.com" in told
    assert "next fires, in cron and here: " in told
    assert "! it ran on one machine; here, without tags, it runs on every node" in told
