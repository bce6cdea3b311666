"""Jobs are written on all servers while leaders come and go: what was acknowledged holds, and just the fires that the
definitions owe come."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from dkronpy.model.times import parse_rfc3339
from tests.cluster.failover.conftest import REPEATS
from tests.conftest import FULL
from tests.support.cluster import Cluster
from tests.support.machine import measured
from tests.support.processes import SECOND, until

WRITERS = 4
NOTED = SECOND
"""How long (ns) after its answer a change may at most be noted by the leader, on an idle machine."""


class Leaders:
    """What happens to leaders meanwhile: how often one was killed or held back."""

    def __init__(self) -> None:
        self.changes = 0


@contextmanager
def meanwhile(work: Callable[[Leaders, threading.Event], None]) -> Generator[Leaders]:
    """Let `work` happen to the leaders, in a thread, until its event is set."""
    done, leaders = threading.Event(), Leaders()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work, leaders, done)
        try:
            yield leaders
        finally:
            done.set()
        working.result()


def killing(cluster: Cluster, every: float) -> Callable[[Leaders, threading.Event], None]:
    """The leader is killed again and again, and started again a little later."""

    def work(leaders: Leaders, done: threading.Event) -> None:
        while not done.wait(every):
            leader = cluster.wait_for_leader(60)
            leader.kill()
            leaders.changes += 1
            time.sleep(1)
            cluster.launch(leader)
        cluster.start()

    return work


def write(cluster: Cluster, rng: random.Random, method: str, path: str, body: object) -> tuple[Any, bool]:
    """Write by any server until it is acknowledged. The answer, and whether an earlier try may have been heard: by a
    server that was killed, so that it can't be heard any more once the next try is answered."""
    doubtful = False
    deadline = time.monotonic() + 120
    while True:
        try:
            return rng.choice(cluster.servers).call(method, path, body, timeout=60), doubtful
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

    with meanwhile(killing(cluster, 2.5)) as leaders:

        def work(writer: int) -> None:
            rng = random.Random(f"{seed} {writer}")
            number = 0
            while leaders.changes < 3 or acknowledged[writer] < least // WRITERS:
                name, number, disabled = f"kept-{writer}-{number % jobs}", number + 1, rng.random() < 0.5
                if name not in expected:
                    write(cluster, rng, "POST", "/v1/jobs", job(name, number, "@manually", "true", disabled))
                else:
                    body = {"metadata": {"number": str(number)}, "disabled": disabled}
                    write(cluster, rng, "PATCH", f"/v1/jobs/{name}", body)
                expected[name] = str(number), disabled
                acknowledged[writer] += 1
                if acknowledged[writer] > least // WRITERS:
                    time.sleep(0.1)  # a new leader reads every edit that the one before has not

        in_parallel(work)
    assert acknowledged.total() >= least

    def stored(server: Any) -> dict[str, tuple[str, bool]]:
        found = [job for job in server.call("GET", "/v1/jobs") if job["name"].startswith("kept-")]
        return {job["name"]: (job["metadata"]["number"], job["disabled"]) for job in found}

    for server in cluster.servers:  # of which some may have yet to read what was written by others
        until(lambda one=server: stored(one) == expected, 60, f"{server.name} has what was acknowledged")
        assert stored(server) == expected
    for name in expected:
        cluster.any().call("DELETE", f"/v1/jobs/{name}")


