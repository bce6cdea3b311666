"""The definitions that a leader schedules by: those adopted, what they still owe, and edits that are to be adopted."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from dkronpy.model.job import Edit, Job, JobState
from dkronpy.model.records import Cursor, Sweep
from dkronpy.schedule import Schedule, ScheduleError
from dkronpy.scheduling.debt import Settled, Span, cut, definitions, owed_ranges
from dkronpy.scheduling.fires import Timeline, compiled, next_fire

log = logging.getLogger(__name__)

_NEW = JobState()


class Debt(msgspec.Struct):
    """A job's owed past. `pending` are the edits noted and not yet adopted, `adopted` the definition in force before
    them."""

    adopted: Job | None
    pending: list[Edit]


class Definitions:
    """See the module. `cursor` and `states` are as in the store, but for the step that is being committed."""

    def __init__(self, cursor: Cursor, states: Mapping[str, JobState]) -> None:
        self.cursor = cursor
        self.jobs: dict[str, Job] = {}
        """Adopted definitions."""
        self.states: dict[str, JobState] = dict(states)
        self.children: dict[str, set[str]] = {}
        self.timeline = Timeline()
        self.debts: dict[str, Debt] = {}
        self.coming: dict[str, deque[Edit]] = {}
        """Edits not noted yet, by job: they hold from a time that has not come where the clock of the server that
        wrote them is ahead."""

    def state(self, name: str) -> JobState:
        """The job's state; an empty one for a job without."""
        return self.states.get(name, _NEW)

    def adopt(self, job: Job) -> None:
        """Schedule by this definition from the cursor on."""
        self._link(self.jobs.get(job.name), job)
        self.jobs[job.name] = job
        schedule = self.schedule(job)
        if schedule is None or (job.ephemeral and self.state(job.name).spent):
            self.timeline.remove(job.name)
            return
        self.timeline.put(job, schedule, max(self.cursor.after(job.name), job.since))

    def forget(self, name: str) -> None:
        """The job's deletion is adopted."""
        job = self.jobs.pop(name, None)
        self._link(job, None)
        self.timeline.remove(name)

    def schedule(self, job: Job) -> Schedule | None:
        """The compiled schedule; None, and logged, for one that this version can't read (it was checked when it was
        written)."""
        if job.dependency is not None:
            return None
        if (known := self.timeline.schedule(job)) is not None:
            return known
        try:
            return compiled(job)
        except ScheduleError as error:
            log.error("schedule of a stored job can't be read: %s", error, extra={"job": job.name})
            return None

    def adoption(self, name: str) -> list[Edit]:
        """The edits to adopt next: all that are noted, or those of an adoption that has begun."""
        pending, begun = self.debts[name].pending, self.state(name).adopting
        return pending if begun is None else [edit for edit in pending if edit.since <= begun.since]

    def spans(self, name: str) -> list[Span]:
        """What the job owes from the past, by definition, oldest first; spans without a fire are left out."""
        adopted, edits, state = self.debts[name].adopted, self.adoption(name), self.state(name)
        ranges = owed_ranges(name, self.cursor, state, edits)
        parts = [*self._in_grace(name, edits), *cut(ranges, definitions(adopted, edits))]
        settled = self.settled(name)
        found: list[Span] = []
        for job, after, until in parts:
            schedule = self.schedule(job)
            fire = None if schedule is None else next_fire(job, schedule, after)
            if schedule is not None and fire is not None and fire <= until:
                found.append(Span(job, schedule, after, until, None if job is adopted else settled))
        return found

    def _in_grace(self, name: str, edits: Sequence[Edit]) -> list[tuple[Job, int, int]]:
        """A new job whose schedule may start late (`@after`) also owes a fire before it was written, within that
        grace."""
        first = edits[0] if edits and self.debts[name].adopted is None else None
        if first is None or first.job is None:
            return []
        schedule, begun = self.schedule(first.job), self.state(name).adopting
        if schedule is None or schedule.grace is None:
            return []
        return [(first.job, max(0 if begun is None else begun.decided, first.since - schedule.grace - 1), first.since)]

    def settled(self, name: str) -> Settled | None:
        """What is decided after the first edit that is being adopted: the adopted definition was scheduled by up to
        the cursor, but for what a sweep that began before still owes. None where nothing is."""
        old, edits, state = self.debts[name].adopted, self.adoption(name), self.state(name)
        if not edits:
            return None
        since, until = edits[0].since, self.cursor.after(name)
        schedule = None if old is None or until <= since else self.schedule(old)
        if schedule is None and not state.settled:
            return None
        owed = tuple((max(sweep.start, state.decided), sweep.to) for sweep in self.cursor.sweeps)
        return Settled(old, schedule, since, until, owed, frozenset(state.settled))

    def _link(self, old: Job | None, new: Job | None) -> None:
        if old is not None:
            for parent in old.parents:
                self.children[parent].discard(old.name)
        if new is not None:
            for parent in new.parents:
                self.children.setdefault(parent, set()).add(new.name)

    def edited(self, name: str, edit: Edit) -> None:
        """A definition changed. Edits of a job come in order; those already known are ignored."""
        debt, coming = self.debts.get(name), self.coming.get(name)
        known = coming or (debt and debt.pending)
        if edit.since > (known[-1].since if known else self.state(name).adopted):
            self.coming.setdefault(name, deque()).append(edit)

    def note(self, now: int) -> None:
        """Note the edits whose time has come, or that an earlier leader has begun to adopt."""
        for name, edits in list(self.coming.items()):
            begun = self.state(name).adopting
            until = now if begun is None else max(now, begun.since)
            while edits and edits[0].since <= until:
                debt = self.debts.setdefault(name, Debt(self.jobs.get(name), []))
                debt.pending.append(edits.popleft())
                # Until the edit is adopted the old definition owes only what the adoption will settle.
                self.timeline.remove(name)
            if not edits:
                del self.coming[name]

    def awaits(self, name: str, at: int) -> bool:
        """Whether a request of a time waits for the definition that holds then."""
        return name in self.debts or any(
            edit.since <= at or name not in self.jobs for edit in self.coming.get(name, ())
        )

    @property
    def adopting(self) -> bool:
        """Whether a scheduled job's edit waits for its adoption. The cursor must not pass meanwhile: that the adopted
        definition was scheduled by up to the cursor is how the adoption knows which fires are decided."""
        return any(debt.adopted is not None and debt.pending for debt in self.debts.values())

    def sweep(self, horizon: int) -> None:
        """Turn a backlog into a sweep, and find what the sweeps owe."""
        head = self.timeline.head()
        if head is not None and head[0] < horizon:
            # The cursor (horizon, "") leaves the fires at the horizon itself to the timeline.
            sweep = Sweep(self.cursor.time, self.cursor.job, horizon - 1)
            self.cursor = msgspec.structs.replace(
                self.cursor, time=horizon, job="", sweeps=(*self.cursor.sweeps, sweep)
            )
            entries, self.timeline = self.timeline.entries(), Timeline()
            for job, schedule in entries:
                self.timeline.put(job, schedule, max(self.cursor.after(job.name), job.since))
        if self.cursor.sweeps:
            for name, job in self.jobs.items():
                self.debts[name] = Debt(job, [])
                if not self.spans(name):
                    del self.debts[name]
