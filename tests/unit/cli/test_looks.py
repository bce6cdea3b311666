"""Commands that show many runs at once: stats, report, watch; and shell, completion, calendars and the pager."""

from __future__ import annotations

import gzip
import json
import os
import re
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dkronpy.cli import output
from dkronpy.cli.completion import SHELLS, grammar
from dkronpy.cli.main import build_parser
from dkronpy.cli.stats import quantile, sparkline
from tests.support.fake_api import Answer, FakeServer, Request, make_execution, make_job, problem
from tests.unit.cli.conftest import Dkron

FIRST = 1795262400000000000


def runs(job: str = "backup", seconds: tuple[float, ...] = (1, 2, 4, 8)) -> list[dict[str, Any]]:
    """Newest first; the third failed."""
    found = [
        make_execution(
            job,
            FIRST + index * 10**9,
            state="failed" if index == 2 else "success",
            exit_code=int(index == 2),
            started_at="2026-11-21T11:00:00Z",
            finished_at=f"2026-11-21T11:00:{taken:09.6f}Z",
        )
        for index, taken in enumerate(seconds)
    ]
    return found[::-1]


def test_stats(dkron: Dkron, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = make_execution("later", FIRST, state="skipped", attempt=0, started_at=None, finished_at=None)
    server.on("GET", "/v1/executions", [*runs(), *runs("quick", (0.001,)), waits])
    found = json.loads(dkron("execution", "stats", "--since", "2026-11-19T12:00Z", "--format", "json").out)
    assert [job["job_name"] for job in found] == ["backup", "quick"]
    backup = found[0]
    assert (backup["runs"], backup["failed"], backup["success_rate"]) == (4, 1, 0.75)
    assert [backup[key] for key in ("p50", "p90", "p99", "max")] == [2, 8, 8, 8]
    assert backup["durations"] == [1, 2, 4, 8]
    assert server.requests[0].query["status"] == "success,failed,timed_out,killed,lost"
    assert server.requests[0].query["since"] == "2026-11-19T12:00:00Z"
    for width in (80, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        shown = dkron("run", "stats", "--format", "pretty", "--sort", "failed").out.splitlines()
        assert all(len(line) <= width for line in shown)
        assert shown[1].startswith("backup     4       1     75 %      2s    8s")
        assert shown[1].endswith("▂▃▅█")
    assert dkron("run", "stats").out.splitlines()[1] == (
        "backup\t4\t3\t1\t0.75\t2.0\t8.0\t8.0\t8.0\t2026-11-21T11:00:08.000000Z"
    )
    assert dkron("run", "stats", "--sort", "time").out.splitlines()[1].startswith("backup")


def test_stats_of_some_jobs_and_of_none(dkron: Dkron, server: FakeServer) -> None:
    server.on("GET", "/v1/jobs/backup/executions", [])
    assert dkron("execution", "stats", "backup", "--format", "pretty").out == "Nothing has run.\n"
    assert dkron("execution", "stats", "nobody").code == 3


def test_quantiles_and_sparklines() -> None:
    assert [quantile([1, 2, 3, 4], part) for part in (0, 0.25, 0.5, 0.51, 1)] == [1, 1, 2, 3, 4]
    assert quantile([], 0.5) is None
    assert sparkline([0, 1, 7.99, 8]) == "▁▂██"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""


@pytest.fixture
def site(server: FakeServer) -> FakeServer:
    evil = make_job("evil", displayname="<script>alert(1)</script>", executor_config={"command": "a\nb <i>"})
    jobs = [make_job("backup", status="success"), evil, make_job("hidden", metadata={"render_reports": "false"})]
    server.on("GET", "/v1/jobs", jobs)
    server.on("GET", "/v1/stats", {"stats": [{"date": "2026-11-21", "success_count": 3, "failed_count": 1}]})
    server.on("GET", "/v1/jobs/backup/executions", [make_execution("backup", FIRST + 10**10, state="running"), *runs()])
    server.on("GET", "/v1/jobs/evil/executions", [make_execution("evil", FIRST, error="<b>", node_name="../x")])
    for run in runs():
        server.on("GET", f"/v1/jobs/backup/executions/{run['id']}/output", Answer(b"fine \xff <br>\n"))
    cut = Answer(b"end", headers={"X-Output-Start": "2"})
    server.on("GET", f"/v1/jobs/evil/executions/{FIRST}-1-..%2Fx/output", cut)
    return server


def test_report(dkron: Dkron, site: FakeServer, tmp_path: Path) -> None:
    where = tmp_path / "site"
    result = dkron("report", str(where), "--output", "3")
    assert (result.code, result.out) == (0, f"{where}/index.html: 2 jobs, 5 pages of runs written.\n")
    pages = {str(path.relative_to(where)): path.read_text() for path in where.rglob("*.html")}
    assert len(pages) == 8
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".html"]
    assert all("<script" not in page and "<b>" not in page and "<i>" not in page for page in pages.values())
    assert "hidden" not in pages["index.html"]
    assert pages["index.html"].count("<svg") == 3
    assert "fine \ufffd &lt;br&gt;" in pages[f"backup/{FIRST}-1-n1.html"]
    assert "The first 2 of 5 bytes are left out." in pages[f"evil/{FIRST}-1-.._x.html"]
    for name, page in pages.items():  # every link leads to a page
        for link in re.findall(r'href="([^"]+)"', page):
            assert (where / name).parent.joinpath(link).resolve().is_file(), (name, link)


def test_a_report_again_writes_only_what_is_new(dkron: Dkron, site: FakeServer, tmp_path: Path) -> None:
    dkron("report", str(tmp_path))
    before = len(site.requests)
    assert "0 pages of runs written" in dkron("report", str(tmp_path)).out
    assert not [request for request in site.requests[before:] if request.path.endswith("/output")]
    assert "5 pages of runs written" in dkron("report", str(tmp_path), "--regenerate").out
    dkron("report", str(tmp_path), "--gzip")
    assert gzip.decompress((tmp_path / "index.html.gz").read_bytes()).startswith(b"<!doctype html>")


def test_a_report_that_can_not_be_written_is_2(dkron: Dkron, site: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = dkron("report", str(tmp_path / "file" / "site"))
    assert (result.code, "cannot write" in result.err) == (2, True)


def in_short(job: str, **fields: Any) -> dict[str, Any]:
    """A run as the overview tells of it."""
    about = {
        "job_name": job,
        "node_name": "n1",
        "state": "failed",
        "reason": "",
        "error": "",
        "exit_code": 3,
        "count": 1,
    }
    times = {"fire_time": "2026-11-21T11:00:00Z", "finished_at": "2026-11-21T11:00:02Z"}
    return {**about, **times, "started_at": "2026-11-21T11:00:00.5Z", **fields}


OVERVIEW = {
    "leader": "n1",
    "issues": [],
    "pause": {"paused": True, "reason": "moving\x1b[31m"},
    "jobs": {"total": 7, "disabled": 0, "failing": 1},
    "in_flight": {"running": 1, "dispatched": 0, "queued": 2},
    "runs": [in_short("backup", state="running", exit_code=None, finished_at=None)],
    "problems": [in_short(f"job{number}") for number in range(30)],
    "day": {"success": 5, "failed": 1, "skipped": 0, "missed": 1},
    "upcoming": [{"job": "report", "time": "2026-11-21T12:05:00Z"}],
}


def test_watch(dkron: Dkron, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    member = {"Name": "n1", "statusText": "alive", "Tags": {"dkron_server": "true"}, "drained": None}
    server.on("GET", "/v1/overview", OVERVIEW)
    server.on("GET", "/v1/members", [member, {**member, "Name": "n2", "Tags": {}, "drained": {"by": "ops"}}])
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "30")
    lines = dkron("watch", "--format", "pretty").out.splitlines()
    assert len(lines) <= 30
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("13:00:00  leader n1  paused: moving\\x1b[31m  7 jobs, 1 failing  1 running")
    text = "\n".join(" ".join(line.split()) for line in lines)
    for said in ("n1 alive leader", "n2 alive agent drained", "backup n1 running 1h", "in 5m report", "exit code 3"):
        assert said in text
    assert json.loads(dkron("watch", "--format", "json").out)["overview"]["leader"] == "n1"


def test_watch_on_a_terminal_goes_on_without_a_server() -> None:
    pid, terminal = os.forkpty()
    if pid == 0:
        os.environ |= {"TERM": "xterm", "DKRON_API_URL": "http://127.0.0.1:1"}
        os.execv(sys.executable, [sys.executable, "-m", "dkronpy", "watch", "--interval", "0.1"])
    seen = b""
    while seen.count(b"trying again") < 2:
        assert select.select([terminal], [], [], 60)[0]
        seen += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    while b"\x1b[?1049l" not in seen:  # the screen is given back
        assert select.select([terminal], [], [], 60)[0]
        seen += os.read(terminal, 4096)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    os.close(terminal)


def test_shell(dkron: Dkron, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.on("GET", "/v1/jobs", [make_job("backup")])
    assert dkron("shell", "-c", "print(*jobs(), NotFound.__name__)").out == "backup NotFound\n"
    answers = iter(["x = jobs()", "print(len(x), client.url)"])

    def say(_prompt: str) -> str:
        try:
            return next(answers)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", say)
    result = dkron("shell")
    assert result.out == f"1 {server.url}\n"
    assert "a dkronpy.client.Client" in result.err


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_knows_the_whole_grammar(dkron: Dkron, shell: str) -> None:
    result = dkron("completion", shell)
    assert (result.code, result.err) == (0, "")
    for node in grammar(build_parser()):
        assert "/".join(node.path) in result.out or " ".join(node.path) in result.out
        for option in node.options:
            assert all(name.lstrip("-") in result.out for name in option.names)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dkron jo", {"job"}),
        ("dkron execution l", {"list"}),
        ("dkron run sta", {"stats"}),
        ("dkron --format json job sho", {"show"}),
        ("dkron job show ", {"backup", "report"}),
        ("dkron job run rep", {"report"}),
        ("dkron execution list --job b", {"backup"}),
        ("dkron job list --status fa", {"failed"}),
        ("dkron completion z", {"zsh"}),
        ("dkron execution list --si", {"--since"}),
        ("dkron execution list --since ", set()),
    ],
)
def test_bash_completes(dkron: Dkron, tmp_path: Path, line: str, expected: set[str]) -> None:
    """In a real bash, with a `dkron` that lists two jobs."""
    (tmp_path / "completion").write_text(dkron("completion", "bash").out)
    fake = tmp_path / "dkron"
    fake.write_text("#!/bin/sh\nprintf 'name\\tstatus\\nbackup\\t\\nreport\\t\\n'\n")
    fake.chmod(0o755)
    words = line.split(" ")
    script = f"""
source {tmp_path / "completion"}
COMP_WORDS=({" ".join(f"'{word}'" for word in words)})
COMP_CWORD={len(words) - 1}
_dkron
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=environ)
    assert (set(done.stdout.split()), done.stderr) == (expected, "")


CALENDAR = {
    "name": "company",
    "description": "",
    "timezone": "Europe/Berlin",
    "all_jobs": False,
    "days": ["12-24", "12-25", "12-26", "12-27"],
    "holidays": ["DE-BY"],
    "holiday_days": ["2026-01-01", "2026-01-06"],
    "icalendar": "",
    "blackouts": [{"schedule": "0 22 * * FRI", "duration": "8h"}],
}


def test_calendars(dkron: Dkron, server: FakeServer, tmp_path: Path) -> None:
    server.on("GET", "/v1/calendars", [CALENDAR])
    server.on("GET", "/v1/calendars/company", CALENDAR)
    server.on("DELETE", "/v1/calendars/company", CALENDAR)
    excludes = "12-24, 12-25, 12-26 and 1 more; holidays of DE-BY; blackouts"
    assert excludes in dkron("calendar", "list", "--format", "pretty").out
    shown = dkron("calendar", "show", "company", "--format", "pretty").out
    assert "Found      2 days, 2026-01-01 to 2026-01-06" in shown
    assert "Blackouts  0 22 * * FRI for 8h" in shown
    assert dkron("calendar", "delete", "company").out == "company is deleted.\n"

    def put(request: Request) -> dict[str, Any]:
        return {**CALENDAR, **request.body}

    server.on("PUT", "/v1/calendars/company", put)
    (tmp_path / "closed.ics").write_text("BEGIN:VCALENDAR\nEND:VCALENDAR\n")
    file = str(tmp_path / "closed.ics")
    options = ("--day", "2026-05-01", "--clear", "holidays", "--all-jobs", "true", "--icalendar", file)
    assert dkron("calendar", "set", "company", *options).out == (
        "company excludes 2026-05-01; an iCalendar file; blackouts.\n"
    )
    sent = server.seen("PUT")[0].body
    assert sent == {
        **CALENDAR,
        "days": ["2026-05-01"],
        "holidays": [],
        "all_jobs": True,
        "icalendar": "BEGIN:VCALENDAR\nEND:VCALENDAR\n",
    }
    assert dkron("calendar", "set", "company", "--icalendar", str(tmp_path / "none")).code == 2
    server.on("PUT", "/v1/calendars/new", problem(400, "the calendar is wrong", days="no day"))
    assert "days: no day" in dkron("calendar", "set", "new", "--day", "x").err


def test_pager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = tmp_path / "seen"
    for pager, used in (
        ("", False),
        ("cat", False),
        ("no-such-pager -x", False),
        (f"tee '{seen}'", True),
        ("true", True),
    ):
        monkeypatch.setenv("PAGER", pager)
        assert output.page("many lines\n" * 50_000) is used
    assert seen.read_text() == "many lines\n" * 50_000


def test_long_lists_are_paged_on_terminals_only(server: FakeServer, tmp_path: Path) -> None:
    server.on("GET", "/v1/jobs", [make_job(f"job{number}") for number in range(60)])
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\nwc -l > {tmp_path}/lines\n")
    pager.chmod(0o755)
    pid, terminal = os.forkpty()
    if pid == 0:
        os.environ |= {"TERM": "xterm", "DKRON_API_URL": server.url, "PAGER": str(pager), "LINES": "24"}
        os.execv(sys.executable, [sys.executable, "-m", "dkronpy", "job", "list"])
    seen = b""
    try:
        while data := os.read(terminal, 4096):
            seen += data
    except OSError:  # how Linux tells that the other end is closed
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (tmp_path / "lines").read_text().strip() == "61"
    assert b"job59" not in seen
