"""What each command asks of the server, and the exit code it ends with."""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, product, repeat
from pathlib import Path
from typing import Any

import pytest

from dkronpy import __version__
from dkronpy.cli import tail
from dkronpy.cli.main import build_parser
from dkronpy.cli.triggers import succeeded
from tests.support.fake_api import Answer, FakeServer, Request, make_execution, make_job, make_trigger, problem
from tests.unit.cli.conftest import Dkron
from tests.unit.cli.test_client import sse

DOCS = Path(__file__).parents[3] / "docs" / "cli.md"


def test_version_is_dkrons_two_lines(dkron: Dkron) -> None:
    result = dkron("version")
    assert result.out == f"Dkron {__version__}\nAgent Protocol: 5 (Understands back to: 2)\n"
    assert json.loads(dkron("version", "--format", "json").out)["version"] == __version__


def test_keygen_prints_a_bare_new_key(dkron: Dkron) -> None:
    keys = {dkron("keygen").out for _ in range(5)}
    assert len(keys) == 5
    assert all(len(base64.b64decode(key, validate=False)) == 16 and key.count("\n") == 1 for key in keys)


def commands(*path: str) -> list[str]:
    """Names of the commands that a help lists."""
    text = subprocess.run(
        [sys.executable, "-P", "-m", "dkronpy", *path, "--help"], capture_output=True, text=True, check=True
    ).stdout
    listed = text[text.index("\ncommands:\n") :].splitlines()[3:]
    return [line.split()[0] for line in listed if line.startswith("    ") and line[4:5].strip()]


def test_every_command_has_help(dkron: Dkron) -> None:
    assert {"agent", "job", "execution", "members", "leave", "keygen", "version"} <= set(commands())
    every = [
        *((name,) for name in commands()),
        *(("job", name) for name in commands("job")),
        *(("execution", name) for name in commands("execution")),
    ]
    assert len(every) > 20
    for path in every:
        result = dkron(*path, "--help")
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith(f"usage: dkron {' '.join(path)}")
        assert all(len(line) <= 120 for line in result.out.splitlines())


def paths(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every command below this one, by its whole name."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser.prog
    for group in groups:
        for command in group.choices.values():
            yield from paths(command)


def test_documentation_has_every_command() -> None:
    named = set[str]()
    for line in DOCS.read_text().splitlines():
        for command in re.findall(r"`(dkron [^`]*)`", line.partition(" | ")[0]) if line.startswith("| `dkron") else ():
            words = re.sub(r"(?<= )[^a-z].*", "", command.replace("\\|", "|")).split()
            named |= {" ".join(choice) for choice in product(*(word.split("|") for word in words))}
    assert named == {*paths(build_parser())} - {"dkron agent"}


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (
            problem(400, "the job is wrong", schedule="must be one"),
            1,
            "dkron: the job is wrong\n  schedule: must be one\n",
        ),
        (problem(401, "a token is needed"), 1, "DKRON_API_TOKEN"),
        (problem(403, "this token may only read"), 1, "DKRON_API_TOKEN"),
        (problem(404, "there is no job 'a'"), 3, "dkron: there is no job 'a'\n"),
        (problem(409, "it has dependents"), 1, "dkron: it has dependents\n"),
        (problem(500, "the node failed"), 1, "dkron: the node failed\n"),
        (problem(503, "there is no leader"), 4, "dkron: there is no leader\n"),
        (Answer(b"", 502), 4, "dkron: 502 Bad Gateway\n"),
        (Answer(b"<html>"), 4, "did not answer with JSON"),
        (problem(400, "evil \x1b]0;x\x07"), 1, "evil \\x1b]0;x\\x07"),
    ],
)
def test_exit_codes(dkron: Dkron, server: FakeServer, answer: Answer, code: int, said: str) -> None:
    server.on("DELETE", "/v1/jobs/a", answer)
    result = dkron("job", "delete", "a")

    assert result.code == code
    assert said in result.err
    assert "\x1b" not in result.err


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("job",),
        ("nope",),
        ("job", "show"),
        ("job", "list", "--format", "xml"),
        ("job", "list", "--api", "nonsense"),
        ("job", "run", "a", "--env", "B"),
        ("job", "run", "a", "--wai"),
        ("job", "explain", "a", "--at", "yesterday"),
        ("job", "next", "a", "--count", "-1"),
        ("execution", "list", "--status", "broken"),
        ("agent", "--no-such-flag"),
    ],
)
def test_wrong_usage_is_2_and_asks_nothing(dkron: Dkron, server: FakeServer, argv: tuple[str, ...]) -> None:
    result = dkron(*argv)
    assert (result.code, result.out, server.requests) == (2, "", [])
    assert result.err


