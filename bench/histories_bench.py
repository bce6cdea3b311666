"""Executions with their output recorded per second in each history, 200 a call and durable before the next, beside the
same rows inserted by the database's bare driver into the same tables, as many in a transaction, in the same run. Then
pages and text searches among many executions.

Run: python -m bench.histories_bench [--history NAME ...] [--seconds 3] [--executions 1000000]
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop

from bench.history_bench import execution
from dkronpy.history.contract import History, Query
from dkronpy.history.mongo_table import _document
from dkronpy.history.mongodb import MongoHistory
from dkronpy.history.mysql import MysqlDialect, MysqlHistory, _ask
from dkronpy.history.postgresql import PostgresHistory
from dkronpy.history.rules import ended
from dkronpy.history.search import Criteria, search
from dkronpy.history.sql_table import _encode
from dkronpy.history.sqlite import SqliteHistory
from dkronpy.model.execution import Execution, OutputChunk, State
from tests.support.databases import MariaDb, MongoDb, Postgres, fresh

BATCH = 200
TEXT = b"Sat Nov 21 00:00:00 UTC 2026\n"
COLUMNS = ["job", "grp", "attempt", "node", "state", "ended", "size", "record"]
Insert = Callable[[Sequence[Execution]], Awaitable[None]]


def batch(number: int) -> list[Execution]:
    """Executions of some jobs, none of which there was before."""
    return [execution(f"job{n % 50}", number * BATCH + n) for n in range(BATCH)]


def row(e: Execution) -> tuple[Any, ...]:
    """As `execution` has it."""
    return (*e.key, str(e.state), ended(e), e.output_size, _encode(e))


async def rate(work: Insert, seconds: float) -> float:
    """Executions a second, each batch made beforehand."""
    batches = [batch(number) for number in range(300)]
    done, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds and done < len(batches):
        await work(batches[done])
        done += 1
    return done * BATCH / spent


async def recorded(history: History, seconds: float) -> float:
    return await rate(lambda part: history.write(part, [OutputChunk(*e.key, 0, TEXT) for e in part]), seconds)


def bare_sqlite(path: Path) -> Insert:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")

    async def insert(part: Sequence[Execution]) -> None:
        def work() -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO output VALUES (?, ?, ?, ?, ?, ?)", [(*e.key, 0, TEXT) for e in part])
            slots = ", ".join("?" * len(COLUMNS))
            text = f"INSERT INTO execution ({', '.join(COLUMNS)}) VALUES ({slots})"
            connection.executemany(text, [row(e) for e in part])
            connection.execute("COMMIT")

        work()

    return insert


def bare_postgres(connection: Any) -> Insert:
    async def insert(part: Sequence[Execution]) -> None:
        async with connection.transaction():
            await connection.executemany(
                "INSERT INTO output VALUES ($1, $2, $3, $4, $5, $6)", [(*e.key, 0, TEXT) for e in part]
            )
            await connection.executemany(
                "INSERT INTO execution VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", [row(e) for e in part]
            )

    return insert


def bare_mysql(connection: Any) -> Insert:
    names = MysqlDialect().name

    def plain(values: Sequence[Any]) -> list[Any]:
        return [names(value) if isinstance(value, str) else value for value in values]

    async def insert(part: Sequence[Execution]) -> None:
        await _ask(connection, "BEGIN")
        async with connection.cursor() as cursor:
            text = "INSERT INTO output (job, grp, attempt, node, start, data) VALUES (%s, %s, %s, %s, %s, %s)"
            await cursor.executemany(text, [plain((*e.key, 0, TEXT)) for e in part])
            slots = ", ".join(["%s"] * len(COLUMNS))
            text = f"INSERT INTO execution ({', '.join(COLUMNS)}) VALUES ({slots})"
            await cursor.executemany(text, [plain(row(e)) for e in part])
        await _ask(connection, "COMMIT")

    return insert


def bare_mongo(database: Any) -> Insert:
    async def insert(part: Sequence[Execution]) -> None:
        documents = [_document(e) for e in part]
        pieces = [{"_id": f"{d['_id']}0", "run": d["_id"], "start": 0, "stop": 29, "data": TEXT} for d in documents]
        await database["output"].insert_many(pieces, ordered=False)
        await database["execution"].insert_many(documents, ordered=False)

    return insert


@asynccontextmanager
async def opened(history: History) -> AsyncGenerator[History]:
    await history.open()
    try:
        yield history
    finally:
        await history.close()


async def compare(name: str, make: Callable[[], History], bare: Callable[[Any], Any], seconds: float) -> None:
    """Print both rates, the history's in an empty place and the bare driver's in another."""
    async with opened(make()) as history:
        ours = await recorded(history, seconds)
    async with opened(make()) as history:
        theirs = await rate(await bare(history), seconds)
    print(f"{name:11} {ours:8,.0f} executions/s; bare {theirs:8,.0f}; ratio {ours / theirs:.2f}")


async def pages(name: str, history: History, count: int) -> None:
    """Print what it takes to find something in a large history."""
    busy = Query(job="busy")
    for what, query in (
        ("one job", busy),
        ("one job, failed", Query(job="busy", states=frozenset({State.FAILED}))),
        ("all jobs, one node", Query(node="n5")),
        ("all", Query()),
    ):
        times: list[float] = []
        for _ in range(21):
            began = time.perf_counter()
            await history.query(query, limit=100)
            times.append((time.perf_counter() - began) * 1e3)
        median, worst = sorted(times[1:])[10], max(times[1:])
        print(
            f"{name:11} newest 100 of {count:,}, {what}: 1st {times[0]:.1f}, median {median:.1f}, worst {worst:.1f} ms"
        )
    for what, query, text in (
        ("found often", Query(), "UTC"),
        ("found nowhere", Query(), "nowhere"),
        ("found nowhere in one job", busy, "nowhere"),
    ):
        began, looked, cursor = time.perf_counter(), 0, None
        slowest = 0.0
        while True:
            start = time.perf_counter()
            page = await search(history, query, Criteria(text=text), limit=100, cursor=cursor)
            slowest = max(slowest, time.perf_counter() - start)
            looked, cursor = looked + 1, page.cursor
            if cursor is None or page.executions:
                break
        spent = time.perf_counter() - began
        print(f"{name:11} text {what}: slowest page {slowest:.2f} s; {looked} pages in {spent:.1f} s")


def large(count: int) -> Any:
    """Rows of executions and of their output: half of the job "busy", half of 1,000 others."""
    for number in range(count):
        yield execution("busy" if number % 2 else f"job{number % 2000}", number)


async def large_sqlite(path: Path, count: int) -> None:
    async with opened(SqliteHistory(path)):
        pass
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    slots = ", ".join("?" * len(COLUMNS))
    connection.executemany(
        f"INSERT INTO execution ({', '.join(COLUMNS)}) VALUES ({slots})", (row(e) for e in large(count))
    )
    connection.executemany("INSERT INTO output VALUES (?, ?, ?, ?, 0, ?)", ((*e.key, TEXT) for e in large(count)))
    connection.execute("COMMIT")
    connection.close()
    async with opened(SqliteHistory(path)) as history:
        await pages("sqlite", history, count)


async def large_postgres(dsn: str, count: int) -> None:
    async with opened(PostgresHistory(dsn)) as history:
        assert isinstance(history, PostgresHistory)
        async with history._connections.use() as connection:
            copy: Any = connection
            await copy.copy_records_to_table("execution", records=(row(e) for e in large(count)))
            await copy.copy_records_to_table("output", records=((*e.key, 0, TEXT) for e in large(count)))
            await connection.execute("ANALYZE")
        await pages("postgresql", history, count)


async def run(names: Sequence[str], seconds: float, count: int, folder: Path) -> None:
    with ExitStack() as stack:
        if "sqlite" in names:
            places = (folder / f"{number}.db" for number in range(2))
            histories = [SqliteHistory(place) for place in places]

            async def sqlite_insert(_: History) -> Insert:
                return bare_sqlite(folder / "1.db")

            await compare("sqlite", lambda: histories.pop(0), sqlite_insert, seconds)
        if "postgresql" in names:
            postgres = stack.enter_context(Postgres(folder, "--fsync=on", "--shared_buffers=256MB", disk=True))
            admin: Any = await PostgresHistory(postgres.dsn("public"))._connect()
            schemas = [fresh() for _ in range(3)]
            for schema in schemas:
                await admin.execute(f"CREATE SCHEMA {schema}")
            await admin.close()

            async def postgres_insert(history: Any) -> Insert:
                return bare_postgres(await history._connect())

            left = list(schemas[:2])
            await compare("postgresql", lambda: PostgresHistory(postgres.dsn(left.pop(0))), postgres_insert, seconds)
            if count:
                await large_postgres(postgres.dsn(schemas[2]), count)
        if "mariadb" in names:
            options = ("--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=256M")
            mariadb = stack.enter_context(MariaDb(folder, *options, disk=True))
            admin = await MysqlHistory(mariadb.dsn("mysql"))._connect()
            bases = [fresh() for _ in range(2)]
            for base in bases:
                await _ask(admin, f"CREATE DATABASE {base}")
            admin.close()

            async def mysql_insert(history: Any) -> Insert:
                return bare_mysql(await history._connect())

            await compare("mariadb", lambda: MysqlHistory(mariadb.dsn(bases.pop(0))), mysql_insert, seconds)
        if "mongodb" in names:
            mongo = stack.enter_context(MongoDb(folder))

            async def mongo_insert(history: Any) -> Insert:
                return bare_mongo(await history._connect())

            await compare("mongodb", lambda: MongoHistory(mongo.dsn(fresh())), mongo_insert, seconds)
        if count and "sqlite" in names:
            await large_sqlite(folder / "large.db", count)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--history", action="append", choices=["sqlite", "postgresql", "mariadb", "mongodb"])
    arguments.add_argument("--seconds", type=float, default=3)
    arguments.add_argument("--executions", type=int, default=0, help="read pages of a history of so many")
    options = arguments.parse_args()
    names = options.history or ["sqlite", "postgresql", "mariadb", "mongodb"]
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(run(names, options.seconds, options.executions, Path(folder)))


if __name__ == "__main__":
    main()
