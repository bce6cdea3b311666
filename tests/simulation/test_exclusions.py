"""Calendars and blackouts on the virtual clock: a fire is excluded by what held at its time, whenever it is decided."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from dkronpy.model.calendar import Blackout, Calendar
from dkronpy.model.duration import SECOND
from dkronpy.model.execution import Reason, State
from dkronpy.model.job import Catchup, CatchupPolicy, Job, ScheduleEntry
from dkronpy.scheduling.exclusions import Exclusions
from dkronpy.scheduling.fires import compiled, next_fire
from tests.simulation.world import World

START = 1_800_000_000
JOB = Job(
    "a",
    0,
    timezone="UTC",
    schedules=(ScheduleEntry("*/2 * * * * *", env={"X": "1"}), ScheduleEntry("*/3 * * * * *")),
    tags={"node": "n1"},
    catchup=Catchup(window=10 * SECOND),
    blackouts=(Blackout(schedule="0 * * * *", duration=7 * SECOND, timezone="UTC"),),
    calendars=("c",),
)
FOREVER = Blackout(start=0, end=2**62)


@settings(max_examples=8)
@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from([None, Calendar(), Calendar(blackouts=(FOREVER,))])), max_size=5
    ),
    st.sampled_from([0, 5, 45]),
    st.sampled_from(CatchupPolicy),
    st.integers(0, 1000),
)
def test_every_fire_follows_the_calendar_of_its_time(changes, outage, policy, seed):
    world = World(seed, faults=True, start=START - 30)
    world.take_lead()
    world.put(msgspec.structs.replace(JOB, catchup=Catchup(10 * SECOND, policy)))
    begun = world.store.jobs["a"].since
    for pause, calendar in changes:
        world.advance(pause * SECOND, tick=SECOND)
        if world.board is None:
            world.take_lead()
        world.calendar("c", calendar)
    world.crash()
    world.now += outage * SECOND
    world.take_lead()
    for _ in range(5):
        world.advance(2 * SECOND, tick=SECOND)
        if world.board is None:
            world.take_lead()
    world.faults = False
    world.settle()
    world.advance(10 * SECOND, tick=SECOND)
    end = world.now
    records = {e.key: e for e in world.history.values()}
    records |= {e.key: e for record in world.store.groups.values() for e in record.unpacked()}
    exclusions, schedule = Exclusions(world.store.calendars), compiled(JOB)
    fires: dict[int, bool] = {}
    fire = next_fire(JOB, schedule, begun)
    while fire is not None and fire <= end:
        fires[fire] = exclusions.at(JOB, fire) is not None
        fire = next_fire(JOB, schedule, fire)
    decided: dict[int, bool] = {}
    for execution in records.values():
        last, time = execution.last or execution.fire, execution.fire
        count = 0
        while time is not None and time <= last:
            assert time not in decided or execution.attempt > 1
            decided[time] = execution.reason == Reason.EXCLUDED
            count += 1
            time = next_fire(JOB, schedule, time)
        assert count == execution.count
        if execution.reason == Reason.EXCLUDED:
            assert execution.state is State.SKIPPED
            assert execution.error in ("calendar c excludes it", "a blackout of the job excludes it")
        if execution.state.ran:
            assert execution.env == ({"X": "1"} if execution.fire % (2 * SECOND) == 0 else {})
    assert decided == fires