def edit_and_judge(cluster: Cluster, leaders: Leaders, seed: int, noted: int) -> Collection[str]:
    """Create, enable and disable jobs by all servers until there were enough changes of leaders and of jobs; then
    compare what ran with what was owed. The leader notes a change at most `noted` ns after its answer. Returns the
    jobs' names."""
    jobs, least = (10, 3000) if FULL else (4, 300)
    changes: dict[str, list[tuple[int, int, bool]]] = {}
    """By job: between which times (ns) a change was written, and whether the job is enabled since."""
    since = int(time.time())

    def change(rng: random.Random, method: str, path: str, body: dict[str, Any], name: str) -> None:
        asked = time.time_ns()
        answer, doubtful = write(cluster, rng, method, path, body)
        at, answered, enabled = parse_rfc3339(answer["updated_at"]), time.time_ns(), not body["disabled"]
        changes.setdefault(name, []).append((min(asked, at) if doubtful else at, answered, enabled))

    with measured() as machine:

        def work(writer: int) -> int:
            rng = random.Random(f"{seed} {writer}")
            edits = 0
            enabled: dict[str, bool] = {}
            while leaders.changes < 3 or edits < least // WRITERS:
                name = f"edit-{writer}-{edits % jobs}"
                enabled[name] = not enabled.get(name, False)
                body = job(name, edits, rng.choice(["* * * * * *", "@every 1s"]), cluster.note, not enabled[name])
                change(rng, "POST", "/v1/jobs", body, name)
                edits += 1
                time.sleep(rng.random() * 0.1)
            for name in sorted(enabled):
                change(rng, "PATCH", f"/v1/jobs/{name}", {"disabled": True}, name)
            return edits

        in_parallel(work)
        time.sleep(machine.allowed(noted / SECOND))
    lag = int(machine.allowed(noted / SECOND) * SECOND)
    until_ = int(time.time()) + 1
    assert not cluster.disagreements(since, until_)
    ran = Counter((name, second) for name, second, _, _ in cluster.lines(since, until_) if name in changes)
    owed = Counter[int | None]()
    wrong: list[str] = []
    for name, written in changes.items():
        # A fire between the time that a change bears and its answer may have been decided before it was written; one
        # that is owed no more also until the leader has noted that.
        history = [(first, last if enabled else last + lag, enabled) for first, last, enabled in written]
        for second in range(since, until_):
            runs = owes(history, second * SECOND)
            owed[runs] += 1
            if (runs is not None and ran[name, second] != runs) or ran[name, second] > 1:
                wrong.append(f"{name} at {second}: owed {runs}, ran {ran[name, second]}")
    assert not wrong
    assert owed[1] > 20, f"too little was certain: {owed}"
    return changes


@pytest.mark.parametrize("seed", REPEATS)
def test_edited_jobs_fire_as_their_definitions_owe(cluster: Cluster, seed: int) -> None:
    with meanwhile(killing(cluster, 4)) as leaders:
        names = edit_and_judge(cluster, leaders, seed, NOTED)
    for name in names:
        cluster.any().call("DELETE", f"/v1/jobs/{name}")


@pytest.mark.parametrize("seed", REPEATS)
def test_edits_that_the_leader_sees_late(make_cluster: Callable[..., Cluster], seed: int) -> None:
    """The watch of the leader is held back for seconds, again and again; now and then it is killed meanwhile."""
    longest = 4.0
    cluster = make_cluster()
    for server in cluster.servers:
        server.module = ["tests.support.held_back", str(cluster.folder / f"hold-{server.name}")]
    cluster.start()
    rng = random.Random(seed)

    def hold_back(leaders: Leaders, done: threading.Event) -> None:
        while not done.wait(1):
            leader = cluster.wait_for_leader(60)
            file = cluster.folder / f"hold-{leader.name}"
            file.touch()
            time.sleep(rng.uniform(1, longest))
            if leaders.changes % 3 == 2:
                leader.kill()
            file.unlink()
            cluster.start()
            leaders.changes += 1

    with meanwhile(hold_back) as leaders:
        edit_and_judge(cluster, leaders, seed, int(longest * SECOND) + NOTED)


@pytest.mark.full
def test_a_leader_whose_watch_stands_still_gives_way(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    for server in cluster.servers:
        server.module = ["tests.support.held_back", str(cluster.folder / f"hold-{server.name}")]
    cluster.start()
    cluster.add_jobs()
    leader = cluster.wait_for_leader()
    (cluster.folder / f"hold-{leader.name}").touch()
    begin = int(time.time()) + 1
    asked = cluster.follower().call("POST", "/v1/jobs", job("asked", 1, "@manually", cluster.note, disabled=False))
    cluster.follower().call("POST", f"/v1/jobs/{asked['name']}/run")
    until(lambda: "asked" in cluster.witness.read_text(), 60, "another server leads and runs what was asked for")
    (cluster.folder / f"hold-{leader.name}").unlink()
    verdict = cluster.judge(begin, int(time.time()))
    assert verdict.missed == verdict.doubled == []


def owes(history: list[tuple[int, int, bool]], fire: int) -> int | None:
    """How many runs are owed at a time; None where a change may have taken effect before it or after it."""
    owed: int | None = 0
    for earliest, latest, enabled in history:
        if fire <= earliest:
            break
        owed = None if fire <= latest else int(enabled)
    return owed


def test_owes() -> None:
    history = [(10, 10, True), (20, 25, False), (30, 30, True), (40, 60, False), (45, 46, True)]
    fires = {9: 0, 10: 0, 11: 1, 20: 1, 21: None, 25: None, 26: 0, 30: 0, 31: 1, 41: None, 46: None, 47: 1, 61: 1}
    assert {fire: owes(history, fire) for fire in fires} == fires
