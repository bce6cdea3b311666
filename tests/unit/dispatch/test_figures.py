"""The figures of jobs are exact, whichever leader dies at what point, and whatever a superseded one still writes."""

from __future__ import annotations

import asyncio
import itertools
import zlib
from collections.abc import Sequence

from fastdigest import TDigest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkronpy.dispatch.figures import ENOUGH, FigureKeeper
from dkronpy.history.contract import HistoryError
from dkronpy.metrics.digest import QUANTILES, quantiles_among
from dkronpy.model.execution import Execution, State
from dkronpy.model.figures import MAX_RECENT, JobFigures
from dkronpy.model.job import JobState, last_of
from dkronpy.scheduling.groups import Folded, counted, uncounted
from tests.support.memory_history import MemoryHistory

SECOND = 1_000_000_000


class History(MemoryHistory):
    """`dies` after a write that was carried out: nobody hears of it."""

    figures_delay = 0.0
    dies = False
    held_back: Sequence[JobFigures] | None = None

    async def write_figures(self, figures: Sequence[JobFigures]) -> None:
        if self.held_back is not None:
            self.held_back = figures
            return
        await super().write_figures(figures)
        if self.dies:
            raise ConnectionAbortedError


class Term:
    """One leader's: its keeper and what it knows is folded."""

    def __init__(self, history: History, state: JobState) -> None:
        self.folded: dict[str, Folded] = {}
        self._history = history
        self.keeper = FigureKeeper(history, QUANTILES, {"job": state}, self.folded.__setitem__)

    async def work(self) -> None:
        """Let the keeper do all there is to do, or some tries while the history is broken."""
        task = asyncio.create_task(self.keeper.run())
        async with asyncio.timeout(60):
            for tries in itertools.count():
                await asyncio.sleep(0.005)
                if task.done() or not self.keeper.behind or (self._history.broken and tries > 20):
                    break
        task.cancel()
        await asyncio.wait([task])


def ended(number: int, state: State = State.SUCCESS) -> Execution:
    """The `number`-th run, which took so many seconds and was half as late."""
    start = number * SECOND // 2
    return Execution("job", 0, 1, "n1", state, started=start, finished=start + number * SECOND)


def values(digest: bytes) -> list[float]:
    """What went into a digest that is not yet full, value by value."""
    if not digest:
        return []
    found = TDigest.from_bytes(zlib.decompress(digest)).centroids
    return sorted(mean for mean, weight in found for _ in range(round(weight)))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.one_of(
            st.integers(1, ENOUGH + 4),
            st.sampled_from(("write", "die after writing", "new leader", "late write", "broken", "clear")),
        ),
        max_size=14,
    )
)
def test_every_run_is_counted_once(events: list[int | str]) -> None:
    asyncio.run(_happens(events))


async def _happens(events: list[int | str]) -> None:
    history = History()
    await history.open()
    state, number = JobState(), 0
    since = before = 0
    term = Term(history, state)
    late: list[JobFigures] = []
    for event in [*events, "new leader", "write"]:
        match event:
            case int():
                for _ in range(event):
                    number += 1
                    state = counted(state, ended(number), term.folded.get("job", (0, 0)))
                    term.keeper.committed({"job": state})
            case "write":
                await term.work()
            case "die after writing":
                history.dies = True
                await term.work()
                history.dies = False
                term = Term(history, state)
            case "late write":
                # Of this leader, which is superseded before its write is carried out.
                history.held_back = ()
                await term.work()
                late += history.held_back
                history.held_back = None
                term = Term(history, state)
            case "broken":
                history.broken = HistoryError("away")
                await term.work()
                history.broken = None
            case "clear":
                since, before = since + 1, number
                await history.delete("job", until=since)
                state = uncounted(state, since)
                term.keeper.committed({"job": state})
            case _:
                term = Term(history, state)
                await term.work()
                await history.write_figures(late)
        assert state.success_count == state.figures.observed == number - before
    expected = [float(run) for run in range(before + 1, number + 1)]
    (row,) = term.keeper.rows(["job"])
    held = (await history.figures_of(["job"])).get("job")
    if not expected:
        assert held is None or held.figures.origin < since or held.success == 0
        return
    assert held is not None
    assert held.figures.age == state.figures.age
    assert (held.success, held.figures.observed) == (len(expected), len(expected))
    assert values(held.durations) == expected
    assert values(held.latencies) == [run / 2 for run in expected]
    assert row.success == len(expected)
    if row.values is not None:
        (middle,) = quantiles_among(expected, [0.5])
        assert abs(row.values[0][2] - middle) <= 0.01 * len(expected)
    assert state.figures.run_time == sum(expected) * SECOND


def test_what_is_folded_is_let_go_and_what_is_not_is_kept_up_to_a_limit() -> None:
    state = JobState()
    for number in range(1, 101):
        state = counted(state, ended(number), (0, number - 5))
    assert [duration for duration, _ in state.figures.recent_after(0)] == list(range(96, 101))
    assert [duration for duration, _ in state.figures.recent_after(98)] == [99, 100]
    state = counted(state, ended(101), (7, 100))  # folded of another origin
    assert state.figures.first_recent == 96
    for number in range(102, 102 + MAX_RECENT):
        state = counted(state, ended(number), (0, 0))
    assert len(list(state.figures.recent_after(0))) == MAX_RECENT
    assert (state.figures.observed, state.success_count) == (101 + MAX_RECENT, 101 + MAX_RECENT)


def test_runs_without_a_known_end_or_start_are_counted_and_not_observed() -> None:
    lost = Execution("job", 0, 1, "n1", State.LOST, fire=1, started=2, finished=9)
    unstarted = Execution("job", 0, 1, "n1", State.FAILED, fire=1, finished=5, error="no such program")
    state = counted(counted(JobState(), lost, (0, 0)), unstarted, (0, 0))
    assert (state.error_count, state.figures.lost, state.figures.observed) == (2, 1, 0)
    assert last_of(state) == state.last_bad
    assert state.last_bad is not None
    assert (state.last_bad.started, state.last_bad.finished) == (2, 9)
    assert state.figures.changes == 2
