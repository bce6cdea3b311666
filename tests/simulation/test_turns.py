"""Overlap, concurrency groups, waiting: what holds at every commit, whatever goes wrong, and that nobody starves."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from dkronpy.model.duration import SECOND
from dkronpy.model.execution import Execution, Reason, State, Trigger
from dkronpy.model.job import Concurrency, Job
from dkronpy.scheduling.turns import NEWEST_ONLY
from tests.conftest import FULL
from tests.simulation.test_scheduling import check, quiet, run
from tests.simulation.world import World

POLICIES = [policy for policy in Concurrency if policy is not Concurrency.ALLOW]


def in_flight(world: World) -> list[Execution]:
    """One execution of each group that is decided to run and not over."""
    found: list[Execution] = []
    for record in world.store.groups.values():
        executions = record.executions
        if not executions[0].waits and not all(execution.state.final for execution in executions):
            found.append(executions[0])
    return found


def waiting(world: World) -> Counter[str]:
    """How many fires wait, by job."""
    return Counter(record.executions[0].job for record in world.store.groups.values() if record.executions[0].waits)


class Watched(World):
    """Looks after every commit whether a limit is broken."""

    def committed(self) -> None:
        flying = in_flight(self)
        jobs = Counter(execution.job for execution in flying)
        for name, count in jobs.items():
            job = self.store.jobs.get(name)
            if job is not None and job.concurrency is not Concurrency.ALLOW:
                assert count == 1, f"{name} overlaps with itself"
        places = Counter(e.concurrency_group for e in flying if e.concurrency_group)
        for group, count in places.items():
            assert count <= self.store.limits.get(group, 1), f"{group} has {count} runs"
        for name, count in waiting(self).items():
            job = self.store.jobs.get(name)
            # Policies that keep only the newest end the one before in the step that follows.
            most = {Concurrency.FORBID: 1, Concurrency.QUEUE_ONE: 1}
            if job is not None and job.concurrency not in NEWEST_ONLY:
                assert count <= most.get(job.concurrency, job.queue_limit), f"{count} fires of {name} wait"


@pytest.mark.parametrize("seed", range(60 if FULL else 10))
def test_limits_hold_and_every_fire_has_one_outcome(seed: int) -> None:
    world = Watched(2000 + seed, nodes=2)
    world.duration = world.rng.choice([SECOND // 2, 2 * SECOND])
    world.limit("two", 2)
    world.take_lead()
    jobs = [
        Job(f"job-{index}", 0, schedule="* * * * * *", tags={"node": f"n{1 + index % 2}"}, concurrency=policy)
        for index, policy in enumerate(POLICIES)
    ]
    jobs += [
        Job("queue-of-3", 0, schedule="* * * * * *", tags={"node": "n1"}, concurrency=Concurrency.QUEUE, queue_limit=3),
        Job("one", 0, schedule="*/2 * * * * *", tags={"node": "n1"}, concurrency_groups=("one",), queue_limit=5),
        Job("two-1", 0, schedule="* * * * * *", tags={"node": "n1"}, concurrency_groups=("two",), queue_limit=5),
        Job("two-2", 0, schedule="@every 2s", tags={"node": "n2"}, concurrency_groups=("two", "one"), priority=5),
        Job("two-3", 0, schedule="@every 3s", tags={"node": "n2"}, concurrency_groups=("two",), retries=2),
        Job("asked", 0, schedule="@manually", tags={"node": "n2"}, concurrency=Concurrency.QUEUE),
        Job("child", 0, parent_job="two-1", tags={"node": "n1"}, concurrency_groups=("two",), queue_limit=1000),
    ]
    for job in jobs:
        world.put(job)
    asked: list[int] = []
    for _ in range(15):
        run(world, 2)
        asked.append(world.trigger("asked"))
        if world.rng.random() < 0.2:
            world.limit("two", world.rng.choice([2, 3]))
            world.store.limits["two"] = 3  # runs that hold a place keep it when there are fewer
    world.crash()
    world.advance(world.rng.choice([0, 3, 45]) * SECOND, tick=10 * SECOND)
    run(world, 10)
    quiet(world)
    for _ in range(10):
        world.advance(30 * SECOND, tick=SECOND)
    assert not waiting(world), "somebody starves"
    assert not in_flight(world)
    for job in jobs[:-2]:
        check(world, job.name, world.store.edits[job.name])
    groups = {e.group for e in world.history.values() if e.job == "asked" and e.trigger is Trigger.MANUAL}
    assert groups == set(asked), "a trigger was lost, or ran as another"
    parents = {e.group for e in world.history.values() if e.job == "two-1" and e.state is State.SUCCESS}
    children = {e.group for e in world.history.values() if e.job == "child"}
    assert len(children) == len(parents)


def simple(seed: int, **how: object) -> World:
    """One job, whose runs take as long as `seconds` says, on one node, without faults."""
    world = Watched(seed, faults=False)
    world.fail_rate = 0
    world.take_lead()
    world.put(Job("job", 0, schedule="@manually", tags={"node": "n1"}, **how))  # pyright: ignore[reportArgumentType]
    world.advance(SECOND)
    return world


def takes(world: World, seconds: int) -> None:
    """Every run takes exactly so long."""
    world.rng.randrange = lambda *_: seconds * SECOND  # type: ignore[method-assign]


def outcomes(world: World) -> list[tuple[str, str]]:
    """Of each group, oldest first."""
    return [(e.state.value, e.reason) for _, e in sorted(world.history.items(), key=lambda item: item[0][1])]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Concurrency.FORBID, [("success", ""), ("skipped", "overlap"), ("skipped", "overlap")]),
        (Concurrency.QUEUE_ONE, [("success", ""), ("success", ""), ("skipped", "overlap")]),
        (Concurrency.QUEUE_NEWEST, [("success", ""), ("skipped", "superseded"), ("success", "")]),
        (Concurrency.QUEUE, [("success", ""), ("success", ""), ("success", "")]),
        (Concurrency.CANCEL_OTHER, [("killed", ""), ("skipped", "superseded"), ("success", "")]),
        (Concurrency.REPLACE, [("killed", ""), ("skipped", "superseded"), ("success", "")]),
    ],
)
def test_policies(policy: Concurrency, expected: list[tuple[str, str]]) -> None:
    world = simple(1, concurrency=policy)
    takes(world, 5)
    for _ in range(3):
        world.trigger("job")
        world.advance(SECOND // 4)
    world.advance(30 * SECOND)
    assert outcomes(world) == expected


def test_what_was_asked_for_keeps_its_place_before_fires() -> None:
    """As in dsari: a trigger takes the place of the run that waits, whatever times they bear; a fire does not."""
    world = simple(5, concurrency=Concurrency.QUEUE_NEWEST)
    takes(world, 35)
    world.put(msgspec.structs.replace(world.store.jobs["job"], schedule="*/10 * * * * *"))
    world.advance(31 * SECOND)  # one fire runs, the next waits, the third is skipped
    first = world.trigger("job", env={"ASKED": "first"})
    world.advance(SECOND)
    world.trigger("job", world.now - 60 * SECOND, env={"ASKED": "second"})
    world.advance(10 * SECOND)
    world.put(msgspec.structs.replace(world.store.jobs["job"], schedule="@manually"))
    world.advance(60 * SECOND)
    ran = [e for e in world.history.values() if e.state is State.SUCCESS]
    assert [e.env for e in sorted(ran, key=lambda e: e.decided)] == [{}, {"ASKED": "second"}]
    assert world.history["job", first, 0, ""].reason == Reason.SUPERSEDED
    skipped = Counter(e.reason for e in world.history.values() if e.trigger is Trigger.SCHEDULE)
    assert skipped["superseded"] == 1
    assert skipped["overlap"] >= 2


def test_a_queue_has_an_end() -> None:
    world = simple(2, concurrency=Concurrency.QUEUE, queue_limit=2)
    takes(world, 5)
    for _ in range(5):
        world.trigger("job")
    world.settle()
    assert waiting(world)["job"] == 2
    world.advance(40 * SECOND)
    assert outcomes(world) == [("success", "")] * 3 + [("skipped", "queue_full")] * 2


def test_what_waits_survives_the_leader_and_can_be_ended() -> None:
    world = simple(3, concurrency=Concurrency.QUEUE)
    takes(world, 5)
    groups = [world.trigger("job") for _ in range(3)]
    world.settle()
    world.crash()
    world.take_lead()
    world.settle()
    assert world.board is not None
    world.board.kill(("job", groups[2], 0, ""))
    world.advance(20 * SECOND)
    assert outcomes(world) == [("success", ""), ("success", ""), ("skipped", "cancelled")]


def test_those_who_wait_end_with_their_job() -> None:
    world = simple(4, concurrency=Concurrency.QUEUE)
    takes(world, 5)
    gone: list[Execution] = []
    world.purged = gone.append  # type: ignore[method-assign]
    for _ in range(3):
        world.trigger("job")
    world.advance(SECOND)
    world.delete("job")
    world.advance(20 * SECOND)
    assert sorted((e.state.value, e.reason) for e in gone) == [("skipped", "deleted")] * 2 + [("success", "")]


def test_a_pause_holds_those_who_wait() -> None:
    world = simple(5, concurrency=Concurrency.QUEUE)
    takes(world, 2)
    world.trigger("job")
    world.trigger("job")
    world.settle()
    world.pause(True)
    world.advance(10 * SECOND)
    assert waiting(world)["job"] == 1
    world.pause(False)
    world.advance(10 * SECOND)
    assert outcomes(world) == [("success", ""), ("success", "")]


def test_a_node_that_comes_in_time() -> None:
    world = simple(6, wait_for_target=60 * SECOND)
    world.drained.add("n1")
    world.trigger("job")
    world.advance(30 * SECOND)
    assert waiting(world)["job"] == 1
    world.crash()
    world.take_lead()
    world.drained.clear()
    world.advance(10 * SECOND)
    assert outcomes(world) == [("success", "")]


def test_a_node_that_does_not_come() -> None:
    world = simple(7, wait_for_target=10 * SECOND)
    world.drained.add("n1")
    for _ in range(2):
        world.trigger("job")
        world.advance(5 * SECOND)
    assert waiting(world)["job"] == 2
    world.advance(5 * SECOND)
    assert waiting(world)["job"] == 1, "each waits for its own time"
    world.advance(6 * SECOND)
    assert outcomes(world) == [("skipped", Reason.NO_TARGET)] * 2


def test_groups_are_fair_and_heed_priority() -> None:
    world = Watched(8, faults=False)
    world.fail_rate = 0
    takes(world, 1)
    world.take_lead()
    for name, priority in (("busy", 0), ("rare", 0), ("vital", 10)):
        world.put(
            Job(
                name,
                0,
                schedule="@manually",
                tags={"node": "n1"},
                concurrency_groups=("g",),
                priority=priority,
            )
        )
    world.advance(SECOND)
    for _ in range(5):
        world.trigger("busy")
    world.settle()
    world.trigger("rare")
    world.trigger("rare")
    world.settle()
    world.trigger("vital")
    world.advance(30 * SECOND)
    order = [key[0] for key, _ in sorted(world.nodes["n1"].starts.items(), key=lambda item: item[1])]
    assert order == ["busy", "vital", "busy", "rare", "busy", "rare", "busy", "busy"] or order == [
        "busy",
        "vital",
        "rare",
        "busy",
        "rare",
        "busy",
        "busy",
        "busy",
    ]
    assert {e.concurrency_group for e in world.history.values()} == {"g"}


def test_the_important_does_not_starve_the_others() -> None:
    world = Watched(9, faults=False)
    world.fail_rate = 0
    takes(world, 2)
    world.take_lead()
    world.put(Job("steady", 0, schedule="* * * * * *", tags={"node": "n1"}, concurrency_groups=("g",), priority=1))
    world.put(Job("modest", 0, schedule="@manually", tags={"node": "n1"}, concurrency_groups=("g",)))
    world.advance(5 * SECOND)
    world.trigger("modest")
    world.advance(1300 * SECOND, tick=SECOND)
    assert [e.state for e in world.history.values() if e.job == "modest"] == [State.SUCCESS]
