"""Requests by the API and files in a directory that all servers share, while leaders are killed and come back: each
runs once."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from dkronpy.model.times import rfc3339
from tests.support.cluster import Cluster
from tests.support.processes import SECOND, until

JOBS = 20
LASTS = 40
"""Seconds of the story."""
KILLS = 7
"""Seconds between two leaders that are killed."""


def drop(directory: Path, job: str, type: str) -> bool:
    """Put a trigger file there, if the one before it has been taken."""
    path = directory / job / "trigger.json"
    if path.exists():
        return False
    path.parent.mkdir(exist_ok=True)
    part = path.with_name("part")
    part.write_text(json.dumps({"type": type}))
    os.rename(part, path)
    return True


@pytest.mark.full
def test_requests_and_files_run_once_while_leaders_die(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    triggers, rng = tmp_path / "triggers", random.Random(11)
    triggers.mkdir()
    cluster = make_cluster(options=[f"--trigger-dir={triggers}"])
    cluster.start()
    note = f"echo $TRIGGER_TYPE >> {cluster.witness}"
    for index in range(JOBS):
        config = {"shell": "true", "command": note}
        fields = {"schedule": "@manually", "tags": {"server": "true:1"}, "executor": "shell", "executor_config": config}
        cluster.any().call("POST", "/v1/jobs", {"name": f"job{index}", **fields})
    files: list[str] = []
    asked: list[str] = []
    unknown: list[str] = []
    kills, begun = 0, time.monotonic()
    while (passed := time.monotonic() - begun) < LASTS:
        job = f"job{rng.randrange(JOBS)}"
        name = f"file{len(files)}"
        if drop(triggers, job, name):
            files.append(name)
        name = f"asked{len(asked) + len(unknown)}"
        at = time.time_ns() + rng.randrange(8 * SECOND)
        try:
            cluster.any().call("POST", f"/v1/jobs/{job}/run", {"type": name, "at": rfc3339(at)})
            asked.append(name)
        except OSError:
            unknown.append(name)
        if passed > (kills + 1) * KILLS and (leader := cluster.leader()) is not None:
            leader.kill()
            kills += 1
            cluster.launch(leader)
        time.sleep(0.1)
    cluster.start()
    until(lambda: not cluster.any().call("GET", "/v1/triggers"), 60, "everything that was asked for has begun")
    until(lambda: not list(triggers.glob("*/*.*")), 120, "no file is left, and none was put aside")

    def over() -> Counter[str] | None:
        found = list(cluster.any().executions(""))
        if not all(execution["state"] == "success" for execution in found):
            return None
        return Counter(execution["trigger_type"] for execution in found)

    runs = until(over, 120, "every run is over, and none was lost")
    assert kills >= 4
    assert min(len(files), len(asked)) > 50
    assert {name: runs[name] for name in (*files, *asked)} == dict.fromkeys((*files, *asked), 1)
    assert all(runs[name] <= 1 for name in unknown)
    assert Counter(cluster.witness.read_text().split()) == runs