def test_no_server_is_4(dkron: Dkron) -> None:
    result = dkron("job", "list", "--api", "http://127.0.0.1:1")
    assert result.code == 4
    assert "Connection refused\n  Is the server running? --api or DKRON_API_URL says where it is.\n" in result.err


def test_options_stand_before_or_after_the_command(
    dkron: Dkron, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("GET", "/v1/members", [])
    server.on("GET", "/health", {})
    monkeypatch.setenv("DKRON_API_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("DKRON_API_TOKEN", "secret")

    for argv in (
        ("--api", server.url, "--format", "json", "members"),
        ("members", "--api", server.url, "--format=json"),
    ):
        assert dkron(*argv).out == "[]\n"
    assert dkron("--api", "http://127.0.0.1:1", "members", "--api", server.url).code == 0  # the later one counts
    assert {request.headers["Authorization"] for request in server.requests} == {"Bearer secret"}


def test_a_closed_pipe_and_a_full_disk(server: FakeServer) -> None:
    server.on("GET", "/v1/jobs", [make_job(f"job{number}") for number in range(5000)])
    environ = {**os.environ, "DKRON_API_URL": server.url}
    command = [sys.executable, "-P", "-m", "dkronpy", "job", "list"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141
    with open("/dev/full", "w") as full:
        ended = subprocess.run(command, env=environ, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (1, b"dkron: cannot write the output: No space left on device\n")


def test_filters_of_the_job_list(dkron: Dkron, server: FakeServer) -> None:
    server.on("GET", "/v1/jobs", [])
    dkron(
        *(
            "job",
            "list",
            "-q",
            "db",
            "--status",
            "failed",
            "--disabled",
            "true",
            "--tag",
            "role=web:1",
            "--tag",
            "dc=eu",
        ),
        *("--metadata", "team=a=b", "--sort", "next", "--reverse"),
    )
    assert server.requests[0].query == {
        "q": "db",
        "status": "failed",
        "disabled": "true",
        "tags[role]": "web:1",
        "tags[dc]": "eu",
        "metadata[team]": "a=b",
        "_sort": "next",
        "_order": "DESC",
    }


def test_filters_of_the_execution_list(dkron: Dkron, server: FakeServer) -> None:
    server.on("GET", "/v1/jobs/a/executions", [])
    dkron(
        *("execution", "list", "--job", "a", "--status", "failed,lost", "--node", "n1", "--group", "5", "--limit", "7"),
        *("--since", "2h", "--until", "2026-11-21T11:00:00Z", "--format", "json"),
        *("--exit-code", "1,137", "--trigger", "manual", "--text", "disk full", "--tag", "role=db:1", "--tag", "a=b"),
    )
    query = server.requests[0].query
    assert (query.pop("tags[role]"), query.pop("tags[a]"), query.pop("output")) == ("db:1", "b", "disk full")
    assert (query.pop("exit_code"), query.pop("trigger")) == ("1,137", "manual")
    since = datetime.fromisoformat(query.pop("since"))
    assert timedelta(0) <= datetime.now(UTC) - since - timedelta(hours=2) < timedelta(minutes=1)
    assert query == {"status": "failed,lost", "node": "n1", "group": "5", "limit": "7", "until": "2026-11-21T11:00:00Z"}


def test_deleting_stops_at_what_is_not_there(dkron: Dkron, server: FakeServer) -> None:
    server.on("DELETE", "/v1/jobs/a", make_job("a"))
    result = dkron("job", "delete", "a", "b", "c")
    assert (result.code, result.out) == (3, "a is deleted.\n")
    assert [request.path for request in server.requests] == ["/v1/jobs/a", "/v1/jobs/b"]


def test_taking_a_job_over(dkron: Dkron, server: FakeServer) -> None:
    server.on("PATCH", "/v1/jobs/a", make_job("a"))
    assert dkron("job", "take", "a").out == "a comes from no directory.\n"
    assert (server.requests[-1].query, server.requests[-1].body) == ({"take": "true"}, {})


def test_toggle_says_how_it_is_now(dkron: Dkron, server: FakeServer) -> None:
    server.on("POST", "/v1/jobs/a/toggle", make_job("a", disabled=True))
    assert dkron("job", "toggle", "a").out == "a is disabled.\n"


# job run


def run_server(server: FakeServer, *looks: Any) -> None:
    """Answers a run of the job a as group 5; each look at its executions finds the next of `looks`, then the last."""
    answers = chain(looks[:-1], repeat(looks[-1]))
    server.on("POST", "/v1/jobs/a/run", {**make_job("a"), "run": {"group": 5}})
    server.on("GET", "/v1/jobs/a/executions", lambda _: next(answers))


def test_run_without_waiting(dkron: Dkron, server: FakeServer) -> None:
    run_server(server, [])
    result = dkron("job", "run", "a", "--env", "A=1", "--env", "B=x=y")

    assert (result.code, result.out) == (0, "a is to run as group 5.\n")
    assert [request.body for request in server.requests] == [{"env": {"A": "1", "B": "x=y"}}]


def test_trigger_says_when_and_what_for(dkron: Dkron, server: FakeServer) -> None:
    run_server(server, [])
    told = ("--type", "deploy", "--description", "of 1.2", "--env", "V=1.2")
    result = dkron("job", "trigger", "a", "--at", "2026-11-27T03:00:00Z", *told)

    assert (result.code, result.out) == (0, "a is to run at 2026-11-27 04:00:00 as group 5.\n")
    assert [request.body for request in server.requests] == [
        {"at": "2026-11-27T03:00:00Z", "type": "deploy", "description": "of 1.2", "env": {"V": "1.2"}}
    ]


def test_a_trigger_is_cancelled(dkron: Dkron, server: FakeServer) -> None:
    server.on("DELETE", "/v1/jobs/a/triggers/5", make_trigger("a", 5))
    result = dkron("trigger", "cancel", "a", "5")
    assert (result.code, result.out) == (0, "a is not to run as group 5 any more.\n")
    assert dkron("trigger", "cancel", "a", "6").code == 3


def make_link(**fields: Any) -> dict[str, Any]:
    return {
        "job_name": "a",
        "id": "f00",
        "created_at": "2026-11-21T11:00:00Z",
        "created_by": "ann",
        "expires_at": "2026-11-22T12:00:00Z",
        "once": True,
        "uses": 0,
        "used_at": None,
        "fault": None,
        "type": "",
        "description": "of 1.2",
        "env": {},
        **fields,
    }


def test_a_link_is_shown_once_and_whole(dkron: Dkron, server: FakeServer) -> None:
    server.on("POST", "/v1/jobs/a/links", make_link(path="/v1/links/a/f00.sig"))
    result = dkron("link", "create", "a", "--once", "--valid-for", "24h", "--param", "N=3", "--description", "of 1.2")

    assert (result.code, result.out) == (0, f"{server.url}/v1/links/a/f00.sig\n")
    assert [request.body for request in server.requests] == [
        {"valid_for": "24h", "once": True, "parameters": {"N": "3"}, "description": "of 1.2"}
    ]
    made = json.loads(dkron("link", "create", "a", "--format", "json").out)
    assert made["url"] == f"{server.url}/v1/links/a/f00.sig"


def test_links_are_listed_and_revoked(dkron: Dkron, server: FakeServer) -> None:
    server.on("GET", "/v1/links", [make_link(), make_link(id="f01", fault="the link has expired")])
    server.on("GET", "/v1/jobs/a/links", [])
    server.on("DELETE", "/v1/jobs/a/links/f00", make_link())
    listed = dkron("link", "list", "--format", "pretty").out

    assert "in 24h" in listed or "in 1d" in listed
    assert "the link has expired" in listed
    assert dkron("link", "list", "--job", "a", "--format", "pretty").out == "There are no links.\n"
    assert dkron("link", "revoke", "a", "f00").out == "f00 runs a no more.\n"
    assert dkron("link", "revoke", "a", "f02").code == 3


def test_run_waits_for_the_last_retry(dkron: Dkron, server: FakeServer) -> None:
    failed = make_execution("a", 5, state="failed", exit_code=1)
    run_server(
        server,
        [],
        [make_execution("a", 5, state="running", finished_at=None, exit_code=None)],
        [failed, make_execution("a", 5, attempt=2, state="queued", started_at=None, finished_at=None, exit_code=None)],
        problem(503, "the store can't be reached"),
        [failed, make_execution("a", 5, attempt=2)],
    )
    result = dkron("job", "run", "a", "--wait", "--format", "json")

    assert result.code == 0
    assert [execution["state"] for execution in json.loads(result.out)] == ["failed", "success"]
    assert server.requests[-1].query["group"] == "5"


@pytest.mark.parametrize("state", ["failed", "timed_out", "killed", "lost", "skipped"])
def test_a_run_without_success_is_5(dkron: Dkron, server: FakeServer, state: str) -> None:
    attempt = 0 if state == "skipped" else 1
    run_server(server, [make_execution("a", 5, state=state, attempt=attempt, reason="overlap" if not attempt else "")])
    result = dkron("job", "run", "a", "--wait")

    assert result.code == 5
    assert state in result.out


def test_waiting_ends_when_the_server_stays_away(
    dkron: Dkron, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "PATIENCE", 0.0)
    run_server(server, problem(503, "there is no leader"))
    assert dkron("job", "run", "a", "--wait").code == 4


def group(*runs: tuple[int, str, str]) -> list[Any]:
    return [make_execution("a", 5, attempt=attempt, node_name=node, state=state) for attempt, node, state in runs]


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([(1, "n1", "success"), (1, "n2", "success")], True),
        ([(1, "n1", "success"), (1, "n2", "failed")], False),
        ([(1, "n1", "failed"), (2, "n1", "success")], True),
        ([(1, "n1", "failed"), (2, "n2", "success")], True),
        ([(1, "n1", "failed"), (2, "n2", "failed")], False),
        ([(1, "n1", "failed"), (1, "n2", "success"), (2, "n2", "success")], True),
        ([(1, "n1", "failed"), (1, "n2", "failed"), (2, "n1", "success")], False),
        ([(0, "", "skipped")], False),
    ],
)
def test_a_group_succeeds_when_every_chain_of_attempts_does(runs: list[tuple[int, str, str]], expected: bool) -> None:
    assert succeeded(group(*runs)) is expected


# output

OUTPUT = "/v1/jobs/a/executions/5-1-n1/output"


def test_output_is_byte_for_byte(server: FakeServer) -> None:
    server.on("GET", OUTPUT, Answer(b"\xff\x00\x1b[1m\r\n", headers={"X-Output-Start": "100"}))
    environ = {**os.environ, "DKRON_API_URL": server.url}
    command = [sys.executable, "-P", "-m", "dkronpy", "execution", "output", "a", "5-1-n1"]
    ended = subprocess.run(command, env=environ, capture_output=True, check=True)

    assert ended.stdout == b"\xff\x00\x1b[1m\r\n"
    assert ended.stderr == b"dkron: bytes 0 to 100 of the output are no longer kept\n"


def test_following_goes_on_where_it_broke_off(
    dkron: Dkron, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "_AGAIN", 0.0)
    parts = iter(
        [
            Answer(sse(("output", '{"offset": 0, "data": "ä"}', "2"))),
            problem(503, "the node is stopping"),
            Answer(sse(("output", '{"offset": 9, "data": "b\\n"}', "11"), ("end", "null", "11"))),
        ]
    )
    server.on("GET", OUTPUT, lambda _: next(parts))
    result = dkron("execution", "output", "a", "5-1-n1", "--follow")

    assert (result.code, result.out) == (0, "äb\n")
    assert "bytes 2 to 9" in result.err
    assert [request.query["offset"] for request in server.requests] == ["0", "2", "2"]


def test_tail_follows_the_newest_run(dkron: Dkron, server: FakeServer) -> None:
    server.on(
        "GET",
        "/v1/jobs/a/executions",
        [make_execution("a", 9, attempt=0, node_name="", state="skipped"), make_execution("a", 5)],
    )
    server.on("GET", OUTPUT, Answer(sse(("output", '{"offset": 0, "data": "x\\n"}', "2"), ("end", "null", "2"))))
    result = dkron("execution", "tail", "a")

    assert (result.code, result.out) == (0, "x\n")
    assert result.err == "dkron: a 5-1-n1 on n1\n"


def test_tail_of_a_job_that_never_ran_is_3(dkron: Dkron, server: FakeServer) -> None:
    server.on("GET", "/v1/jobs/a/executions", [])
    assert dkron("execution", "tail", "a").code == 3


def test_tail_of_all_that_runs(dkron: Dkron, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "_LOOK", 0.0)
    written = {"a": b"one\ntw", "b": b"x"}
    looks = iter([[make_execution("a", 5)], [make_execution("a", 5), make_execution("b", 6)], [], None])

    def busy(_: Request) -> Any:
        found = next(looks)
        if found is None:
            raise KeyboardInterrupt
        if len(found) == 2:
            written["a"] += b"o\nrest"
        return found

    def output(request: Request) -> Answer:
        offset = int(request.query["offset"])
        return Answer(written[request.path.split("/")[3]][offset:], headers={"X-Output-Start": str(offset)})

    server.on("GET", OUTPUT, output)
    server.on("GET", "/v1/jobs/b/executions/6-1-n1/output", output)
    server.on("GET", "/v1/busy", busy)
    monkeypatch.setattr("dkronpy.client.Client.busy", lambda _: busy(None))  # pyright: ignore[reportArgumentType]
    result = dkron("execution", "tail")

    assert result.code == 130
    assert result.out == "a n1 | one\na n1 | two\na n1 | rest\nb n1 | x\n"


def test_kill(dkron: Dkron, server: FakeServer) -> None:
    server.on("POST", "/v1/jobs/a/executions/5-1-n1/kill", make_execution("a", 5, state="running"))
    assert dkron("execution", "kill", "a", "5-1-n1").out == "5-1-n1 is to end.\n"


# cluster


def member(name: str, **tags: str) -> dict[str, Any]:
    return {
        "id": name,
        "Name": name,
        "Addr": "127.0.0.1",
        "Port": 8946,
        "Status": 1,
        "statusText": "alive",
        "Tags": {"dkron_server": "true", **tags},
    }


def test_status_tells_in_its_exit_code(dkron: Dkron, server: FakeServer) -> None:
    server.on("GET", "/v1/pause", {"paused": False})
    for health, code in (
        (Answer({"status": "healthy", "leader_name": "n1"}), 0),
        (Answer({"status": "unhealthy", "leader_name": "n1", "issues": ["the disk is full"]}, 503), 1),
        (Answer({"status": "healthy", "leader_name": None}), 4),
    ):
        server.on("GET", "/health", health)
        assert dkron("status").code == code


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "[::]"])
def test_leave_of_another_member(dkron: Dkron, server: FakeServer, host: str) -> None:
    port = server.url.rpartition(":")[2]
    server.on("GET", "/v1/members", [member("n1"), member("n2", http_addr=f"{host}:{port}")])
    server.on("GET", "/v1", {"agent": {"name": "n2"}})
    server.on("POST", "/v1/leave", [])

    assert dkron("leave", "--node", "n2").code == 0
    assert len(server.seen("POST")) == 1


