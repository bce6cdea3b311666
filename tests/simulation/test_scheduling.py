"""Whatever goes wrong, every fire that exists ends as exactly one outcome, and no key starts twice."""

from __future__ import annotations

from collections import Counter, defaultdict

import msgspec
import pytest

from dkronpy.model.duration import SECOND
from dkronpy.model.execution import Execution, Reason, State, Trigger
from dkronpy.model.job import Catchup, CatchupPolicy, Concurrency, Edit, Job, JobStatus, Retry
from dkronpy.scheduling.fires import compiled, next_fire
from tests.conftest import FULL
from tests.simulation.world import World


def owed(edits: list[Edit], until: int) -> list[int]:
    """The oracle: fire times by the definition in force at each time, one by one."""
    found: list[int] = []
    for index, edit in enumerate(edits):
        if edit.job is None:
            continue
        end = edits[index + 1].since if index + 1 < len(edits) else until
        schedule = compiled(edit.job)
        fire = next_fire(edit.job, schedule, edit.since)
        while fire is not None and fire <= end:
            found.append(fire)
            fire = next_fire(edit.job, schedule, fire)
    return found


def outcomes(executions: list[Execution]) -> dict[int, list[Execution]]:
    """Scheduled first attempts and records of fires that did not run, by fire time."""
    found: dict[int, list[Execution]] = defaultdict(list)
    for execution in executions:
        if execution.trigger is Trigger.SCHEDULE and execution.attempt <= 1:
            found[execution.fire].append(execution)
    return found


def check(world: World, name: str, edits: list[Edit], *, nodes: int = 1, late: bool = False) -> None:
    """Every fire owed has its outcome in the history; nothing else is there. With `late`, edits were seen late: fires
    of the old definition may then have run before the change was known."""
    executions = [e for key, e in world.history.items() if key[0] == name]
    found = outcomes(executions)
    expected = set(owed(edits, world.now))
    aggregated = [e for e in executions if e.count > 1]
    covered = {fire for fire in expected for e in aggregated if e.fire <= fire <= e.last}
    missing = expected - set(found) - covered
    assert not missing, f"no outcome for {sorted(missing)[:5]} of {name}"
    if not late:
        assert not set(found) - expected, "a fire that does not exist has an outcome"
    for fire, records in found.items():
        ran = [e for e in records if e.state.ran]
        assert (len(records) == 1 and not ran) or (len(ran) == len(records) == nodes), (fire, records)
    for e in aggregated:
        assert e.count == sum(1 for fire in expected if e.fire <= fire <= e.last)


def quiet(world: World) -> None:
    """End the faults and let everything come to rest."""
    world.faults = False
    if world.board is None:
        world.take_lead()
    for job in list(world.store.jobs.values()):
        if job.dependency is None:
            world.put(msgspec.structs.replace(job, disabled=True))
    for _ in range(4):
        for node in world.nodes.values():
            world._attach(node)
        world.advance(4 * world.duration + 2 * SECOND)
        world.settle()


def run(world: World, seconds: float) -> None:
    """Let time pass; a leader that fell is followed by another after a while."""
    left = int(seconds * SECOND)
    while left > 0:
        part = min(left, SECOND)
        world.advance(part)
        left -= part
        if world.board is None and world.rng.random() < 0.5:
            world.take_lead()


