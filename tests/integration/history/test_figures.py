"""The jobs' figures, on every history."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from dkronpy.history.contract import Query
from dkronpy.model.figures import Figures, JobFigures, RunMark
from tests.integration.history.conftest import T0, ran

if TYPE_CHECKING:
    from dkronpy.history.contract import History


def of(job: str, origin: int, changes: int, size: int = 0) -> JobFigures:
    digest = random.Random(f"{job} {origin} {changes}").randbytes(size)
    figures = Figures(origin, changes, 1, 2, 3, observed=changes, run_time=10**15)
    return JobFigures(job, 7, 8, figures, RunMark("1-1-n1", T0, T0 + 1, T0 + 2, 3), digest, digest[::-1])


async def test_newer_figures_replace_older_ones(history: History) -> None:
    assert await history.figures() == []
    assert await history.figures_of(["a"]) == {}
    for written, held in (
        (of("a", 0, 5, 100), of("a", 0, 5, 100)),
        (of("a", 0, 4, 50), of("a", 0, 5, 100)),  # of a leader that was superseded
        (of("a", 0, 5, 50), of("a", 0, 5, 100)),
        (of("a", 0, 6, 120), of("a", 0, 6, 120)),
        (of("a", T0, 1), of("a", T0, 1)),  # begun anew
        (of("a", 0, 7, 120), of("a", T0, 1)),
        (of("a", T0, 2), of("a", T0, 2)),
    ):
        await history.write_figures([written, of("b", 0, 1)])
        assert await history.figures_of(["b", "none", "a"]) == {"a": held, "b": of("b", 0, 1)}


async def test_pages(history: History) -> None:
    names = sorted(("A", "a", "a-b", "b", "ä", *(f"job{number}" for number in range(120))), key=str.encode)
    written = [of(name, 0, 1, 5000) for name in names]  # more than one commit of a store holds
    await history.write_figures(random.Random(1).sample(written, len(written)))
    assert await history.figures(limit=200) == written
    assert await history.figures(limit=50) == written[:50]
    assert await history.figures(after=names[49], limit=50) == written[50:100]
    assert await history.figures(after=names[99], limit=50) == written[100:]
    assert await history.figures(after=names[-1]) == []


async def test_deleting_a_jobs_history_deletes_its_figures(history: History) -> None:
    await history.write([ran("a", T0), ran("a-b", T0)], [])
    await history.write_figures([of("a", 0, 3), of("a-b", 0, 3)])
    assert await history.delete("a", until=T0) == 1
    assert await history.figures() == [of("a-b", 0, 3)]
    assert await history.count(Query()) == 1
    await history.write_figures([of("a", T0, 1)])  # what is counted since
    assert await history.delete("a", until=T0) == 0
    assert await history.figures() == [of("a", T0, 1), of("a-b", 0, 3)]