def test_leave_never_reaches_another_node_than_the_one_named(dkron: Dkron, server: FakeServer) -> None:
    members = [
        member("n2", http_addr=server.url.removeprefix("http://")),
        member("n3"),
        member("n4", http_addr="x:1", dkron_server="false"),
    ]
    server.on("GET", "/v1/members", members)
    server.on("GET", "/v1", {"agent": {"name": "n1"}})
    server.on("POST", "/v1/leave", [])

    wrong, unknown, without, agent_only = (dkron("leave", "--node", name) for name in ("n2", "n9", "n3", "n4"))
    assert (wrong.code, unknown.code, without.code, agent_only.code) == (1, 3, 1, 1)
    assert "is n1; name the right one with --api" in wrong.err
    assert "there are: n2, n3, n4" in unknown.err
    assert server.seen("POST") == []


def test_leave_pause_and_unpause(dkron: Dkron, server: FakeServer) -> None:
    server.on("POST", "/v1/leave", [])
    server.on("POST", "/v1/pause", {"paused": True})
    server.on("POST", "/v1/unpause", {"paused": False})

    assert dkron("leave").code == 0
    assert dkron("pause", "new disks").code == 0
    assert dkron("unpause").code == 0
    assert [request.body for request in server.requests] == [None, {"reason": "new disks"}, None]


