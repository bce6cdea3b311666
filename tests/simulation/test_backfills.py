"""Backfills: each fire that is wanted is run once, within the limits of its job, whatever goes wrong on the way."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from dkronpy.model.backfill import Backfill, BackfillPolicy
from dkronpy.model.duration import SECOND
from dkronpy.model.execution import Execution, State, Trigger
from dkronpy.model.job import Concurrency, Job, ScheduleEntry
from tests.conftest import FULL
from tests.simulation.test_parents import OneFault
from tests.simulation.test_scheduling import check, quiet, run
from tests.simulation.test_turns import Watched, in_flight
from tests.simulation.world import World

PAST = 1_700_000_000 * SECOND


def wanted(world: World, count: int, *, parallel: int = 1, start: int = 0) -> Backfill:
    """A backfill of so many fires, one a minute."""
    fires = tuple(PAST + 60 * SECOND * (start + number) for number in range(count))
    return Backfill(world.now, "ann", fires[0] - 1, fires[-1], BackfillPolicy.MISSING, parallel, fires)


def done(world: World, name: str) -> list[Execution]:
    """The first attempts of a job's backfills."""
    return [e for e in world.history.values() if e.job == name and e.trigger is Trigger.BACKFILL and e.attempt <= 1]


class Counted(Watched):
    """Looks after every commit whether a backfill has more runs in flight than were asked for."""

    def committed(self) -> None:
        super().committed()
        flying = Counter(execution.job for execution in in_flight(self) if execution.trigger is Trigger.BACKFILL)
        for name, count in flying.items():
            if name in self.store.backfills:
                assert count <= self.store.backfills[name].parallel