@pytest.mark.parametrize("seed", range(12))
def test_every_fire_has_one_outcome_whatever_happens(seed: int) -> None:
    world = World(seed, nodes=2)
    world.take_lead()
    jobs = [
        Job("each-second", 0, schedule="* * * * * *", tags={"node": "n1"}, retries=1),
        Job("every-2s", 0, schedule="@every 2s", concurrency=Concurrency.FORBID, tags={"node": "n2"}),
        Job("both", 0, schedule="*/3 * * * * *", retries=2, retry=Retry(initial=SECOND)),
        Job(
            "latest", 0, schedule="* * * * * *", catchup=Catchup(5 * SECOND, CatchupPolicy.LATEST), tags={"node": "n1"}
        ),
        Job("none", 0, schedule="* * * * * *", catchup=Catchup(policy=CatchupPolicy.NONE), tags={"node": "n1"}),
        Job("child", 0, parent_job="every-2s", tags={"node": "n1"}),
    ]
    for job in jobs:
        world.put(job)
    run(world, 30)
    world.crash()
    world.advance(world.rng.choice([0, 3, 20, 45, 100, 4000]) * SECOND, tick=10 * SECOND)
    run(world, 20)
    quiet(world)
    assert world.leaders > 1
    for job in jobs[:-1]:
        check(world, job.name, world.store.edits[job.name], nodes=2 if job.name == "both" else 1)
    for node in world.nodes.values():
        assert not node.running
        assert set(node.ended) == node.recorded, "a result was thrown away"
        for key in node.starts:
            assert world.history[key].state in (State.SUCCESS, State.FAILED)
    assert all(e.state.final for e in world.history.values())
    assert not world.store.triggers
    # Each successful group of the parent started its child once.
    parents = [e for key, e in world.history.items() if key[0] == "every-2s" and e.state is State.SUCCESS]
    children = [e for key, e in world.history.items() if key[0] == "child" and e.attempt <= 1]
    assert len(children) == len(parents)


@pytest.mark.parametrize("seed", range(200 if FULL else 8))
def test_a_clock_that_is_off_neither_doubles_nor_skips_a_fire(seed: int) -> None:
    """Leaders' clocks are up to 5 s off, one way or the other, and are set while they lead."""
    world = World(2000 + seed, nodes=2)
    world.take_lead()
    jobs = [
        Job("each-second", 0, schedule="* * * * * *", tags={"node": "n1"}),
        Job("every-3s", 0, schedule="@every 3s", tags={"node": "n2"}),
        Job("both", 0, schedule="*/4 * * * * *", catchup=Catchup(policy=CatchupPolicy.LATEST)),
    ]
    for job in jobs:
        world.put(job)
    for _ in range(12):
        world.clock_off = world.rng.randint(-5 * SECOND, 5 * SECOND)
        run(world, world.rng.random() * 8)
        if world.rng.random() < 0.3:
            world.crash()
            world.clock_off = world.rng.randint(-5 * SECOND, 5 * SECOND)
            run(world, 2)
    world.clock_off = 0
    run(world, 12)
    quiet(world)
    for job in jobs:
        check(world, job.name, world.store.edits[job.name], nodes=2 if job.name == "both" else 1)
    for node in world.nodes.values():
        assert all(started >= key[1] - 5 * SECOND for key, started in node.starts.items())


@pytest.mark.parametrize("lag", [0, 3, 40])
@pytest.mark.parametrize("seed", range(200 if FULL else 8))
def test_edits_hold_from_when_they_were_written(seed: int, lag: int) -> None:
    """Also where the leader's watch is held back for seconds, and the clocks of those who write are not quite right."""
    world = World(1000 + seed)
    world.lag, world.skew = lag * SECOND, SECOND if lag else 0
    world.take_lead()
    schedules = ["* * * * * *", "*/2 * * * * *", "@every 3s", "@manually", "*/5 * * * * *"]
    names = [f"job-{i}" for i in range(5)]
    edits: dict[str, list[Edit]] = defaultdict(list)
    purged: list[Execution] = []
    world.purged = purged.append  # type: ignore[method-assign]
    for _ in range(40):
        name = world.rng.choice(names)
        if name in world.store.jobs and world.rng.random() < 0.2:
            world.delete(name)
        else:
            disabled = world.rng.random() < 0.2
            world.put(Job(name, 0, schedule=world.rng.choice(schedules), disabled=disabled, tags={"node": "n1"}))
        edits[name].append(world.store.edits[name][-1])
        run(world, world.rng.random() * 4)
    world.skew = 0
    world.advance((lag + 2) * SECOND)
    ended = world.now
    quiet(world)
    everything = [*world.history.values(), *purged]
    for name in names:
        found = outcomes([e for e in everything if e.job == name])
        expected = set(owed(edits[name], ended))
        assert not expected - set(found), f"no outcome for {sorted(expected - set(found))[:5]} of {name}"
        assert not [records for records in found.values() if len(records) > 1]
        assert all(e.decided >= e.fire for records in found.values() for e in records)