def backfill(**fields: Any) -> dict[str, Any]:
    """A backfill as the API shows it."""
    times = {"from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z", "asked_at": "2026-11-21T11:00:00Z"}
    never = {"ended_at": None, "cancelled_at": None, "cancelled_by": ""}
    about = {"job_name": "a", "policy": "missing", "parallel": 2, "asked_by": "ann", "state": "running"}
    return {**about, **times, **never, "total": 30, "started": 4, "in_flight": 2, **fields}


def test_backfill(dkron: Dkron, server: FakeServer) -> None:
    fires = [f"2026-11-01T{hour:02}:00:00Z" for hour in range(24)]
    chosen = {"fires": fires, "left_out": {"in_flight": 1, "succeeded": 3}, "backfill": None}
    server.on("POST", "/v1/jobs/a/backfill", chosen)
    given = ("job", "backfill", "a", "--from", "2026-11-01T00:00:00Z")
    told = dkron(*given, "--dry-run", "--format=pretty")
    assert server.requests[-1].body == {
        "from": "2026-11-01T00:00:00Z",
        "policy": "missing",
        "parallel": 1,
        "dry_run": True,
    }
    lines = told.out.splitlines()
    assert lines[0] == "24 fires of a would run:"
    assert "and 4 more" in lines[21]
    assert lines[22:] == ["1 left out: in flight", "3 left out: succeeded"]
    assert dkron(*given, "--dry-run", "--format=tabular").out.splitlines() == ["fire", *fires]
    assert json.loads(dkron(*given, "--format=json").out) == chosen
    more = ("--to", "2026-11-02T00:00:00Z", "--policy", "all", "--parallel", "4")
    assert dkron(*given, *more, "--format=pretty").out.startswith("24 fires of a will run, from 20")
    assert server.requests[-1].body["to"] == "2026-11-02T00:00:00Z"
    server.on("POST", "/v1/jobs/a/backfill", {"fires": [], "left_out": {}, "backfill": None})
    assert dkron(*given, "--format=pretty").out == "No fire of a is to be run.\n"
    assert dkron("job", "backfill", "a").code == 2


