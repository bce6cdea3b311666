"""Edits of a job that the leader notes late, as a model: which fires are decided, and by which definition.

Fires are due at whole times; a definition is the set of times at which it fires. One written at `since` holds for the
fires after that, up to and with the `since` of the next. The clock of the server that writes an edit may be off by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from tests.model.checker import Model, Next

Times: TypeAlias = frozenset[int]


class Rule(StrEnum):
    """What has every owed fire decided once; without any one of them the search finds a promise broken."""

    OLD_OWES = "the old definition is decided up to the edit"
    NEW_OWES = "the new definition is decided from the edit to the cursor"
    IN_TURN = "each of several edits is decided in its turn, not the newest alone"
    SAME_FIRE = "a fire of the new definition that the old one had too, and that is decided, is the same fire"
    REMEMBERED = "what replaced definitions decided after the edit that is adopted is remembered"
    CURSOR_WAITS = "the cursor does not move while an edit is being adopted"
    FROM_SINCE = "a definition owes nothing from before it was written"
    NOT_YET = "an edit is noted only when its time has come"
    FINISHED = "an adoption that has begun is finished before later edits are looked at"
    AFRESH = "how far one adoption has come does not bound the next"


class Promise(StrEnum):
    TWICE = "a fire was decided twice"
    NOT_OWED = "a fire was decided that no definition owed"
    EARLY = "a fire was decided before its time"
    MISSED = "a fire that was owed was passed over"


class Schedule(NamedTuple):
    now: int
    edits: tuple[tuple[int, Times], ...]  # (since, definition); the first is what the job began with
    noted: int = 0  # the newest edit that the leader knows
    adopted: int = 0
    cursor: int = 0  # the adopted definition is decided up to here
    adopting: int = 0  # the newest edit of the adoption that has begun; 0: none has
    decided: int = 0  # how far that adoption has come
    extra: Times = frozenset()  # times after the adopted edit that definitions before it had decided
    fires: Times = frozenset()
    broken: str = ""


@dataclass(frozen=True)
class Edits(Model[Schedule]):
    """The model, up to time `end` and with so many edits."""

    end: int = 4
    edits: int = 3

    def initial(self) -> Schedule:
        return Schedule(0, ((-1, frozenset(range(1, self.end + 1))),))

    def good(self, state: Schedule) -> bool:
        return state.cursor == self.end and state.adopted + 1 == len(state.edits)

    def steps(self, state: Schedule) -> Iterator[Next[Schedule]]:
        now, edits, adopting = state.now, state.edits, state.noted > state.adopted
        if now < self.end:
            yield Next(f"it is {now + 1}", state._replace(now=now + 1))
        if len(edits) <= self.edits:
            every = range(1, self.end + 1)
            for since in (now - 1, now, now + 1):
                for new in (every, every[1::2], every[::2], ()) if edits[-1][0] < since < self.end else ():
                    after = state._replace(edits=(*edits, (since, frozenset(new))))
                    yield Next(f"the job is edited at {since} to fire at {list(new)}", after, fault=True)
        if state.noted + 1 < len(edits) and (edits[state.noted + 1][0] <= now or not self.has(Rule.NOT_YET)):
            yield Next("the leader notes the next edit", state._replace(noted=state.noted + 1))
        if adopting:
            yield from self._adopts(state)
        if not adopting or not self.has(Rule.CURSOR_WAITS):
            yield from self._goes_on(state, adopting)

    def _goes_on(self, state: Schedule, adopting: bool) -> Iterator[Next[Schedule]]:
        """Decide the next fire, or let other jobs' fires move the cursor on to the time before it."""
        since, definition = state.edits[state.adopted]
        after = max(state.cursor, since)
        due = min((time for time in definition if time > after and not adopting), default=self.end + 1)
        if due <= state.now:
            yield Next(
                f"fire {due} is decided", self._fire(state, state.adopted, due, state.noted)._replace(cursor=due)
            )
        for time in range(state.cursor + 1, min(due - 1, state.now) + 1):
            yield Next(f"the cursor passes {time}", self._checked(state._replace(cursor=time)))

    def _adopts(self, state: Schedule) -> Iterator[Next[Schedule]]:
        """Decide the first span that has a fire, whole or only its first fire; adopt the edits when there is none."""
        newest = state.adopting if state.adopting and self.has(Rule.FINISHED) else state.noted
        settled = self._settled(state)
        for edit, after, until in self._spans(state, newest):
            known = settled if edit != state.adopted else frozenset[int]()
            times = sorted(time for time in state.edits[edit][1] - known if after < time <= until)
            for portion in {tuple(times), tuple(times[:1])} if times else ():
                decided = state._replace(decided=until if len(portion) == len(times) else portion[-1], adopting=newest)
                for time in portion:
                    decided = self._fire(decided, edit, time, newest)
                yield Next(f"fires {portion} of edit {edit} are decided", decided)
            if times:
                return
        extra = frozenset(time for time in settled if time > state.edits[newest][0])
        decided = 0 if self.has(Rule.AFRESH) else state.decided
        after = state._replace(adopted=newest, adopting=0, decided=decided, extra=extra)
        yield Next(f"edit {newest} is adopted", self._checked(after))

    def _spans(self, state: Schedule, newest: int) -> Iterator[tuple[int, int, int]]:
        """(edit, after, until): what each definition owes up to the newest edit or the cursor."""
        pending = range(state.adopted + 1, newest + 1)
        first, last = state.edits[pending[0]][0], state.edits[newest][0]
        begin, end = max(min(first, state.cursor), state.decided), max(last, state.cursor)
        held = [state.adopted, *(pending if self.has(Rule.IN_TURN) else pending[-1:])]
        for edit, following in zip(held, [*held[1:], None], strict=True):
            old = edit == state.adopted
            if self.has(Rule.OLD_OWES if old else Rule.NEW_OWES):
                since = 0 if old and not self.has(Rule.FROM_SINCE) else state.edits[edit][0]
                yield edit, max(begin, since), end if following is None else min(end, state.edits[following][0])

    def _settled(self, state: Schedule) -> Times:
        """Times after the first edit that are decided already."""
        since, old = state.edits[state.adopted + 1][0], state.edits[state.adopted][1]
        by_old = frozenset(time for time in old if since < time <= state.cursor)
        known = by_old | state.extra if self.has(Rule.REMEMBERED) else by_old
        return known if self.has(Rule.SAME_FIRE) else frozenset()

    def _fire(self, state: Schedule, edit: int, time: int, newest: int) -> Schedule:
        """Decide a fire by an edit's definition; `newest` is the last edit that is looked at."""
        broken = state.broken
        until = state.edits[edit + 1][0] if edit < newest else self.end
        if time in state.fires:
            broken = broken or Promise.TWICE
        elif time > state.now:
            broken = broken or Promise.EARLY
        elif not state.edits[edit][0] < time <= until:
            broken = broken or Promise.NOT_OWED
        return state._replace(fires=state.fires | {time}, broken=broken)

    def _checked(self, state: Schedule) -> Schedule:
        """Once all edits are adopted, nothing owed may be behind the cursor."""
        if state.adopted + 1 == len(state.edits):
            for time in set(range(1, state.cursor + 1)) - state.fires:
                held = max(edit for edit, (since, _) in enumerate(state.edits) if since < time)
                if time in state.edits[held][1]:
                    return state._replace(broken=Promise.MISSED)
        return state