def test_an_outage_of_a_day_is_recorded_in_few_records() -> None:
    world = World(1, faults=False)
    world.take_lead()
    job = Job("busy", 0, schedule="* * * * * *", tags={"node": "n1"})
    world.put(job)
    world.advance(5 * SECOND)
    world.crash()
    world.now += 86_400 * SECOND
    world.take_lead()
    world.settle()
    quiet(world)
    check(world, "busy", world.store.edits["busy"])
    missed = [e for e in world.history.values() if e.state is State.MISSED]
    assert sum(e.count for e in missed) > 86_000
    assert len(missed) <= 1100
    assert sum(1 for e in missed if e.count > 1) == 1


def test_stopped_for_30_seconds() -> None:
    expected = {CatchupPolicy.ALL: 30, CatchupPolicy.LATEST: 1, CatchupPolicy.NONE: 0}
    for policy, runs in expected.items():
        world = World(2, faults=False)
        world.fail_rate = 0
        world.take_lead()
        world.put(Job("tick", 0, schedule="* * * * * *", catchup=Catchup(policy=policy), tags={"node": "n1"}))
        world.advance(3 * SECOND)
        world.crash()
        before = len(world.nodes["n1"].starts)
        world.now += 30 * SECOND
        world.take_lead()
        world.settle()
        # The fire that is due just now is on time, and runs whatever the policy.
        assert len(world.nodes["n1"].starts) - before == max(runs, 1)
        missed = [e for e in world.history.values() if e.state is State.MISSED]
        assert len(missed) == 30 - max(runs, 1)


def test_a_pause_is_recorded() -> None:
    world = World(3, faults=False)
    world.take_lead()
    world.put(Job("tick", 0, schedule="* * * * * *", tags={"node": "n1"}))
    world.advance(5 * SECOND)
    world.pause(True)
    world.advance(10 * SECOND)
    world.pause(False)
    world.advance(5 * SECOND)
    quiet(world)
    skipped = [e for e in world.history.values() if e.state is State.SKIPPED]
    assert len(skipped) == 10
    assert {e.reason for e in skipped} == {Reason.PAUSED}


def test_forbid_skips_and_says_so_for_manual_runs_too() -> None:
    world = World(4, faults=False)
    world.duration = 60 * SECOND
    world.take_lead()
    world.put(Job("slow", 0, schedule="@manually", concurrency=Concurrency.FORBID, tags={"node": "n1"}))
    world.advance(SECOND)
    first, second = world.trigger("slow"), world.trigger("slow")
    assert first != second
    world.settle()
    quiet(world)
    states = Counter(e.state for e in world.history.values())
    assert states[State.SKIPPED] == 1
    (skip,) = [e for e in world.history.values() if e.state is State.SKIPPED]
    assert skip.reason is Reason.OVERLAP
    assert str(first) in skip.error