def test_backfills_are_listed_and_cancelled(dkron: Dkron, server: FakeServer) -> None:
    server.on("GET", "/v1/backfills", [backfill()])
    server.on("DELETE", "/v1/jobs/a/backfill", backfill(state="cancelling"))
    assert "4 of 30" in dkron("backfill", "list", "--format=pretty").out
    cancelled = dkron("backfill", "cancel", "a", "--format=pretty")
    assert cancelled.out == "26 fires of a will not run; 2 are in flight.\n"
    assert dkron("backfill", "cancel", "b").code == 3


def test_settings(dkron: Dkron, server: FakeServer) -> None:
    held = {"env": {"A": "1", "B": "2"}, "updated_at": None, "updated_by": ""}
    server.on("GET", "/v1/settings", held)
    server.on("PUT", "/v1/settings", held)
    assert dkron("settings", "show").out == "name\tvalue\nA\t1\nB\t2\n"
    assert json.loads(dkron("settings", "show", "--format", "json").out) == held
    assert dkron("settings", "set", "--env", "C=x=y", "--env", "A=3", "--unset", "B").code == 0
    assert server.requests[-1].body == {"env": {"A": "3", "C": "x=y"}}
    assert dkron("settings", "set", "--env", "C").code == 2


def test_drains(dkron: Dkron, server: FakeServer) -> None:
    drained = {**member("n2"), "drained": {"since": "2026-11-21T11:00:00Z", "by": "ops"}}
    server.on("GET", "/v1/members", [member("n1"), drained])
    server.on("POST", "/v1/nodes/n2/drain", drained)
    server.on("POST", "/v1/nodes/n2/undrain", member("n2"))
    listed = dkron("node", "list", "--format=pretty")
    assert listed.code == 0
    first, second = listed.out.splitlines()[1:3]
    assert "ops" not in first
    assert "ops" in second
    assert dkron("node", "drain", "n2").code == 0
    assert dkron("node", "undrain", "n2").code == 0
    assert dkron("node", "drain", "n9").code == 3


