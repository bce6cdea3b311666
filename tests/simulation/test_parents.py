"""Jobs that run after others: each run of a parent starts what it should, once, whatever goes wrong on the way."""

from __future__ import annotations

import pytest

from dkronpy.model.dependency import Dependency, Outcome, Parent, ParentRun, Require
from dkronpy.model.duration import SECOND
from dkronpy.model.execution import Execution, Reason, State, Trigger
from dkronpy.model.job import Job
from tests.conftest import FULL
from tests.simulation.test_scheduling import quiet, run
from tests.simulation.world import World

EVER = 10**9 * SECOND
NARROW = 2 * SECOND


def after(*parents: str | Parent, require: Require = Require.ALL, window: int = EVER) -> Dependency:
    found = tuple(Parent(parent) if isinstance(parent, str) else parent for parent in parents)
    return Dependency(found, require, window)


def child(name: str, dependency: Dependency) -> Job:
    return Job(name, 0, depends_on=dependency, tags={"node": "n1"})


def groups(world: World, name: str, *states: State) -> dict[int, Execution]:
    """The job's executions by group, one each; only those that ended so."""
    return {e.group: e for e in world.history.values() if e.job == name and (not states or e.state in states)}


def parents_of(execution: Execution) -> tuple[ParentRun, ...]:
    """The runs that started it."""
    assert execution.origin is not None
    return execution.origin.parents


def check_used_once(world: World, name: str, window: int, parents: int) -> None:
    """Each run has one group of every parent, each group is used by one run at most, all within the window."""
    used = [run for execution in groups(world, name).values() for run in parents_of(execution)]
    assert len({(run.job, run.group) for run in used}) == len(used), "a parent's run was used twice"
    for execution in groups(world, name).values():
        assert execution.trigger is Trigger.PARENT
        assert len({run.job for run in parents_of(execution)}) == parents
        ends = [run.at for run in parents_of(execution)]
        assert max(ends) - min(ends) <= window
    for parent in used:
        ended = [e.finished or 0 for e in world.history.values() if (e.job, e.group) == (parent.job, parent.group)]
        assert parent.at == max(ended)


@pytest.mark.parametrize("seed", range(60 if FULL else 8))
def test_every_run_of_a_parent_counts_once_whatever_happens(seed: int) -> None:
    world = World(3000 + seed, nodes=1)
    world.duration = SECOND // 2
    world.take_lead()
    for name, schedule in (("a", "*/2 * * * * *"), ("b", "*/3 * * * * *"), ("c", "@every 5s")):
        world.put(Job(name, 0, schedule=schedule, tags={"node": "n1"}))
    world.put(child("all", after("a", "b", Parent("c", Outcome.COMPLETION))))
    world.put(child("near", after("a", "b", window=NARROW)))
    world.put(child("any", after(Parent("a", Outcome.FAILURE), Parent("c", Outcome.COMPLETION), require=Require.ANY)))
    world.put(child("below", after(Parent("all", Outcome.COMPLETION))))
    wide = [Job(f"wide-{number}", 0, parent_job="c", tags={"node": "n1"}) for number in range(70)]
    for job in wide:
        world.put(job)
    run(world, 12)
    world.crash()
    run(world, world.rng.choice([0, 1, 20]))
    run(world, 12)
    quiet(world)
    quiet(world)
    a, b, c = groups(world, "a", State.SUCCESS), groups(world, "b", State.SUCCESS), groups(world, "c", *State)
    c = {group: execution for group, execution in c.items() if execution.state.ran}
    assert len(groups(world, "all")) == min(len(a), len(b), len(c))
    check_used_once(world, "all", EVER, 3)
    check_used_once(world, "near", NARROW, 2)
    assert 0 < len(groups(world, "near")) <= min(len(a), len(b))
    assert len(groups(world, "any")) == len(groups(world, "a", State.FAILED)) + len(c)
    assert {parents_of(e)[0].group for e in groups(world, "below").values()} == set(groups(world, "all"))
    succeeded = {group for group, execution in c.items() if execution.state is State.SUCCESS}
    for job in wide:
        assert sorted(parents_of(e)[0].group for e in groups(world, job.name).values()) == sorted(succeeded)
    assert not world.store.groups
    assert not world.store.triggers


