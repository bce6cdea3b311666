"""Search by exit code, trigger, jobs and text, on every history."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from dkronpy.history.contract import Query
from dkronpy.history.search import Criteria, search
from dkronpy.model.execution import State, Trigger
from tests.integration.history.conftest import SECOND, T0, piece, ran

if TYPE_CHECKING:
    import pytest

    from dkronpy.history.contract import History


async def groups(history: History, query: Query | None = None, *, limit: int = 7, **criteria: Any) -> list[int]:
    """The groups found, from page to page."""
    found: list[int] = []
    cursor, pages = None, 0
    while True:
        page = await search(
            history, query or Query(), Criteria(**criteria), limit=limit, cursor=cursor, patience=pages % 2 * 10
        )
        assert len(page.executions) <= limit
        found += [execution.group - T0 for execution in page.executions]
        cursor, pages = page.cursor, pages + 1
        if cursor is None:
            return found


async def test_search(history: History) -> None:
    triggers = (Trigger.SCHEDULE, Trigger.MANUAL, Trigger.PARENT)
    texts = [f"line {n}\nüber {'Straße' if n % 5 == 0 else 'weg'} 100%\n".encode() for n in range(60)]
    runs = [
        ran(
            ("a", "a-b")[n % 2],
            T0 + n,
            State.FAILED if n % 3 else State.SUCCESS,
            node=f"n{n % 4}",
            exit_code=n % 3,
            trigger=triggers[n % 3],
            output_size=len(texts[n]),
        )
        for n in range(60)
    ]
    await history.write(runs, [piece(run, 0, text) for run, text in zip(runs, texts, strict=True)])
    everything = list(range(59, -1, -1))
    assert await groups(history) == everything
    assert await groups(history, exit_codes=frozenset({2})) == [n for n in everything if n % 3 == 2]
    assert await groups(history, triggers=frozenset({"manual"})) == [n for n in everything if n % 3 == 1]
    assert await groups(history, jobs=frozenset({"a-b", "none"})) == [n for n in everything if n % 2]
    assert await groups(history, jobs=frozenset()) == []
    assert await groups(history, text="über Straße 100%\n") == [n for n in everything if n % 5 == 0]
    assert await groups(history, text="ÜBER") == []
    assert await groups(history, text="%_") == []
    both = await groups(history, Query(job="a", node="n2"), text="Straße", exit_codes=frozenset({0, 2}))
    assert both == [n for n in everything if n % 5 == 0 and n % 4 == 2 and n % 3 != 1]
    failed = Query(states=frozenset({State.FAILED}), since=T0 + 10, until=T0 + 20)
    assert await groups(history, failed, text="line 1") == [n for n in range(20, 9, -1) if n % 3 and n != 20]


async def test_text_across_pieces(history: History) -> None:
    run, other = ran("a", T0, output_size=20_004), ran("a", T0 + SECOND, output_size=3)
    await history.write([run, other], [piece(run, 0, b"x" * 9_998), piece(run, 9_998, b"needle" + b"y" * 10_000)])
    await history.write([], [piece(other, 0, b"nee")])
    assert await groups(history, text="xneedley") == [0]
    assert await groups(history, text="nee") == [SECOND, 0]
    long = ran("b", T0 + 5, output_size=3 * 9_000)
    await history.write([long], [piece(long, n * 9_000, b"%9000d" % n) for n in range(3)])
    assert await groups(history, text="0" + " " * 8_999 + "1") == [5]


async def test_a_few_at_a_time(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a look at some ends, the next one begins right behind, also among runs of the same moment."""
    monkeypatch.setattr("dkronpy.history.sql_table._LOOKED_AT", 3)
    runs = [
        ran(job, T0 + n, state, node=node, output_size=9)
        for n, job, (node, state) in product(
            range(3), ("a", "b"), (("n1", State.SUCCESS), ("n2", State.FAILED), ("n3", State.LOST))
        )
    ]
    large = ran("a", T0 + 9, node="n1", output_size=40_000)
    await history.write([*runs, large], [piece(run, 0, b"some text") for run in runs[::2]])
    await history.write([], [piece(large, 0, b"x" * 39_995 + b" text")])
    for query in (Query(), Query(job="a"), Query(node="n1"), Query(states=frozenset({State.LOST, State.SUCCESS}))):
        expected = [e for e in (await history.query(query)).executions if e in runs[::2] or e == large]
        assert await groups(history, query, text="text", limit=2) == [e.group - T0 for e in expected]
        assert await groups(history, query, text="texts") == []
    assert await groups(history, Query(states=frozenset()), text="text") == []


async def test_a_run_that_is_not_over(history: History) -> None:
    running = ran("a", T0, State.RUNNING)
    await history.write([running], [piece(running, 0, b"so far")])
    assert await groups(history, text="so far") == [0]