def test_list_peers(dkron: Dkron, server: FakeServer) -> None:
    peers = [
        {"node": "n1", "address": "10.0.0.1:6868", "state": "leader"},
        {"node": "n2", "address": "10.0.0.2:6868", "state": "unreachable"},
    ]
    server.on("GET", "/v1/raft/peers", peers)
    lines = dkron("raft", "list-peers", "--format=tabular").out.splitlines()
    assert [line.split("\t") for line in lines[1:]] == [list(peer.values()) for peer in peers]


# keyring


def key_report(**fields: Any) -> dict[str, Any]:
    return {"complete": True, "members": 2, "answered": 2, "errors": {}, "keys": {}, "primary": {}, **fields}


def test_keyring(dkron: Dkron, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.on("GET", "/v1/keyring", key_report(keys={"a2V5": 2, "bmV3": 1}, primary={"a2V5": 2}))
    for operation in ("install", "use", "remove"):
        server.on("POST", f"/v1/keyring/{operation}", key_report())

    listed = dkron("keyring", "list", "--format=tabular")
    assert listed.code == 0
    assert [line.split("\t") for line in listed.out.splitlines()[1:]] == [
        ["a2V5", "2", "2", "2"],
        ["bmV3", "1", "0", "2"],
    ]
    assert dkron("keyring", "install", "bmV3").code == 0
    assert dkron("keyring", "use", "bmV3").code == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("a2V5\n"))
    assert dkron("keyring", "remove", "-").code == 0
    seen = [(request.path, request.body["key"]) for request in server.seen("POST")]
    assert seen == [("/v1/keyring/install", "bmV3"), ("/v1/keyring/use", "bmV3"), ("/v1/keyring/remove", "a2V5")]


