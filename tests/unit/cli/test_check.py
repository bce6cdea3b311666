"""`dkron check` and `check_dkron`: what Nagios is told."""

from __future__ import annotations

from typing import Any

import pytest

from dkronpy.cli import check
from tests.support.fake_api import FakeServer, make_execution, make_job, problem
from tests.unit.cli.conftest import Dkron

RUN = 1795262404000000000


def tell(server: FakeServer, job: dict[str, Any] | None = None, *runs: dict[str, Any]) -> None:
    server.on("GET", "/v1/jobs/backup", make_job("backup", **(job or {})))
    server.on("GET", "/v1/jobs/backup/executions", list(runs))


@pytest.mark.parametrize(
    ("status", "state", "options", "code", "said"),
    [
        (
            "success",
            "success",
            (),
            0,
            "OK - backup: success 59m ago | age=3598s;;;0 duration=1.500s;;;0 exit_code=0",
        ),
        ("failed", "failed", (), 2, "CRITICAL - backup: failed 59m ago"),
        ("partially_failed", "success", (), 1, "WARNING - backup: success"),
        (
            "success",
            "success",
            ("-w", "59m"),
            1,
            "WARNING - backup: success 59m ago, which is too long ago | age=3598s;3540;;0",
        ),
        ("success", "success", ("-w", "60", "--critical", "600s"), 2, "CRITICAL - backup: success"),
        ("failed", "failed", ("-w", "1m"), 2, "CRITICAL - backup: failed"),
        ("success", "success", ("-w", "1h"), 0, "OK"),
        ("", "lost", (), 3, "UNKNOWN - backup: lost"),
    ],
)
def test_results(
    dkron: Dkron, server: FakeServer, status: str, state: str, options: tuple[str, ...], code: int, said: str
) -> None:
    tell(server, {"status": status}, make_execution("backup", RUN, state=state))
    result = dkron("check", "backup", *options)
    assert (result.code, result.err) == (code, "")
    assert result.out.startswith(said)
    assert result.out.count("\n") == 1


@pytest.mark.parametrize(("found", "code"), [("ok", 0), ("warning", 1), ("critical", 2), ("unknown", 3)])
def test_a_check_passes_on_what_its_plugin_said(dkron: Dkron, server: FakeServer, found: str, code: int) -> None:
    output = "DISK /: 91% \x1b[31m| /=91%;80;95\nmore\x07 of it | /home=5%\n"
    run = make_execution("backup", RUN, state="success" if found == "ok" else "failed", check=found, output=output)
    tell(server, {"status": "failed", "check": found}, run)
    result = dkron("check", "backup")
    assert result.code == code
    assert result.out == (
        f"{found.upper()} - backup: {run['state']} 59m ago: DISK /: 91% \\x1b[31m | "
        "age=3598s;;;0 duration=1.500s;;;0 exit_code=0 /=91%;80;95\nmore\\x07 of it | /home=5%\n"
    )


def test_what_it_can_not_know(dkron: Dkron, server: FakeServer) -> None:
    server.on("GET", "/v1/jobs/backup", problem(404, "there is no job 'backup' | no"))
    result = dkron("check", "backup")
    assert (result.code, result.out) == (3, "UNKNOWN - backup: there is no job 'backup' / no\n")
    tell(server)
    assert dkron("check", "backup").out == "UNKNOWN - backup: it has not run\n"
    result = dkron("--api", "http://127.0.0.1:1", "check", "backup")
    assert (result.code, result.out.startswith("UNKNOWN - backup: cannot reach")) == (3, True)


def test_a_disabled_job_is_told(dkron: Dkron, server: FakeServer) -> None:
    tell(server, {"status": "success", "disabled": True}, make_execution("backup", RUN))
    assert "and the job is disabled" in dkron("check", "backup").out


def test_the_program_of_its_own(dkron: Dkron, server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    tell(server, {"status": "failed"}, make_execution("backup", RUN, state="failed"))
    assert check.main(["backup", "--api", server.url]) == 2
    assert capsys.readouterr().out.startswith("CRITICAL - backup: failed")
    assert check.main(["backup", "--warning", "soon"]) == 3
    assert "soon" in capsys.readouterr().err
    assert check.main(["--help"]) == 0
