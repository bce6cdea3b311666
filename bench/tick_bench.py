"""What a tick costs that decides 1,000 fires which are due at once, among 10,000 jobs, in processor time: the plans
alone, and with the store's records made of them. Beside it, in the same run, the raw limit: as many fires taken off a
heap, and as many records made and encoded, with nothing decided.

Run: .venv/bin/python bench/tick_bench.py [--due 1000] [--jobs 10000] [--nodes 5]
"""

from __future__ import annotations

import argparse
import heapq
import random
import statistics
import time
from typing import Any, Final

from dkronpy.catalog.keys import Keys, encode
from dkronpy.dispatch.commit import operations_of
from dkronpy.model.duration import SECOND
from dkronpy.model.execution import Execution
from dkronpy.model.job import Concurrency, Job, JobState
from dkronpy.model.member import Member
from dkronpy.model.records import Cursor, GroupRecord
from dkronpy.scheduling.board import Board, Snapshot
from dkronpy.scheduling.planning import plan

START: Final = 1_795_219_200 * SECOND
ROUNDS: Final = 30


def jobs(due: int, count: int) -> list[Job]:
    """So many jobs that fire at the next minute, of several kinds, and others that do not."""
    kinds: tuple[dict[str, Any], ...] = (
        {"tags": {"role": "web:1"}},
        {"tags": {"role": "web:1"}, "concurrency": Concurrency.FORBID},
        {"tags": {"role": "web:1"}, "concurrency": Concurrency.QUEUE},
        {"tags": {"role": "web:2", "rack": "7"}},
        {"tags": {"node": "n1"}, "timezone": "Europe/Berlin"},
    )
    command: dict[str, Any] = {"executor": "shell", "executor_config": {"command": "date"}}
    found = [Job(f"due-{n:05}", 1, 1, schedule="* * * * *", **command, **kinds[n % len(kinds)]) for n in range(due)]
    return found + [Job(f"other-{n:05}", 1, 1, schedule="30 2 * * *", **command) for n in range(count - due)]


def board(found: list[Job], nodes: int) -> Board:
    """What a leader holds of these jobs, all adopted, on so many nodes."""
    made = Board(
        Snapshot(
            jobs={job.name: job for job in found},
            states={job.name: JobState(adopted=1) for job in found},
            executions=(),
            triggers={},
            kills=(),
            edits={},
            cursor=Cursor(START + 1),
            pause=None,
        ),
        epoch=1,
        rng=random.Random(0),
        now=START,
    )
    tags = {"role": "web", "rack": "7", "region": "global", "dc": "dc1", "version": "1"}
    made.members = [Member(f"n{n}", f"10.0.0.{n}", 8946, {**tags, "node": f"n{n}"}) for n in range(1, nodes + 1)]
    made.reachable = {member.name for member in made.members}
    made.spools = {member.name: f"spool-{member.name}" for member in made.members}
    return made


def tick(held: Board, due: int) -> tuple[float, float]:
    """ms to decide all that is due, and ms to make the store's records of it."""
    keys, now = Keys("dkron"), START + 60 * SECOND
    planning = recording = 0.0
    decided = 0
    while True:
        begun = time.process_time()
        step = plan(held, now)
        planning += time.process_time() - begun
        if step is None:
            break
        begun = time.process_time()
        operations_of(step, keys)
        recording += time.process_time() - begun
        decided += len(step.decided)
    assert decided == due, f"{decided} of {due} fires were decided"
    return planning * 1e3, recording * 1e3


def raw(due: int) -> float:
    """ms to take so many fires off a heap, and to make and encode so many records."""
    heap = [(START, f"due-{n:05}", n) for n in range(due)]
    heapq.heapify(heap)
    begun = time.process_time()
    for _ in range(due):
        fire, name, _put = heap[0]
        heapq.heapreplace(heap, (fire + 60 * SECOND, name, 0))
        encode(GroupRecord((Execution(name, fire, 1, "n1", fire=fire, decided=fire, epoch=1, spool="spool-n1"),)))
    return (time.process_time() - begun) * 1e3


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--due", type=int, default=1000)
    options.add_argument("--jobs", type=int, default=10_000)
    options.add_argument("--nodes", type=int, default=5)
    given = options.parse_args()
    found = jobs(given.due, given.jobs)
    rounds = [(*tick(board(found, given.nodes), given.due), raw(given.due)) for _ in range(ROUNDS)]
    planning, recording, bare = zip(*rounds, strict=True)
    print(f"{given.due:,} due fires of {given.jobs:,} jobs, {given.nodes} nodes; best, median and worst of {ROUNDS}")
    for name, figures in (("decided", planning), ("made records of", recording), ("raw: heap, records", bare)):
        print(f"{name:<20}{min(figures):8.1f} ms{statistics.median(figures):8.1f} ms{max(figures):8.1f} ms")


if __name__ == "__main__":
    main()