def test_a_group_that_succeeds_on_a_retry_is_a_success() -> None:
    world = World(5, faults=False)
    world.fail_rate = 1
    world.duration = SECOND // 10
    world.take_lead()
    world.put(
        Job("flaky", 0, schedule="@manually", retries=2, retry=Retry(SECOND, 2, 10 * SECOND), tags={"node": "n1"})
    )
    world.advance(SECOND)
    world.trigger("flaky")
    world.advance(30 * SECOND, tick=SECOND // 10)
    attempts = sorted((e.attempt, e) for e in world.history.values())
    assert [attempt for attempt, _ in attempts] == [1, 2, 3]
    first, second, third = (e for _, e in attempts)
    assert second.not_before - second.decided == SECOND
    assert third.not_before - third.decided == 2 * SECOND
    assert (first.finished or 0) <= second.decided
    assert world.store.states["flaky"].status is JobStatus.FAILED
    world.trigger("flaky")
    world.settle()
    world.advance(2 * SECOND, tick=SECOND // 10)
    world.fail_rate = 0
    world.advance(30 * SECOND, tick=SECOND // 10)
    state = world.store.states["flaky"]
    assert state.status is JobStatus.SUCCESS
    assert (state.success_count, state.error_count) == (1, 5)


def test_a_lost_run_is_replaced_by_a_later_true_report() -> None:
    world = World(6, faults=False)
    world.fail_rate = 0
    world.take_lead()
    world.put(Job("long", 0, schedule="@manually", tags={"node": "n1"}))
    world.advance(SECOND)
    world.trigger("long")
    world.settle()
    (key,) = world.nodes["n1"].starts
    assert world.board is not None
    world.board.report_lost(key, "the node is gone")
    world.settle()
    assert world.history[key].state is State.LOST
    world.advance(10 * SECOND)
    assert key in world.nodes["n1"].ended


def test_spent_ephemeral_jobs_fire_no_more() -> None:
    world = World(7, faults=False)
    world.fail_rate = 0
    world.duration = SECOND // 10
    world.take_lead()
    world.put(Job("once", 0, schedule="*/5 * * * * *", ephemeral=True, tags={"node": "n1"}))
    world.advance(20 * SECOND)
    assert len(world.nodes["n1"].starts) == 1
    world.crash()
    world.take_lead()
    assert world.board is not None
    assert world.board.spent() == ["once"]
    world.advance(10 * SECOND)
    assert len(world.nodes["n1"].starts) == 1


def test_a_fire_within_its_grace_runs_though_its_job_came_late() -> None:
    world = World(9, faults=False)
    world.take_lead()
    world.advance(20 * SECOND)
    at = "2027-01-15T08:00:10Z"
    world.put(Job("late", 0, schedule=f"@after {at} <PT1M", tags={"node": "n1"}))
    world.put(Job("too-late", 0, schedule=f"@after {at} <PT5S", tags={"node": "n1"}))
    world.advance(10 * SECOND)
    world.put(Job("late", 0, schedule=f"@after {at} <PT1M", tags={"node": "n1"}, owner="somebody"))
    quiet(world)
    assert [key[0] for key in world.nodes["n1"].starts] == ["late"]


def test_drained_nodes_are_not_picked_but_end_what_they_have() -> None:
    world = World(10, nodes=2, faults=False)
    world.fail_rate = 0.0
    world.put(Job("everywhere", 0, 0, schedule="@every 1s"))
    world.take_lead()
    world.advance(5 * SECOND)
    assert world.nodes["n2"].running
    world.drained.add("n2")
    since = world.now
    world.advance(10 * SECOND)
    assert not world.nodes["n2"].running
    assert max(key[1] for key in world.nodes["n2"].starts) <= since
    world.drained.add("n1")
    since = world.now
    world.advance(5 * SECOND)
    world.drained.clear()
    until = world.now
    world.advance(10 * SECOND)
    late = [e for e in world.history.values() if since < e.fire <= until]
    assert {(e.state, e.reason) for e in late} == {(State.SKIPPED, Reason.NO_TARGET)}
    assert any(e.node == "n2" and e.fire > until for e in world.history.values())


def test_no_targets_and_no_members() -> None:
    world = World(8, faults=False)
    world.take_lead()
    world.put(Job("nowhere", 0, schedule="* * * * * *", tags={"role": "missing"}))
    world.advance(3 * SECOND)
    assert {e.reason for e in world.history.values()} == {Reason.NO_TARGET}
    assert len(world.history) == 3


def test_records_of_a_step_round_trip() -> None:
    execution = Execution("a", 5, 1, "n", env={"K": "V"})
    assert msgspec.json.decode(msgspec.json.encode(execution), type=Execution) == execution
