"""The command against a real server: what people do with it, over a crash of the server too."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.conftest import Dkron
from tests.support.processes import HOST, Agent, until

JOBS = """
name: backup
schedule: 30 2 * * *
timezone: Europe/Berlin
tags: {dkron_server: "true:1"}
retry: {on: any}
executor: shell
executor_config:
  shell: "true"
  command: |
    echo "from $PLACE"
    exit ${CODE:-0}
---
- kind: job
  name: report
  parent_job: backup
  executor: shell
  executor_config: {command: date}
- name: endless
  schedule: "@manually"
  executor: shell
  executor_config: {command: "echo up; exec sleep 600", shell: "true"}
"""


@contextmanager
def running(directory: Path) -> Generator[Agent]:
    agent = Agent(directory)
    try:
        yield agent.start()
    finally:
        agent.clean_up()


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    with running(tmp_path_factory.mktemp("agent")) as agent:
        yield agent


@pytest.fixture
def dkron(agent: Agent, tmp_path: Path) -> Dkron:
    """The command, against a server that has the jobs above."""
    dkron = Dkron(agent)
    (tmp_path / "jobs.yml").write_text(JOBS)
    dkron("job", "apply", str(tmp_path / "jobs.yml"))
    return dkron


def test_apply_is_idempotent_and_shows_differences(dkron: Dkron, tmp_path: Path) -> None:
    path = tmp_path / "jobs.yml"
    again = dkron.json("job", "apply", str(path))
    assert [(row["name"], row["action"]) for row in again] == [
        *(("backup", "unchanged"), ("report", "unchanged"), ("endless", "unchanged")),
    ]
    path.write_text(JOBS.replace("30 2", "30 4"))
    (changed, *_) = dkron.json("job", "apply", str(path), "--dry-run")
    assert changed["changes"] == [{"field": "schedule", "old": "30 2 * * *", "new": "30 4 * * *"}]
    assert [fire["local"][11:16] for key in ("old", "new") for fire in changed["fires"][key]] == ["02:30"] * 3 + [
        "04:30"
    ] * 3
    assert dkron.json("job", "show", "backup")["schedule"] == "30 2 * * *"


def test_every_shown_job_can_be_applied_again(dkron: Dkron, tmp_path: Path) -> None:
    for form in ("yaml", "json"):
        path = tmp_path / f"all.{form}"
        path.write_text(dkron("job", "list", "--format", form))
        assert {row["action"] for row in dkron.json("job", "apply", str(path))} == {"unchanged"}


def test_run_and_wait(dkron: Dkron) -> None:
    (good,) = dkron_run(dkron, "--env", "PLACE=here", code=0)
    (bad,) = dkron_run(dkron, "--env", "CODE=9", code=5)

    assert (good["state"], good["exit_code"], good["output"]) == ("success", 0, "from here\n")
    assert (bad["state"], bad["exit_code"]) == ("failed", 9)
    assert dkron("execution", "output", "backup", good["id"]) == "from here\n"
    assert dkron.json("execution", "show", "backup", good["id"])["env"] == {"PLACE": "here"}
    listed = dkron.json("execution", "list", "--job", "backup", "--status", "failed", "--since", "10m")
    assert bad["id"] in [execution["id"] for execution in listed]
    assert "killed" not in dkron("execution", "list", "--limit", "1")


def dkron_run(dkron: Dkron, *argv: str, code: int) -> Any:
    return json.loads(dkron("job", "run", "backup", *argv, "--wait", "--format", "json", code=code))


def test_pretty_lists_need_no_output(dkron: Dkron) -> None:
    dkron_run(dkron, "--env", "PLACE=somewhere-else", code=0)
    assert "somewhere-else" not in dkron("execution", "list")
    assert "somewhere-else" in dkron("execution", "list", "--format", "yaml")


def test_what_is_not_there(dkron: Dkron) -> None:
    assert "there is no job 'nosuch'" in dkron("job", "show", "nosuch", code=3)
    dkron("job", "run", "nosuch", code=3)
    dkron("execution", "output", "backup", "1-1-nowhere", code=3)


def test_what_the_server_refuses(dkron: Dkron) -> None:
    assert "report" in dkron("job", "delete", "backup", code=1)  # it has a dependent
    assert "_sort" in dkron("job", "list", "--sort", "colour", code=1)


def test_kill(dkron: Dkron) -> None:
    dkron("job", "run", "endless")
    execution = until(
        lambda: dkron.json("execution", "list", "--job", "endless", "--status", "running"), 60, "it runs"
    )[0]
    dkron("execution", "kill", "endless", execution["id"])
    until(lambda: dkron.json("execution", "show", "endless", execution["id"])["state"] == "killed", 60, "it is killed")
    assert "over already" in dkron("execution", "kill", "endless", execution["id"], code=1)


def test_toggle_next_and_explain(dkron: Dkron) -> None:
    (fire,) = dkron.json("job", "next", "backup", "--count", "1")
    assert fire["local"][11:19] == "02:30:00"
    assert dkron.json("job", "explain", "backup")["verdict"] == "will_run"
    assert "disabled" in dkron("job", "toggle", "backup")
    assert dkron.json("job", "next", "backup") == []
    assert "enabled" in dkron("job", "toggle", "backup")


def test_pause_status_and_members(dkron: Dkron) -> None:
    dkron("pause", "new disks")
    assert dkron.json("status")["pause"]["reason"] == "new disks"
    assert dkron.json("job", "explain", "backup")["verdict"] == "will_not_run"
    dkron("unpause")
    status = dkron.json("status")
    assert (status["healthy"], status["leader"], status["pause"]["paused"]) == (True, "node1", False)
    assert [member["Name"] for member in dkron.json("members")] == ["node1"]


def test_on_a_terminal_it_is_pretty(dkron: Dkron, agent: Agent) -> None:
    main, side = pty.openpty()
    environ = {**os.environ, "DKRON_API_URL": f"http://{HOST}:{agent.port}", "TERM": "xterm", "COLUMNS": "100"}
    environ.pop("NO_COLOR", None)
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "dkronpy", "job", "list"], env=environ, stdout=side, stdin=subprocess.DEVNULL
    ) as process:
        assert process.wait(60) == 0
    os.close(side)
    shown = os.read(main, 1 << 16).decode()
    os.close(main)
    assert "\x1b[1mNAME" in shown
    assert "after backup" in shown


def test_watching_goes_on_over_a_crash_of_the_server(tmp_path: Path) -> None:
    """A followed output is whole, and a waited-for run has its true end, though the server was killed in between."""
    with running(tmp_path / "agent") as agent:
        dkron = Dkron(agent)
        go_on = tmp_path / "go-on"
        agent.job(
            "slow",
            f"for i in 1 2 3 4; do echo ä$i; done; until [ -e {go_on} ]; do sleep 0.1; done; "
            "for i in 5 6 7 8; do echo ä$i; sleep 0.1; done; exit 3",
        )
        with dkron.start("job", "run", "slow", "--wait", "--format", "json") as waiting:
            until(lambda: agent.get("/v1/busy"), 60, "it runs")
            with dkron.start("execution", "tail", "slow") as following:
                assert following.stdout is not None
                first = following.stdout.readline()
                agent.kill()
                time.sleep(0.5)
                agent.start()
                go_on.touch()
                rest = following.stdout.read()  # not by communicate: the first line's buffer may hold more
                following.wait(60)
            waited, _ = waiting.communicate(timeout=60)

    assert (following.returncode, first + rest) == (0, "".join(f"ä{number}\n" for number in range(1, 9)))
    assert waiting.returncode == 5
    assert [execution["exit_code"] for execution in json.loads(waited)] == [3]


def test_leave_stops_the_server_that_was_named(tmp_path: Path) -> None:
    with running(tmp_path / "agent") as agent:
        dkron = Dkron(agent)
        dkron("leave", "--node", "node9", code=3)
        assert "node1 leaves" in dkron("leave", "--node", "node1")
        assert agent.wait(60) == 0
        dkron("job", "list", code=4)


def test_ctrl_c_is_130(dkron: Dkron) -> None:
    dkron("job", "run", "endless")
    with dkron.start("execution", "tail") as tail:
        assert tail.stdout is not None
        assert tail.stdout.readline() == "endless node1 | up\n"
        tail.send_signal(signal.SIGINT)
        _, err = tail.communicate(timeout=60)
    assert (tail.returncode, err) == (130, "")
