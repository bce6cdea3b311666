"""`dkron backup` and `dkron restore` of living nodes: nightly, and to move to another store."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from dkronpy.backup.file import Run, read
from tests.support.etcd import Etcd
from tests.support.processes import ROOT, Agent, Witness, until

SECOND = 1_000_000_000
GATE = "while [ ! -e {gate} ]; do sleep 0.05; done"


def dkron(*words: str, code: int = 0) -> str:
    """What a command prints; its errors where it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DKRON")}
    done = subprocess.run(
        [sys.executable, "-m", "dkronpy", *words],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout or done.stderr


def fires(witness: Witness) -> list[int]:
    """The seconds at which the ticking job has really run, in order, twice if it did."""
    return sorted(int(line.partition("-")[0]) // SECOND for line in witness.lines())


@pytest.mark.parametrize("ending", [pytest.param("stopped", marks=pytest.mark.full), "killed"])
def test_moving_from_embedded_to_etcd(agent: Agent, witness: Witness, tmp_path: Path, ending: str) -> None:
    """Runs go on meanwhile, fires that come due are caught up, and nothing runs twice."""
    gate = tmp_path / "gate"
    file = tmp_path / "backup"
    agent.job("tick", witness.note(), schedule="@every 1s", catchup={"window": "1h"})
    agent.job("long", f"echo begun; {GATE.format(gate=gate)}; echo ended")
    agent.job("node-note", "echo old")
    old = agent.ended("node-note", agent.run("node-note"))
    group = agent.run("long")
    until(
        lambda: any(run["job_name"] == "long" and run["state"] == "running" for run in agent.get("/v1/busy")),
        30,
        "it runs",
    )
    until(lambda: len(fires(witness)) >= 2, 60, "it ticks")
    if ending == "stopped":
        assert agent.terminate() == 0
    else:
        agent.kill()
    dkron("backup", str(file), f"--data-dir={agent.data}")
    place = tmp_path / "etcd"
    place.mkdir()
    with Etcd(place) as etcd:
        dkron("restore", str(file), *etcd.options)
        assert "is not empty" in dkron("restore", str(file), *etcd.options, code=1)
        agent.options = etcd.options
        agent.start()
        ticked = len(fires(witness))
        until(lambda: len(fires(witness)) >= ticked + 5, 60, "it goes on ticking")
        assert "servers use this store" in dkron("restore", str(file), "--overwrite", *etcd.options, code=1)
        gate.touch()
        ended = agent.ended("long", group)
        assert (ended["state"], agent.output(ended)) == ("success", b"begun\nended\n")
        found = fires(witness)
        assert {after - before for before, after in pairwise(found)} == {1}, "nothing is missed, nothing doubled"
        (same,) = agent.executions("node-note")
        assert (same["id"], same["output_sha256"]) == (old["id"], old["output_sha256"])
        assert agent.output(same) == b"old\n"


def test_a_backup_of_an_embedded_store_that_is_in_use(
    agent: Agent, make_agent: Callable[..., Agent], tmp_path: Path
) -> None:
    """It can be taken while the server runs, and what it restores owes what came after it."""
    file = tmp_path / "backup"
    agent.job("tick", "true", schedule="@every 1s", catchup={"window": "1h"})
    until(lambda: len(agent.executions("tick")) >= 2, 60, "it ticks")
    dkron("backup", str(file), f"--data-dir={agent.data}")
    assert "in use" in dkron("restore", str(file), "--overwrite", f"--data-dir={agent.data}", code=1)
    until(lambda: len(agent.executions("tick")) >= 5, 60, "it ticks on")
    agent.kill()
    other = make_agent("other")
    dkron("restore", str(file), f"--data-dir={other.data}")
    other.start()

    def groups() -> list[int]:
        return [run["group"] // SECOND for run in other.executions("tick")]

    before = {line.execution.group // SECOND for line in read(file) if isinstance(line, Run)}
    until(lambda: len(groups()) >= len(before) + 5, 60, "it ticks over there")
    found = groups()
    assert before <= set(found)
    assert {after - before for before, after in pairwise(found)} == {1}
