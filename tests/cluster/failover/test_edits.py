"""Jobs are written on all servers while leaders come and go: what was acknowledged holds, and just the fires that the
definitions owe come."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from dkronpy.model.times import parse_rfc3339
from tests.cluster.failover.conftest import REPEATS
from tests.conftest import FULL
from tests.support.cluster import Cluster
from tests.support.processes import SECOND

WRITERS = 4


@contextmanager
def changing_leaders(cluster: Cluster, every: float) -> Generator[None]:
    """Meanwhile the leader is killed again and again, and started again a little later."""
    done = threading.Event()
    kills = 0

    def kill() -> None:
        nonlocal kills
        while not done.wait(every):
            leader = cluster.wait_for_leader()
            leader.kill()
            kills += 1
            time.sleep(1)
            cluster.launch(leader)

    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill)
        try:
            yield
        finally:
            done.set()
        killing.result()
    cluster.start()
    assert kills >= 2


def write(cluster: Cluster, rng: random.Random, method: str, path: str, body: object) -> tuple[Any, bool]:
    """Write by any server until it is acknowledged. The answer, and whether an earlier try may have been heard."""
    doubtful = False
    deadline = time.monotonic() + 20
    while True:
        try:
            return rng.choice(cluster.servers).call(method, path, body), doubtful
        except (OSError, http.client.HTTPException):
            if time.monotonic() > deadline:
                raise
            doubtful = True
            time.sleep(0.02)


def job(name: str, number: int, schedule: str, command: str, disabled: bool) -> dict[str, Any]:
    return {
        "name": name,
        "schedule": schedule,
        "tags": {"server": "true:1"},
        "executor": "shell",
        "executor_config": {"shell": "true", "command": command},
        "metadata": {"number": str(number)},
        "disabled": disabled,
    }


def in_parallel(work: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(work, range(WRITERS)))


@pytest.mark.parametrize("seed", REPEATS)
def test_acknowledged_writes_are_kept(cluster: Cluster, seed: int) -> None:
    least, jobs = 1000, 10
    acknowledged = Counter[int]()
    expected: dict[str, tuple[str, bool]] = {}

    def work(writer: int) -> None:
        rng = random.Random(f"{seed} {writer}")
        number = 0
        end = time.monotonic() + 8
        while time.monotonic() < end or acknowledged[writer] < least // WRITERS:
            name, number, disabled = f"kept-{writer}-{number % jobs}", number + 1, rng.random() < 0.5
            if name not in expected:
                write(cluster, rng, "POST", "/v1/jobs", job(name, number, "@manually", "true", disabled))
            else:
                body = {"metadata": {"number": str(number)}, "disabled": disabled}
                write(cluster, rng, "PATCH", f"/v1/jobs/{name}", body)
            expected[name] = str(number), disabled
            acknowledged[writer] += 1

    with changing_leaders(cluster, 2.5):
        in_parallel(work)
    assert acknowledged.total() >= least

    def stored(server: Any) -> dict[str, tuple[str, bool]]:
        found = [job for job in server.call("GET", "/v1/jobs") if job["name"].startswith("kept-")]
        return {job["name"]: (job["metadata"]["number"], job["disabled"]) for job in found}

    for server in cluster.servers:
        assert stored(server) == expected
    for name in expected:
        cluster.any().call("DELETE", f"/v1/jobs/{name}")


@pytest.mark.parametrize("seed", REPEATS)
def test_edited_jobs_fire_as_their_definitions_owe(cluster: Cluster, seed: int) -> None:
    jobs, seconds = (10, 60) if FULL else (4, 10)  # of each writer
    changes: dict[str, list[tuple[int, int, bool]]] = {}
    """By job: between which times (ns) a change took effect, and whether the job is enabled since."""
    since = int(time.time())

    def work(writer: int) -> int:
        rng = random.Random(f"{seed} {writer}")
        edits = 0
        enabled: dict[str, bool] = {}
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            name = f"edit-{writer}-{edits % jobs}"
            enabled[name] = not enabled.get(name, False)
            body = job(name, edits, rng.choice(["* * * * * *", "@every 1s"]), cluster.note, not enabled[name])
            asked = time.time_ns()
            answer, doubtful = write(cluster, rng, "POST", "/v1/jobs", body)
            at = parse_rfc3339(answer["updated_at"])
            # A fire between the time that the change bears and its answer may have been decided before it was written.
            changes.setdefault(name, []).append((min(asked, at) if doubtful else at, time.time_ns(), enabled[name]))
            edits += 1
            time.sleep(rng.random() * 0.2)
        for name in sorted(enabled):
            answer, _ = write(cluster, rng, "PATCH", f"/v1/jobs/{name}", {"disabled": True})
            changes[name].append((time.time_ns() - 5 * SECOND, time.time_ns(), False))
        return edits

    with changing_leaders(cluster, 4):
        edits = sum(in_parallel(work))
    assert edits > seconds * WRITERS * 4
    until_ = int(time.time()) + 1
    assert not cluster.disagreements(since, until_)
    ran = Counter((name, second) for name, second, _, _ in cluster.lines(since, until_) if name in changes)
    assert ran.total() > seconds * WRITERS
    wrong: list[str] = []
    for name, history in changes.items():
        for second in range(since, until_):
            owed = owes(history, second * SECOND)
            if (owed is not None and ran[name, second] != owed) or ran[name, second] > 1:
                wrong.append(f"{name} at {second}: owed {owed}, ran {ran[name, second]}")
    assert not wrong
    for name in changes:
        cluster.any().call("DELETE", f"/v1/jobs/{name}")


def owes(history: list[tuple[int, int, bool]], fire: int) -> int | None:
    """How many runs are owed at a time; None where a change may have taken effect before it or after it."""
    enabled = False
    for earliest, latest, now_enabled in history:
        if fire <= earliest:
            break
        if fire <= latest:
            return None
        enabled = now_enabled
    return int(enabled)


def test_owes() -> None:
    history = [(10, 10, True), (20, 25, False), (30, 30, True)]
    assert [owes(history, fire) for fire in (9, 10, 11, 20, 21, 25, 26, 30, 31)] == [0, 0, 1, 1, None, None, 0, 0, 1]
