"""That the embedded history finds everything in an index."""

from __future__ import annotations

import re
import time
from itertools import product
from typing import TYPE_CHECKING

import pytest

from bench.history_bench import fill
from dkronpy.history.contract import Query, Retention
from dkronpy.model.execution import State
from tests.integration.history.conftest import DAY, T0, idle, piece, ran, sqlite

if TYPE_CHECKING:
    from pathlib import Path


async def test_nothing_scans_or_sorts(path: Path) -> None:
    """Every statement that the history executes finds what it needs in an index, in its order."""
    statements: dict[str, None] = {}
    async with sqlite(path) as history:
        connections = [history._database._connection]
        connections += [history._database._readers.get_nowait() for _ in range(3)]
        for connection in connections[1:]:
            history._database._readers.put(connection)
        for connection in connections:
            connection.set_trace_callback(lambda statement: statements.update({statement: None}))
        run = ran("a", T0)
        await history.write([ran("a", T0 + n) for n in range(10)] + [idle("a", T0 + n) for n in range(10)], [])
        await history.write([idle("a", T0), run, ran("a", T0 + 1, State.FAILED)], [piece(run, 0, b"0123456789")])
        await history.write([], [piece(run, 5, b"56789abc"), piece(run, 20, b"x"), piece(run, 300_000, b"x")])
        await history.query(Query())
        for job, states, node, bounds in product(
            (None, "a"),
            (None, frozenset({State.SUCCESS}), frozenset({State.FAILED, State.SKIPPED})),
            (None, "n1"),
            (False, True),
        ):
            query = Query(
                job=job, states=states, node=node, since=T0 if bounds else None, until=T0 + 3 if bounds else None
            )
            page = await history.query(query, limit=1)
            if page.cursor:
                await history.query(query, limit=5, cursor=page.cursor)
            await history.count(query)
        await history.get(*run.key)
        await history.output(*run.key, offset=-3)
        await history.output(*run.key, offset=3)
        await history.outputs([run.key], tail=3)
        await history.stats(30, today="2023-11-14")
        await history.prune(Retention(1000), now=T0)
        await history.write([ran("a", T0 + 20), idle("a", T0 + 21), ran("b", T0)], [])
        await history.prune(Retention(1000, DAY, 100, 2000, 2 * DAY), now=T0 + DAY + DAY // 2)
        await history.prune(Retention(3), now=T0)
        await history.write(
            [ran("a", T0 + 100 + n) for n in range(5)] + [idle("a", T0 + 100 + n) for n in range(5)], []
        )
        await history.prune(Retention(2, age=2 * DAY), now=T0 + 2 * DAY + DAY // 2)
        await history.write([idle("a", T0)], [])
        await history.delete("a", until=T0 + 50)
        await history.delete("a", until=T0 + 500)

        assert len(statements) > 150
        for connection in connections:
            connection.set_trace_callback(None)
        explained = 0
        for statement in statements:
            if not statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
                continue
            plan = [row[3] for row in connections[0].execute(f"EXPLAIN QUERY PLAN {statement}")]
            # How many there are in all; and tables that exist in a statement alone.
            allowed = statement == "SELECT count(*) FROM execution"
            for step in plan:
                scans = re.match("SCAN (execution|output|last|job|day)\\b", step)
                assert allowed or not scans, (statement, plan)
                assert "TEMP B-TREE" not in step, (statement, plan)
            explained += 1
        assert explained > 140


@pytest.mark.full
async def test_the_newest_page_of_a_million(path: Path) -> None:
    async with sqlite(path):
        pass
    fill(path, 1_000_000)
    async with sqlite(path) as history:
        for query in (
            Query(job="busy"),
            Query(job="busy", states=frozenset({State.FAILED})),
            Query(job="busy", node="n3"),
            Query(states=frozenset({State.LOST})),
            Query(node="n1"),
            Query(),
        ):
            times: list[float] = []
            for _ in range(9):
                began = time.perf_counter()
                await history.query(query, limit=100)
                times.append(time.perf_counter() - began)
            assert sorted(times)[4] < 0.02, (query, times)