@pytest.mark.parametrize("seed", range(40 if FULL else 8))
def test_every_fire_runs_once_beside_the_job_itself(seed: int) -> None:
    world = Counted(4000 + seed, nodes=2)
    world.duration = world.rng.choice([SECOND // 4, SECOND])
    world.limit("one", 1)
    world.take_lead()
    jobs = [
        Job(f"job-{index}", 0, schedule="*/5 * * * * *", tags={"node": "n1"}, concurrency=policy)
        for index, policy in enumerate(Concurrency)
    ]
    jobs += [
        Job("grouped", 0, schedule="*/7 * * * * *", tags={"node": "n2"}, concurrency_groups=("one",), queue_limit=9),
        Job("beside", 0, schedule="*/3 * * * * *", tags={"node": "n2"}, concurrency_groups=("one",), queue_limit=9),
        Job("idle", 0, schedule="@manually", tags={"node": "n1"}, retries=2),
    ]
    for job in jobs:
        world.put(job)
    run(world, 3)
    counts = {job.name: world.rng.randrange(1, 12) for job in jobs}
    for job in jobs:
        world.backfill(job.name, wanted(world, counts[job.name], parallel=world.rng.randrange(1, 5)))
    run(world, world.rng.randrange(1, 10))
    world.crash()
    run(world, 15)
    quiet(world)
    for _ in range(6):
        world.advance(30 * SECOND, tick=SECOND)
    for job in jobs:
        found = done(world, job.name)
        assert sorted(e.fire for e in found) == list(world.store.backfills[job.name].fires)
        assert all(e.state.ran and e.group > e.fire and e.origin is not None and e.origin.by == "ann" for e in found)
        progress = world.store.states[job.name].backfill
        assert progress is not None
        assert (progress.started, progress.ended > 0) == (counts[job.name], True)
        if job.schedule != "@manually":
            check(world, job.name, world.store.edits[job.name])
    assert not world.store.groups


def play(at: int) -> OneFault:
    """A backfill of three fires; the leader that falls is followed by another."""
    world = OneFault(1)
    world.at = at
    world.fail_rate = 0
    world.rng.randrange = lambda *_: SECOND  # type: ignore[method-assign]
    world.take_lead()
    world.put(Job("a", 0, schedule="@manually", tags={"node": "n1"}))
    world.advance(SECOND)
    if world.board is None:
        world.take_lead()
    world.backfill("a", wanted(world, 3, parallel=2))
    for _ in range(10):
        world.advance(SECOND // 2)
        if world.board is None:
            world.take_lead()
        world._attach(world.nodes["n1"])
    return world


def test_a_fault_at_every_step_changes_nothing() -> None:
    total = play(0).calls
    assert total > 30
    for at in range(1, total + 1):
        world = play(at)
        assert sorted(e.fire for e in done(world, "a")) == list(world.store.backfills["a"].fires), f"fault {at}"
        assert world.store.states["a"].backfill is not None
        assert world.store.states["a"].backfill.ended
        assert not world.store.groups


def quick(**how: object) -> World:
    world = Counted(1, faults=False)
    world.fail_rate = 0
    world.rng.randrange = lambda *_: 2 * SECOND  # type: ignore[method-assign]
    world.take_lead()
    world.put(Job("a", 0, schedule="@manually", tags={"node": "n1"}, **how))  # pyright: ignore[reportArgumentType]
    world.advance(SECOND)
    return world


def test_what_is_cancelled_starts_no_more_whoever_leads() -> None:
    world = quick()
    world.backfill("a", wanted(world, 10, parallel=3))
    world.advance(3 * SECOND)
    cancelled = msgspec.structs.replace(world.store.backfills["a"], cancelled=world.now)
    world.backfill("a", cancelled)
    world.crash()
    world.take_lead()
    world.advance(10 * SECOND)
    progress = world.store.states["a"].backfill
    assert progress is not None
    assert progress.ended
    assert 3 <= len(done(world, "a")) == progress.started < 10
    world.backfill("a", wanted(world, 2, start=50))
    world.advance(10 * SECOND)
    assert [e.fire for e in done(world, "a")][-2:] == list(world.store.backfills["a"].fires)


def test_it_ends_nothing_and_queues_nothing() -> None:
    world = quick(concurrency=Concurrency.REPLACE)
    world.trigger("a")
    world.advance(SECOND // 4)
    world.backfill("a", wanted(world, 2, parallel=5))
    world.advance(SECOND)
    assert not done(world, "a")
    world.advance(20 * SECOND)
    assert [e.state for e in world.history.values()] == [State.SUCCESS] * 3


def test_a_pause_and_a_missing_node_hold_it() -> None:
    world = quick()
    world.pause(True)
    world.backfill("a", wanted(world, 1))
    world.advance(5 * SECOND)
    world.pause(False)
    world.drained.add("n1")
    world.advance(5 * SECOND)
    assert not world.history
    assert not world.store.groups
    world.drained.clear()
    world.advance(5 * SECOND)
    assert [e.state for e in done(world, "a")] == [State.SUCCESS]


def test_a_disabled_job_and_the_environment_of_its_schedules() -> None:
    world = quick()
    minute = ScheduleEntry("* * * * *", env={"X": "1"})
    other = ScheduleEntry("1-59/2 * * * *", env={"Y": "2"})
    world.put(Job("a", 0, schedules=(minute, other), timezone="UTC", disabled=True, tags={"node": "n1"}))
    world.advance(SECOND)
    fires = tuple(1_700_000_040 * SECOND + 60 * SECOND * number for number in range(2))
    world.backfill("a", Backfill(world.now, "ann", 0, 0, BackfillPolicy.ALL, 2, fires))
    world.advance(5 * SECOND)
    assert sorted((e.fire, tuple(e.env)) for e in done(world, "a")) == [(fires[0], ("X",)), (fires[1], ("X", "Y"))]


def test_it_goes_with_its_job() -> None:
    world = quick()
    world.backfill("a", wanted(world, 5))
    world.advance(SECOND)
    world.delete("a")
    del world.store.backfills["a"]
    assert world.board is not None
    world.board.backfill_wanted("a", None)
    world.advance(10 * SECOND)
    world.put(Job("a", 0, schedule="@manually", tags={"node": "n1"}))
    world.advance(10 * SECOND)
    assert not done(world, "a")
    assert not world.store.groups


def test_one_that_is_left_of_a_deleted_job_is_not_run() -> None:
    world = quick()
    old = msgspec.structs.replace(wanted(world, 2), since=world.store.jobs["a"].created - 1)
    world.backfill("a", old)
    world.advance(5 * SECOND)
    assert not done(world, "a")
