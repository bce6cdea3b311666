"""A disk without room: writes are refused in words, the node lives, and goes on when there is room again."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Agent, Answer, Witness, fire_second, until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 16 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "none", path], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"NOT TESTED what happens on a full disk: a tmpfs can't be mounted ({mount.stderr.strip()})")
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


class Disk:
    """A disk that is filled and freed; the node on it."""

    def __init__(self, path: Path, agent: Agent) -> None:
        self._filler = path / "filler"
        self._agent = agent
        self.created: set[str] = set()

    def fill(self) -> Answer:
        """Leave no room, and create jobs until one is refused for it: that answer."""
        with self._filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        for _ in range(50):
            answer = self.create()
            if answer.status != 201:
                return answer
        raise AssertionError("50 large jobs were created on a full disk")

    def free(self) -> None:
        self._filler.unlink()

    def create(self) -> Answer:
        """Create another job, of 100 kB."""
        name = f"large-{len(self.created)}"
        document = {
            "name": name,
            "schedule": "@manually",
            "executor": "shell",
            "executor_config": {"command": "true"},
            "metadata": {f"key{number}": "x" * 1000 for number in range(100)},
        }
        answer = self._agent.call("POST", "/v1/jobs", document)
        if answer.status == 201:
            self.created.add(name)
        return answer


def names(agent: Agent) -> set[str]:
    return {job["name"] for job in agent.get("/v1/jobs")}


def issues(agent: Agent) -> list[str]:
    return agent.call("GET", "/health").json.get("issues", [])


def test_a_node_outlives_a_full_disk(small_disk: Path, make_agent: Callable[..., Agent], witness: Witness) -> None:
    agent = make_agent(data=small_disk / "data").start()
    disk = Disk(small_disk, agent)
    agent.job("each", witness.note(), schedule="@every 1s")
    until(lambda: len(witness.lines()) >= 2, 60, "runs start")
    for _ in range(2):
        refused = disk.fill()
        assert refused.status == 507
        assert refused.headers.get_content_type() == "application/problem+json"
        assert "room" in refused.json["detail"]
        for _ in range(10):
            assert agent.call("GET", "/health").status in {200, 503}
            assert names(agent) == {"each", *disk.created}
            assert disk.create().status in {201, 507}
            time.sleep(0.2)
        disk.free()
        until(lambda: disk.create().status == 201, 60, "there is room for a job again")
        until(lambda: issues(agent) == [], 60, "the node is healthy again")
        before = len(witness.lines())
        until(lambda before=before: len(witness.lines()) >= before + 3, 60, "runs go on")
    agent.change("each", disabled=True)
    until(lambda: agent.get("/v1/busy") == [], 60, "nothing runs")

    executions = agent.executions("each")
    seconds = [fire_second(execution) for execution in executions]
    assert seconds == list(range(seconds[0], seconds[-1] + 1)), "each second has exactly one outcome"

    def refused_by_the_spool(execution: Any) -> bool:
        return execution["state"] == "failed" and "No space left" in execution["error"]

    ran = [e["id"] for e in executions if not refused_by_the_spool(e)]
    assert {e["state"] for e in executions if e["id"] in ran} == {"success"}
    assert sorted(witness.lines()) == sorted(ran)


def test_a_node_is_restarted_on_a_full_disk(
    small_disk: Path, make_agent: Callable[..., Agent], witness: Witness
) -> None:
    agent = make_agent(data=small_disk / "data").start()
    disk = Disk(small_disk, agent)
    agent.job("each", witness.note(), schedule="@every 1s")
    disk.fill()
    until(lambda: issues(agent), 60, "what the node has to record has no room either")
    assert agent.terminate() == 0

    agent.launch()
    until(lambda: not agent.alive or agent.reachable, 60, "the node starts, or says that it can't")
    if agent.alive:
        agent.kill()
    else:
        assert agent.process.returncode == 1
        assert "room" in agent.log.read_text().splitlines()[-1]
    disk.free()
    agent.start()
    assert names(agent) == {"each", *disk.created}
    before = len(witness.lines())
    until(lambda: len(witness.lines()) >= before + 3, 60, "runs go on")
    assert len(witness.lines()) == len(set(witness.lines()))
