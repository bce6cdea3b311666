"""What excludes fires, by revision of the calendars."""

from __future__ import annotations

from dkronpy.model.calendar import Blackout, Calendar, CalendarRecord, CalendarRevision
from dkronpy.model.duration import SECOND
from dkronpy.model.job import Job
from dkronpy.scheduling.exclusions import Excluded, Exclusions
from dkronpy.scheduling.fires import compiled

HOUR = 3600 * SECOND
ALWAYS = Calendar(blackouts=(Blackout(start=0, end=2**63 - 1),))
JOB = Job("a", 0, schedule="@every 1h", timezone="UTC", calendars=("c", "missing"))


def record(*revisions: tuple[int, Calendar | None]) -> CalendarRecord:
    return CalendarRecord(tuple(CalendarRevision(since, calendar=calendar) for since, calendar in revisions))


def test_a_revision_holds_for_fires_after_it_was_written() -> None:
    exclusions = Exclusions(
        {"c": record((2 * HOUR, ALWAYS), (5 * HOUR, Calendar()), (7 * HOUR, ALWAYS), (9 * HOUR, None))}
    )
    excluded = [hour for hour in range(1, 12) if exclusions.at(JOB, hour * HOUR)]
    assert excluded == [3, 4, 5, 8, 9]
    assert exclusions.at(JOB, 3 * HOUR) == Excluded("calendar c", 5 * HOUR + 1)
    fire, found = 0, []
    while (fire := exclusions.next_fire(JOB, compiled(JOB), fire) or 0) and fire < 12 * HOUR:
        found.append(fire // HOUR)
    assert found == [1, 2, 6, 7, 10, 11]


def test_changes_bound_what_is_the_same() -> None:
    exclusions = Exclusions({"c": record((2 * HOUR, Calendar(days=("1970-01-02",))))})
    for start in range(1, 60):
        change = exclusions.change(JOB, start * HOUR)
        until = 60 * HOUR if change is None else change
        states = {exclusions.at(JOB, time) is None for time in range(start * HOUR, until, HOUR // 2)}
        assert True not in states or len(states) == 1


def test_calendars_for_all_jobs() -> None:
    other = Job("b", 0, schedule="@every 1h", timezone="UTC")
    for calendar, excluded in ((ALWAYS, False), (Calendar(all_jobs=True, blackouts=ALWAYS.blackouts), True)):
        assert (Exclusions({"c": record((0, calendar))}).at(other, HOUR) is not None) is excluded


def test_a_job_without_an_allowed_fire_has_no_next() -> None:
    exclusions = Exclusions({"c": record((0, ALWAYS))})
    assert exclusions.next_fire(JOB, compiled(JOB), HOUR) is None


def test_a_calendar_that_cannot_be_read_excludes_nothing() -> None:
    exclusions = Exclusions({"c": record((0, Calendar(days=("nonsense",))))})
    assert exclusions.at(JOB, HOUR) is None
