"""What commands print in the four formats, against files. DKRONPY_GOLDEN=write writes them anew, to be read before they
are kept."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.cells import cell_len

from tests.support.fake_api import Answer, FakeServer, make_execution, make_job, make_trigger
from tests.unit.cli.conftest import Dkron

GOLDEN = Path(__file__).parent / "golden"

JOBS = [
    make_job(
        "backup",
        displayname="Back up the database",
        schedule="0 30 2 * * *",
        timezone="Europe/Berlin",
        owner="Platform Team",
        owner_email="platform@example.com",
        success_count=41,
        error_count=1,
        last_success="2026-11-21T01:30:12.123456789Z",
        last_error="2026-10-02T00:30:12Z",
        tags={"role": "db:1"},
        metadata={"team": "db"},
        retries=2,
        dependent_jobs=["report"],
        processors={"log": {"forward": "true"}},
        concurrency="forbid",
        executor_config={"command": "set -e\npg_dump shop > /backup/shop.sql\n", "shell": "true"},
        status="success",
        next="2026-11-22T01:30:00Z",
        updated_at="2026-11-21T11:30:00Z",
    ),
    make_job(
        "report",
        schedule="",
        parent_job="backup",
        status="failed",
        error_count=3,
        last_error="2026-11-21T11:58:00Z",
        next=None,
    ),
    make_job("tick", running=2, next="2026-11-21T12:00:04Z", ephemeral=True, starts_at="2026-11-01T00:00:00Z"),
    make_job("überprüfung", disabled=True, schedule="@at 2030-01-01T00:00:00Z", next=None, owner="a\x1b[31mb\tc\u202e"),
]
EXECUTIONS = [
    make_execution(
        "tick",
        1795262404000000000,
        state="running",
        started_at="2026-11-21T11:59:00Z",
        finished_at=None,
        exit_code=None,
    ),
    make_execution("backup", 1795225800000000000, trigger="manual", env={"A": "1"}),
    make_execution("backup", 1795139400000000000, state="failed", exit_code=137, error="killed for memory", attempt=2),
    make_execution(
        "backup",
        1795053000000000000,
        attempt=0,
        node_name="",
        state="skipped",
        reason="no_target",
        exit_code=None,
        count=12,
        started_at=None,
        finished_at=None,
        last_fire_time="2026-11-21T01:30:00Z",
    ),
]
FIRES = [
    {"time": "2027-03-27T01:30:00Z", "local": "2027-03-27T02:30:00+01:00", "dst": None},
    {"time": "2027-03-28T01:00:00Z", "local": "2027-03-28T03:00:00+02:00", "dst": "after_gap"},
    {"time": "2027-03-29T00:30:00Z", "local": "2027-03-29T02:30:00+02:00", "dst": "clock_changed"},
]
MEMBERS = [
    {
        "id": name,
        "Name": name,
        "Addr": address,
        "Port": 8946,
        "Status": status,
        "statusText": text,
        "Tags": {"dkron_server": server, "dkron_version": "0.1.0", "role": "db", "rack": "7"},
    }
    for name, address, server, status, text in (
        ("n1", "10.0.0.1", "true", 1, "alive"),
        ("n2", "10.0.0.2", "true", 4, "failed"),
        ("n3", "10.0.0.3", "false", 1, "alive"),
    )
]
EXPLANATION = {
    "job": "backup",
    "at": "2026-11-20T01:30:00Z",
    "verdict": "skipped",
    "explanation": "it was skipped: no alive node had the job's tags",
    "fire_time": "2026-11-20T01:30:00Z",
    "next": "2026-11-21T01:30:00Z",
    "definition": {"name": "backup", "schedule": "0 30 2 * * *", "timezone": "Europe/Berlin"},
    "definition_since": "2026-11-01T10:00:00Z",
    "definition_by": "deploy",
    "executions": [EXECUTIONS[3]],
}
TRIGGERS = [
    make_trigger(
        "deploy",
        1795312800000612345,
        trigger_type="deploy",
        trigger_description="release 1.2",
        triggered_by="ann",
        env={"V": "1.2"},
    ),
    make_trigger("backup", 1795312800000012345, at="2026-11-21T12:30:00Z"),
]
RUN = {"job": "check", "group": 1795226400000000000, "finished_at": "2026-11-21T02:00:09Z"}


def node(name: str, parents: list[dict[str, Any]], children: list[str], **fields: Any) -> dict[str, Any]:
    """A job of the graph."""
    of_parents = {"require": "all", "window": "24h"} if parents else {"require": None, "window": None}
    more = {"status": "success", "disabled": False, "running": 0, **of_parents, **fields}
    return {"name": name, **more, "parents": parents, "children": children}


def parent(name: str, on: str = "success", met: Sequence[object] = (), *, exists: bool = True) -> dict[str, Any]:
    return {"job": name, "on": on, "exists": exists, "met": list(met)}


GRAPH = [
    node("alarm", [parent("check", "failure"), parent("load", "failure")], [], require="any", status=""),
    node("archive", [parent("report")], [], disabled=True),
    node("check", [], ["alarm", "report"]),
    node("load", [], ["alarm", "report"], running=2),
    node("report", [parent("load"), parent("check", "completion", [RUN])], ["archive"], status="failed"),
    node("stray", [parent("gone", exists=False)], []),
]
COMMANDS = {
    "job-list": ("job", "list"),
    "job-show": ("job", "show", "backup"),
    "job-next": ("job", "next", "backup", "--count", "3"),
    "job-explain": ("job", "explain", "backup", "--at", "2026-11-20T02:30"),
    "job-graph": ("job", "graph"),
    "execution-list": ("execution", "list"),
    "execution-show": ("execution", "show", "backup", "1795139400000000000-2-n1"),
    "trigger-list": ("trigger", "list"),
    "members": ("members",),
    "status": ("status",),
}


@pytest.fixture(autouse=True)
def answers(server: FakeServer) -> None:
    server.on("GET", "/v1/jobs", JOBS)
    server.on("GET", "/v1/jobs/backup", JOBS[0])
    server.on("GET", "/v1/jobs/backup/next", {"fires": FIRES})
    server.on("GET", "/v1/jobs/backup/explain", EXPLANATION)
    server.on("GET", "/v1/graph", {"jobs": GRAPH})
    server.on("GET", "/v1/executions", EXECUTIONS)
    server.on("GET", "/v1/triggers", TRIGGERS)
    server.on("GET", "/v1/jobs/backup/executions/1795139400000000000-2-n1", EXECUTIONS[2])
    server.on("GET", "/v1/members", MEMBERS)
    server.on("GET", "/health", {"status": "healthy", "leader_name": "n1"})
    server.on("GET", "/v1/pause", {"paused": True, "since": "2026-11-21T11:00:00Z", "reason": "moving", "by": "ops"})


def check(name: str, found: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("DKRONPY_GOLDEN") == "write":
        path.write_text(found)
    assert found == path.read_text()


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("width", [80, 200])
def test_pretty(dkron: Dkron, server: FakeServer, monkeypatch: pytest.MonkeyPatch, name: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    result = dkron(*COMMANDS[name], "--format", "pretty")
    found = result.out.replace(server.url, "http://server")

    assert (result.code, result.err) == (0, "")
    assert "\x1b" not in found
    assert all(len(line) <= width for line in found.splitlines())
    check(f"{name}.pretty-{width}", found)


@pytest.mark.parametrize("name", COMMANDS)
def test_tabular(dkron: Dkron, server: FakeServer, name: str) -> None:
    result = dkron(*COMMANDS[name])  # the default where there is no terminal

    assert (result.code, result.err) == (0, "")
    check(f"{name}.tabular", result.out.replace(server.url, "http://server"))


@pytest.mark.parametrize("name", ["job-list", "job-show", "execution-list", "execution-show", "members"])
def test_json_and_yaml_are_what_the_server_said(dkron: Dkron, name: str) -> None:
    said = {
        "job-list": JOBS,
        "job-show": JOBS[0],
        "execution-list": EXECUTIONS,
        "execution-show": EXECUTIONS[2],
        "members": MEMBERS,
    }

    as_json, as_yaml = (dkron("--format", form, *COMMANDS[name]).out for form in ("json", "yaml"))
    assert json.loads(as_json) == said[name]
    assert yaml.safe_load(as_yaml) == said[name]


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_structured_job(dkron: Dkron, form: str) -> None:
    check(f"job-show.{form}", dkron("job", "show", "backup", "--format", form).out)


def test_colours_only_where_they_are_wanted(dkron: Dkron, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    coloured = dkron("job", "list", "--format", "pretty").out
    monkeypatch.setenv("NO_COLOR", "1")
    bare = dkron("job", "list", "--format", "pretty").out

    assert "\x1b[32msuccess" in coloured
    assert "\x1b[3" not in bare


def test_empty_lists(dkron: Dkron, server: FakeServer) -> None:
    server.on("GET", "/v1/jobs", Answer([]))

    assert dkron("job", "list", "--format", "pretty").out == "There are no jobs yet; dkron job apply creates some.\n"
    assert dkron("job", "list", "-q", "x", "--format", "pretty").out == "No job matches.\n"
    assert dkron("job", "list", "--format", "json").out == "[]\n"
    assert dkron("job", "list").out.count("\n") == 1


def test_no_id_is_ever_cut(dkron: Dkron, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = dkron("execution", "list", "--format", "pretty").out

    assert all(execution["id"] in out for execution in EXECUTIONS)


def test_wide_characters_and_narrow_terminals(
    dkron: Dkron, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [make_job("a", schedule="0 0 1 1 *", status="success"), make_job("備份資料庫", schedule="每天" * 20)]
    server.on("GET", "/v1/jobs", jobs)
    for width in (30, 40, 60):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = dkron("job", "list", "--format", "pretty").out.splitlines()
        assert max(map(cell_len, lines)) <= width
        assert "備份資料庫" in lines[2]
    starts = {
        cell_len(line[: line.index(state)]) for line, state in zip(lines, ("STATE", "success", "never"), strict=True)
    }
    assert len(starts) == 1


def test_fields_are_folded_at_words(dkron: Dkron, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.on("GET", "/v1/jobs/backup/explain", {**EXPLANATION, "explanation": "one two three four five six seven"})
    monkeypatch.setenv("COLUMNS", "34")
    out = dkron("job", "explain", "backup", "--format", "pretty").out
    assert "Because      one two three four\n             five six seven\n" in out
