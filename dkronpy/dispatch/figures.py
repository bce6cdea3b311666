"""What the leader keeps of the jobs' figures: what was committed, and what of it the history's digests hold.

The commit that ends a run counts it, and keeps its duration and latency in the job's state. Here those are folded into
the digests in the history, some at once or after a while, and only then may a later commit let them go. So a leader
that dies at any point loses nothing and counts nothing twice: observations are numbered, and figures in the history say
up to which number they were folded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import msgspec

from dkronpy.history.contract import History, HistoryError
from dkronpy.metrics.digest import fold
from dkronpy.metrics.job_figures import JobRow, Values, digested
from dkronpy.model.figures import JobFigures
from dkronpy.model.job import JobState, last_of
from dkronpy.scheduling.groups import Folded

log = logging.getLogger(__name__)

ENOUGH = 16
"""Observations of a job that are folded at once."""
BATCH = 100
"""Jobs whose figures are written together."""
PAGE = 500
"""Jobs whose figures are read together."""
SLICE = 2000
"""Jobs that are looked at before others get the event loop."""
RETRY = 2.0
"""Seconds between tries while the history can't be read or written."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What the history holds of a job."""

    age: tuple[int, int]
    observed: int
    values: Values


class FigureKeeper:
    """See the module. `folded` is told what later commits need no longer keep."""

    def __init__(
        self,
        history: History,
        quantiles: Sequence[float],
        states: Mapping[str, JobState],
        folded: Callable[[str, Folded], None],
    ) -> None:
        self._history = history
        self._quantiles = quantiles
        self._states = dict(states)
        self._folded = folded
        self._held: dict[str, _Held] = {}
        self._loaded = False
        self._due: dict[str, float] = {}
        """Jobs whose figures in the history are not the newest, longest first, with when (on the loop's clock) they
        have to be written."""
        self._full: dict[str, None] = {}
        """Those of them that have enough to be folded."""
        self._rows: dict[str, JobRow] = {}
        self._wake = asyncio.Event()
        self.writing = asyncio.Lock()
        """Held while figures are written; whoever deletes a job's history holds it, or they would be written again."""

    def committed(self, states: Mapping[str, JobState | None]) -> None:
        """These states were committed; None: gone."""
        for name, state in states.items():
            self._rows.pop(name, None)
            if state is None:
                for table in (self._states, self._held, self._due, self._full):
                    table.pop(name, None)
            else:
                self._states[name] = state
                self._note(name, state)

    @property
    def behind(self) -> bool:
        """Whether the history lacks figures that were committed, or has not been read."""
        return bool(self._due) or not self._loaded

    def rows(self, jobs: Iterable[str]) -> list[JobRow]:
        """The figures of these jobs, as far as they have a state."""
        found: list[JobRow] = []
        for name in jobs:
            row = self._rows.get(name)
            if row is None:
                if (state := self._states.get(name)) is None:
                    continue
                row = self._rows[name] = self._row(name, state)
            found.append(row)
        return found

    async def run(self) -> None:
        """Read what the history holds, then write what changes, until cancelled."""
        await self._insist(self._load)
        while True:
            self._wake.clear()
            if names := self._chosen():
                await self._insist(partial(self._write, names))
                continue
            first = next(iter(self._due.values()), None)
            try:
                async with asyncio.timeout_at(first):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _note(self, name: str, state: JobState) -> None:
        """Remember to write the job's figures if the history lacks them."""
        figures, held = state.figures, self._held.get(name)
        if not figures.changes if held is None else held.age >= figures.age:
            return
        clock = asyncio.get_running_loop().time
        self._due.setdefault(name, clock() + self._history.figures_delay)
        through = held.observed if held is not None and held.age[0] == figures.origin else 0
        if figures.observed - through >= ENOUGH and name not in self._full:
            self._full[name] = None
            self._wake.set()
        elif len(self._due) == 1:
            self._wake.set()

    def _chosen(self) -> list[str]:
        """The jobs whose figures are to be written now."""
        names = list(islice(self._full, BATCH))
        now = asyncio.get_running_loop().time()
        for name, due in self._due.items():
            if due > now or len(names) == BATCH:
                break
            if name not in self._full:
                names.append(name)
        return names

    async def _load(self) -> None:
        after = ""
        while True:
            page = await self._history.figures(after=after, limit=PAGE)
            known = [of for of in page if of.job in self._states]
            self._remember(known, await asyncio.to_thread(_all_held, known, self._quantiles))
            if len(page) < PAGE:
                break
            after = page[-1].job
        for number, name in enumerate(list(self._states)):
            if not number % SLICE:
                await asyncio.sleep(0)
            if (state := self._states.get(name)) is not None:
                self._note(name, state)
        self._loaded = True
        self._rows.clear()

    async def _write(self, names: Sequence[str]) -> None:
        async with self.writing:
            states = {name: self._states[name] for name in names if name in self._states}
            older = await self._history.figures_of(states.keys())
            new = await asyncio.to_thread(_folded, states, older)
            await self._history.write_figures(new)
            self._remember(new, await asyncio.to_thread(_all_held, new, self._quantiles))
            for name in names:
                self._due.pop(name, None)
                self._full.pop(name, None)
                if (state := self._states.get(name)) is not None:
                    self._note(name, state)

    def _remember(self, figures: Sequence[JobFigures], read: Sequence[_Held]) -> None:
        for of, held in zip(figures, read, strict=True):
            if of.job in self._states:
                self._held[of.job] = held
                self._rows.pop(of.job, None)
                self._folded(of.job, (of.figures.origin, of.figures.observed))

    def _row(self, name: str, state: JobState) -> JobRow:
        figures, held = state.figures, self._held.get(name)
        values: Values | None = ((), ())
        if figures.first_recent == 1 or (held is None and self._loaded):
            values = None
        elif held is not None and held.age[0] == figures.origin:
            values = held.values
        return JobRow(name, state.success_count, state.error_count, figures, last_of(state), values)

    async def _insist(self, work: Callable[[], Awaitable[None]]) -> None:
        failing = False
        while True:
            try:
                return await work()
            except HistoryError as error:
                if not failing:
                    log.warning("the jobs' figures can't be kept in the history now, trying again: %s", error)
                failing = True
                await asyncio.sleep(RETRY)


def _folded(states: Mapping[str, JobState], older: Mapping[str, JobFigures]) -> list[JobFigures]:
    """The figures of each job, with what is recent folded into what the history holds."""
    found: list[JobFigures] = []
    for name, state in states.items():
        figures, old = state.figures, older.get(name)
        if old is None or old.figures.origin != figures.origin:
            old = JobFigures(name, 0, 0, figures)
            through = 0
        else:
            through = old.figures.observed
        pairs = list(figures.recent_after(through))
        durations = _fold(name, old.durations, [duration for duration, _ in pairs])
        latencies = _fold(name, old.latencies, [latency for _, latency in pairs])
        kept = msgspec.structs.replace(figures, recent=b"")
        found.append(
            JobFigures(name, state.success_count, state.error_count, kept, last_of(state), durations, latencies)
        )
    return found


def _fold(name: str, digest: bytes, values: Collection[float]) -> bytes:
    if not values:
        return digest
    try:
        return fold(digest, list(values))
    except ValueError as error:
        log.error(
            "a job's quantiles begin anew: the digest in the history can't be read: %s", error, extra={"job": name}
        )
        return fold(b"", list(values))


def _all_held(figures: Iterable[JobFigures], quantiles: Sequence[float]) -> list[_Held]:
    return [_Held(of.figures.age, of.figures.observed, digested(of, quantiles)) for of in figures]