def test_a_key_that_not_all_nodes_took_is_1(dkron: Dkron, server: FakeServer) -> None:
    report = key_report(complete=False, answered=1, errors={"n2": "the key is not in the keyring"})
    server.on("POST", "/v1/keyring/use", report)
    server.on("GET", "/v1/keyring", report)
    result = dkron("keyring", "use", "bmV3")
    assert result.code == 1
    assert "1 of 2 nodes answered" in result.err
    assert "n2: the key is not in the keyring" in result.err
    assert dkron("keyring", "list").code == 1


# agent


def test_the_agent_gets_its_arguments_untouched(dkron: Dkron, monkeypatch: pytest.MonkeyPatch) -> None:
    import dkronpy.agent

    seen: list[Any] = []

    def run(loaded: Any, *, reload: Callable[[], Any], hung_up: Callable[[], bool]) -> int:
        before = hung_up()
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGUSR1)  # would end this process
        seen.append((loaded, reload(), before, hung_up()))
        return 7

    monkeypatch.setattr(dkronpy.agent, "run", run)
    ours = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGUSR1)}
    result = dkron(
        "agent",
        "--server",
        "--tag",
        "a=b",
        "--node-name=n7",
        "-log-level",
        "debug",
        "--http-addr",
        ":0",
        "--allow-unauthenticated",
    )

    for number, handler in ours.items():
        signal.signal(number, handler)
    assert result.code == 7
    loaded, again, *hung_up = seen[0]
    assert hung_up == [False, True]
    assert (loaded.settings.node_name, loaded.settings.server, loaded.settings.tags) == ("n7", True, {"a": "b"})
    assert again == loaded


def test_a_bad_configuration_is_2_with_every_problem(dkron: Dkron) -> None:
    result = dkron("agent", "--bind-addr", "nonsense:x", "--log-level", "loud")
    assert result.code == 2
    assert "bind-addr" in result.err
    assert "log-level" in result.err


def test_an_error_of_the_agent_is_not_taken_for_one_of_the_output(
    dkron: Dkron, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dkronpy.agent

    def fail(*_: Any, **__: Any) -> int:
        raise PermissionError(13, "Permission denied", "/data")

    monkeypatch.setattr(dkronpy.agent, "run", fail)
    with pytest.raises(PermissionError):
        dkron("agent", "--server")
