"""No job, however written, stops the scheduler: a plain job beside any others goes on firing each second."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dkronpy.model.calendar import Blackout, Calendar
from dkronpy.model.duration import SECOND
from dkronpy.model.execution import State
from dkronpy.model.job import Catchup, CatchupPolicy, Concurrency, Hash, Job, Retry, RetryTarget, ScheduleEntry
from tests.simulation.world import World

NAMES = ["a", "b", "c", "a-b"]
START = 1_800_000_000 * SECOND
TIMES = st.one_of(st.none(), st.integers(-(2**62), 2**62), st.integers(START - 20 * SECOND, START + 20 * SECOND))
SCHEDULES = st.one_of(
    st.sampled_from(
        [
            "* * * * * *",
            "*/2 * * * * *",
            "0 0 29 2 *",
            "0 0 29 2 1",
            "59 59 23 31 12 *",
            "@every 1s",
            "@every 100000h",
            "@at 2027-01-15T08:00:05Z",
            "@at 1970-01-01T00:00:00Z",
            "@after 2027-01-15T08:00:03.5Z <PT1H",
            "@manually",
            "@yearly",
            "TZ=Australia/Lord_Howe 30 2 * * *",
            "~ ~ * * * *",
            "H H(20-1) * * * *",
            "H/2 * * * * *",
            "R/7 * * * * *",
            "@H-hourly",
            "RRULE:FREQ=SECONDLY",
            "RRULE:FREQ=SECONDLY;INTERVAL=7;BYHOUR=8;BYSETPOS=-1",
            "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO",
            "DTSTART:20270115T080000Z RRULE:FREQ=SECONDLY;COUNT=9 EXDATE:20270115T080003Z",
            "",
        ]
    ),
    st.text(max_size=30),
)
JOBS = st.builds(
    Job,
    name=st.sampled_from(NAMES),
    since=st.just(0),
    timezone=st.sampled_from(["", "UTC", "Europe/Berlin", "Pacific/Apia", "Nowhere/Land"]),
    schedule=SCHEDULES,
    schedules=st.lists(
        st.builds(
            ScheduleEntry,
            SCHEDULES,
            timezone=st.sampled_from(["", "UTC", "Africa/Cairo", "Nowhere/Land"]),
            env=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
        ),
        max_size=3,
    ).map(tuple),
    spread=st.one_of(st.just(0), st.integers(-(2**62), 2**62)),
    calendars=st.lists(st.sampled_from(["c", "missing", "é"]), max_size=2).map(tuple),
    blackouts=st.lists(
        st.builds(
            Blackout,
            start=TIMES,
            end=TIMES,
            schedule=SCHEDULES,
            duration=st.one_of(st.integers(-(2**62), 2**62), st.integers(0, 3 * SECOND)),
            timezone=st.sampled_from(["", "UTC", "Nowhere/Land"]),
        ),
        max_size=2,
    ).map(tuple),
    hash=st.sampled_from(Hash),
    hash_id=st.sampled_from(["", "another", "\ud800"]),
    disabled=st.booleans(),
    tags=st.sampled_from(
        [{}, {"node": "n1"}, {"node": "n1:1"}, {"node": "nobody"}, {"node": "n1:99999999"}, {"node": "n1:x"}]
    ),
    retries=st.integers(0, 5),
    retry=st.builds(
        Retry,
        initial=st.integers(0, 2**62),
        factor=st.floats(0, 1e300),
        maximum=st.integers(0, 2**62),
        on=st.sampled_from(RetryTarget),
    ),
    parent_job=st.sampled_from(["", "", *NAMES, "missing"]),
    concurrency=st.sampled_from(Concurrency),
    ephemeral=st.booleans(),
    starts_at=TIMES,
    expires_at=TIMES,
    catchup=st.builds(Catchup, window=st.integers(0, 2**62), policy=st.sampled_from(CatchupPolicy)),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(JOBS, max_size=6), st.integers(0, 2**32), st.sampled_from([0, 10, 40, 2000]))
def test_a_plain_job_goes_on_beside_any_others(jobs: list[Job], seed: int, outage: int) -> None:
    world = World(seed, faults=False)
    world.take_lead()
    world.calendar("c", Calendar(days=("2027-01-15", "nonsense"), blackouts=(Blackout(schedule="x"),)))
    world.put(Job("probe", 0, schedule="* * * * * *", tags={"node": "n1"}, catchup=Catchup(policy=CatchupPolicy.NONE)))
    for job in jobs:
        world.put(job)
    world.trigger(jobs[0].name if jobs else "probe")
    world.advance(3 * SECOND, tick=SECOND)
    world.crash()
    world.now += outage * SECOND
    world.take_lead()
    world.settle()
    for job in jobs[::2]:
        if job.name in world.store.jobs:
            world.delete(job.name)
    before = world.now
    world.advance(5 * SECOND, tick=SECOND)
    records = [execution for record in world.store.groups.values() for execution in record.executions]
    fires = {e.fire for e in [*world.history.values(), *records] if e.job == "probe" and e.state is not State.MISSED}
    due = range(before // SECOND + 1, world.now // SECOND + 1)
    assert {second * SECOND for second in due} <= fires