class OneFault(World):
    """One thing goes wrong: that which is the `at`-th that may."""

    at = 0
    calls = 0

    def _chance(self, probability: float) -> bool:
        self.calls += 1
        return self.calls == self.at


def play(at: int) -> OneFault:
    """Two parents, a job after both and one more after that; the leader that falls is followed by another."""
    world = OneFault(1)
    world.at = at
    world.fail_rate = 0
    world.rng.randrange = lambda *_: SECOND  # type: ignore[method-assign]
    world.take_lead()
    for name in ("a", "b"):
        world.put(Job(name, 0, schedule="@manually", tags={"node": "n1"}))
    world.put(child("both", after("a", "b")))
    world.put(Job("last", 0, parent_job="both", tags={"node": "n1"}))
    world.advance(SECOND)
    for name in ("a", "a", "b", "a", "b"):
        world.trigger(name)
        for _ in range(4):
            world.advance(SECOND // 2)
            if world.board is None:
                world.take_lead()
    for _ in range(8):
        world.advance(SECOND)
        if world.board is None:
            world.take_lead()
        world._attach(world.nodes["n1"])  # a report is lost only with its session
    return world


@pytest.mark.parametrize("part", range(4))
def test_a_fault_at_every_step_changes_nothing(part: int) -> None:
    total = play(0).calls
    assert total > 50
    for at in range(1 + part, total + 1, 4):
        world = play(at)
        both = groups(world, "both", State.SUCCESS)
        assert len(both) == 2, f"fault {at}"
        check_used_once(world, "both", EVER, 2)
        assert {parents_of(e)[0].group for e in groups(world, "last", State.SUCCESS).values()} == set(both)
        assert [found.job for found in world.store.states["both"].met] == ["a"]
        assert not world.store.groups


def quick(dependency: Dependency) -> World:
    """A child of two jobs whose runs take a second and succeed."""
    world = World(1, faults=False)
    world.fail_rate = 0
    world.rng.randrange = lambda *_: SECOND  # type: ignore[method-assign]
    world.take_lead()
    for name in ("a", "b"):
        world.put(Job(name, 0, schedule="@manually", tags={"node": "n1"}))
    world.put(child("both", dependency))
    world.advance(SECOND)
    return world


def ask(world: World, *names: str) -> None:
    for name in names:
        world.trigger(name)
        world.advance(3 * SECOND)


def test_what_is_met_survives_the_leader() -> None:
    world = quick(after("a", "b"))
    ask(world, "a")
    world.crash()
    world.take_lead()
    ask(world, "b")
    (execution,) = groups(world, "both").values()
    assert [found.job for found in parents_of(execution)] == ["a", "b"]
    assert not world.store.states["both"].met


def test_a_change_of_the_parents_starts_anew() -> None:
    world = quick(after("a", "b"))
    ask(world, "a")
    world.put(child("both", after("a", "b", window=EVER - 1)))
    world.advance(SECOND)
    assert world.store.states["both"].met
    world.put(child("both", after("a", Parent("b", Outcome.COMPLETION))))
    world.advance(SECOND)
    assert not world.store.states["both"].met
    ask(world, "b", "a")
    assert len(groups(world, "both")) == 1


def test_a_child_that_is_disabled_is_skipped_and_says_so() -> None:
    world = quick(after("a", "b", require=Require.ANY))
    world.put(Job("both", 0, depends_on=after("a", "b"), disabled=True, tags={"node": "n1"}))
    world.advance(SECOND)
    ask(world, "a", "b")
    (execution,) = groups(world, "both").values()
    assert (execution.state, execution.reason) == (State.SKIPPED, Reason.DISABLED)
    assert parents_of(execution) == tuple(
        ParentRun(name, *groups(world, name), at=e.finished or 0) for name in "ab" for e in groups(world, name).values()
    )
