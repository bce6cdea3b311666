"""Requests to run a job: none is lost and none runs twice, whatever goes wrong and wherever; what holds for those that
are asked for a later time."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import msgspec
import pytest

from dkronpy.model.calendar import Calendar
from dkronpy.model.duration import SECOND
from dkronpy.model.execution import Execution, Origin, Reason, State, Trigger
from dkronpy.model.job import Catchup, CatchupPolicy, Concurrency, Job, ScheduleEntry
from dkronpy.model.parameter import Parameter
from dkronpy.scheduling.step import Step
from tests.conftest import FULL
from tests.simulation.test_scheduling import quiet, run
from tests.simulation.world import World


def job(**fields: Any) -> Job:
    return msgspec.structs.replace(Job("job", 0, schedule="@manually", tags={"node": "n1"}), **fields)


def calm(**fields: Any) -> World:
    """One job that succeeds, on one node, without faults."""
    world = World(1, faults=False)
    world.fail_rate = 0
    world.take_lead()
    world.put(job(**fields))
    world.advance(SECOND)
    return world


def first_attempts(world: World) -> dict[tuple[str, int], list[Execution]]:
    found: dict[tuple[str, int], list[Execution]] = defaultdict(list)
    for key, execution in world.history.items():
        if execution.attempt <= 1:
            found[key[0], key[1]].append(execution)
    return found


class Mortal(World):
    """Without chance: the leader dies at its `last` step, at the point that `where` names, and another follows."""

    def __init__(self, last: int, where: str) -> None:
        super().__init__(7, faults=False)
        self.last, self.where, self.steps = last, where, 0
        self.fail_rate = 0

    def _commit(self, step: Step) -> None:
        self.steps += 1
        if self.steps == self.last and self.where == "before":
            self.crash()
            raise _Died
        super()._commit(step)
        if self.steps == self.last and self.where == "after":
            self.crash()
            raise _Died

    def _carry_out(self, step: Step) -> None:
        super()._carry_out(step)
        if self.steps == self.last and self.where == "done":
            self.crash()
            raise _Died

    def step(self) -> bool:
        try:
            return super().step()
        except _Died:
            self.take_lead()
            return True


class _Died(Exception):
    """The leader died."""


def story(world: World) -> dict[str, int]:
    """Requests of each kind; returns their groups."""
    world.take_lead()
    world.put(job(concurrency=Concurrency.QUEUE))
    world.put(Job("other", 0, schedule="@every 3s", tags={"node": "n1"}))
    world.advance(SECOND)
    asked = {"now": world.trigger("job"), "again": world.trigger("job")}
    asked["soon"] = world.trigger("job", world.now + 2 * SECOND, type="deploy", env={"A": "1"})
    asked["with a fire"] = world.trigger("other", (world.now // (3 * SECOND) + 2) * 3 * SECOND)
    asked["cancelled"] = world.trigger("job", world.now + 5 * SECOND)
    world.advance(SECOND)
    world.cancel("job", asked["cancelled"])
    world.advance(12 * SECOND)
    asked["late"] = world.trigger("job")
    quiet(world)
    return asked


def test_a_leader_may_die_at_every_step() -> None:
    healthy = Mortal(0, "")
    story(healthy)
    assert healthy.steps > 20
    for last in range(1, healthy.steps + 1):
        for where in ("before", "after", "done"):
            world = Mortal(last, where)
            asked = story(world)
            assert world.leaders == 2, f"nobody died at step {last}"
            found = first_attempts(world)
            for what, group in asked.items():
                name = "other" if what == "with a fire" else "job"
                (execution,) = found[name, group]
                expected = State.SKIPPED if what == "cancelled" else State.SUCCESS
                assert execution.state is expected, (last, where, what, execution)
                assert execution.trigger is Trigger.MANUAL
            starts = Counter(key[:2] for key in world.nodes["n1"].starts)
            assert max(starts.values()) == 1
            assert len(starts) == len([e for e in world.history.values() if e.state.ran])
            assert not world.store.triggers
            assert not world.store.kills


@pytest.mark.parametrize("seed", range(100 if FULL else 8))
def test_no_request_is_lost_or_runs_twice(seed: int) -> None:
    world = World(3000 + seed, nodes=2)
    world.duration = SECOND
    world.take_lead()
    policies = [Concurrency.ALLOW, Concurrency.QUEUE, Concurrency.ALLOW]
    names = [f"job-{index}" for index in range(len(policies))]
    for index, (name, policy) in enumerate(zip(names, policies, strict=True)):
        world.put(
            Job(
                name,
                0,
                schedule="@every 2s" if index == 2 else "@manually",
                concurrency=policy,
                tags={"node": f"n{1 + index % 2}"},
                queue_limit=1000,
                catchup=Catchup(3600 * SECOND),
            )
        )
    asked: dict[tuple[str, int], int] = {}
    cancelled: set[tuple[str, int]] = set()
    for _ in range(40):
        name = world.rng.choice(names)
        at = world.now + world.rng.randint(1, 20) * SECOND if world.rng.random() < 0.6 else None
        group = world.trigger(name, at)
        asked[name, group] = world.now if at is None else at
        if world.rng.random() < 0.25:
            chosen = world.rng.choice(sorted(asked))
            world.cancel(*chosen)
            cancelled.add(chosen)
        if world.rng.random() < 0.2:
            held = world.store.jobs[name]
            world.put(msgspec.structs.replace(held, displayname=f"{held.displayname}x"))
        run(world, world.rng.random() * 3)
    world.crash()
    world.advance(world.rng.choice([0, 5, 60]) * SECOND, tick=10 * SECOND)
    run(world, 25)
    quiet(world)
    found = first_attempts(world)
    for request, at in asked.items():
        (execution,) = found[request]
        assert execution.fire == at
        if execution.state.ran:
            assert execution.started is None or execution.started >= at - SECOND // 2
        else:
            assert request in cancelled
            assert execution.reason == Reason.CANCELLED
    manual = {key for key, (first, *_) in found.items() if first.trigger is Trigger.MANUAL}
    assert manual == set(asked)
    assert not world.store.triggers


def test_a_request_for_later_waits_and_tells_of_itself() -> None:
    world = calm()
    at = world.now + 3600 * SECOND
    group = world.trigger("job", at, by="ann", type="deploy", description="of 1.2", env={"V": "1.2"}, data='{"a":1}')
    asked = world.now
    world.advance(1800 * SECOND, tick=10 * SECOND)
    assert not world.history
    world.crash()
    world.take_lead()
    world.settle()
    assert world.board is not None
    assert world.board.wake_at(world.now) == at
    world.advance(1810 * SECOND, tick=SECOND)
    (execution,) = world.history.values()
    assert (execution.group, execution.fire, execution.started) == (group, at, at)
    assert execution.origin == Origin("ann", asked, "deploy", "of 1.2", '{"a":1}')
    assert execution.trigger_type == "deploy"
    assert execution.env == {"V": "1.2"}


@pytest.mark.parametrize("known", [0, 10 * SECOND])
def test_a_cancelled_request_for_later_goes_with_its_job(known: int) -> None:
    world = calm()
    group = world.trigger("job", world.now + 3600 * SECOND)
    world.settle()
    world.cancel("job", group)
    world.advance(known)
    world.delete("job")
    world.advance(120 * SECOND, tick=SECOND)
    assert not world.history
    assert world.board is not None
    assert not world.board.groups
    assert "job" not in world.store.states, "and nothing else is left of it"


@pytest.mark.parametrize(
    ("catchup", "late", "reason"),
    [
        (Catchup(), 0, ""),
        (Catchup(), 50, ""),
        (Catchup(), 70, Reason.OUTSIDE_WINDOW),
        (Catchup(policy=CatchupPolicy.NONE), 0, ""),
        (Catchup(policy=CatchupPolicy.NONE), 5, Reason.NOT_WANTED),
        (Catchup(policy=CatchupPolicy.LATEST), 50, ""),
    ],
)
def test_without_a_leader_at_its_time(catchup: Catchup, late: int, reason: str) -> None:
    world = calm(catchup=catchup)
    world.trigger("job", world.now + 10 * SECOND)
    world.settle()
    world.crash()
    world.advance((10 + late) * SECOND, tick=SECOND)
    world.take_lead()
    world.advance(10 * SECOND)
    (execution,) = world.history.values()
    assert execution.reason == reason
    assert execution.state is (State.MISSED if reason else State.SUCCESS)


def test_a_request_for_now_has_no_end() -> None:
    world = calm(catchup=Catchup(policy=CatchupPolicy.NONE))
    world.crash()
    world.trigger("job")
    world.advance(86_400 * SECOND, tick=3600 * SECOND)
    world.take_lead()
    world.advance(10 * SECOND)
    assert [e.state for e in world.history.values()] == [State.SUCCESS]


@pytest.mark.parametrize("what", ["pause", "calendar", "disabled", "expired"])
def test_what_holds_for_fires_holds_for_a_later_time_and_not_for_now(what: str) -> None:
    world = calm(expires_at=(1_800_000_000 + 5) * SECOND if what == "expired" else None)
    world.trigger("job", world.now + 20 * SECOND)
    if what == "pause":
        world.pause(True)
    elif what == "calendar":
        world.calendar("freeze", Calendar(days=("2020-01-01..2040-01-01",), all_jobs=True))
    elif what == "disabled":
        world.put(msgspec.structs.replace(world.store.jobs["job"], disabled=True))
    world.advance(10 * SECOND)
    world.trigger("job")
    world.advance(30 * SECOND)
    reasons = {"pause": Reason.PAUSED, "calendar": Reason.EXCLUDED}
    now, later = sorted(world.history.values(), key=lambda execution: execution.fire)
    assert now.state is State.SUCCESS
    assert (later.state, later.reason) == (State.SKIPPED, reasons.get(what, Reason.DISABLED))


def test_requests_end_with_their_job() -> None:
    world = calm()
    world.trigger("job", world.now + 10 * SECOND)
    world.trigger("job", world.now + 20 * SECOND)
    world.advance(SECOND)
    world.delete("job")
    world.advance(SECOND)
    assert not world.store.triggers
    world.put(job())
    world.advance(30 * SECOND)
    assert not world.history


def test_a_request_is_not_that_of_a_later_job_of_the_name() -> None:
    world = calm()
    world.trigger("job", world.now + 10 * SECOND)
    world.settle()
    world.crash()
    world.advance(SECOND)
    world.delete("job")
    world.advance(SECOND)
    world.put(job())
    world.take_lead()
    world.advance(30 * SECOND)
    assert not world.history
    assert not world.store.triggers


def test_parameters_have_their_defaults_whatever_starts_the_run() -> None:
    entry = ScheduleEntry("@every 10s", env={"N": "5"})
    world = calm(schedule="", schedules=(entry,), parameters=(Parameter("N", default="2"), Parameter("A", default="a")))
    world.trigger("job", env={"A": "b"})
    world.advance(12 * SECOND)
    env = {execution.trigger: execution.env for execution in world.history.values()}
    assert env == {Trigger.MANUAL: {"N": "2", "A": "b"}, Trigger.SCHEDULE: {"N": "5", "A": "a"}}


def test_what_is_asked_of_a_job_that_the_leader_does_not_know_yet_waits() -> None:
    """Its clock is behind that of the server that wrote the job."""
    world = World(1, faults=False)
    world.fail_rate = 0
    world.take_lead()
    world.clock_off = -3 * SECOND
    world.put(job())
    kept, cancelled = world.trigger("job"), world.trigger("job", world.now + 60 * SECOND)
    world.cancel("job", cancelled)
    world.settle()
    assert world.board is not None
    assert world.board.wake_at(world.leader_now) == world.now, "it sleeps until the job's time"
    assert not world.history
    world.advance(10 * SECOND)
    states = {execution.group: execution.state for execution in world.history.values()}
    assert states == {kept: State.SUCCESS, cancelled: State.SKIPPED}
    assert not world.store.kills
