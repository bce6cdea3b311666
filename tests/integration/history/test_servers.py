"""What histories in database servers promise beside the rest: they are waited for, and know whose tables are theirs."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dkronpy.history.contract import HistoryError, Query
from dkronpy.history.dialect import Statement, positional
from dkronpy.history.mongodb import MongoHistory
from dkronpy.history.mysql import MysqlHistory
from dkronpy.history.mysql import _ask as ask
from dkronpy.history.postgresql import PostgresHistory
from dkronpy.history.server import HistoryAway, ServerHistory
from dkronpy.model.execution import State
from tests.integration.history.conftest import DAY, HISTORIES, T0, TABLES, Borrowed, InPostgres, idle, piece, ran
from tests.support.databases import MariaDb, MongoDb, Postgres, fresh
from tests.support.processes import free_port
from tests.support.servers import shared

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

URLS = {
    PostgresHistory: "postgresql://u:geheim@{}/d",
    MysqlHistory: "mysql://u:geheim@{}/d",
    MongoHistory: "mongodb://u:geheim@{}/d",
}


@pytest.fixture(params=["postgresql", "mariadb", "mongodb"])
async def history(request: pytest.FixtureRequest) -> AsyncGenerator[Borrowed]:
    made = HISTORIES[request.param](Path(), 1000)
    assert isinstance(made, Borrowed)
    await made.open()
    yield made
    await made.close()


@pytest.mark.parametrize("kind", URLS)
async def test_nobody_there(kind: type[Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dkronpy.history.mongodb.CONNECT_TIMEOUT", 0.3)
    history: ServerHistory[Any] = kind(URLS[kind].format(f"127.0.0.1:{free_port()}"))
    await history.open()
    for work in (history.write([ran("a", T0)], []), history.query(Query())):
        with pytest.raises(HistoryAway) as error:
            await work
        assert "geheim" not in str(error.value)
    await history.close()
    assert "the history is away" in caplog.text
    assert "geheim" not in caplog.text


async def test_closed_while_it_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sockets are closed too."""
    made: list[socket.socket] = []
    connects = asyncio.Event()
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def connected(made_now: socket.socket, address: Any) -> None:
        made.append(made_now)
        connects.set()
        await connect(made_now, address)

    monkeypatch.setattr(loop, "sock_connect", connected)
    history = MongoHistory(f"mongodb://127.0.0.1:{free_port()}/dkron")
    opening = asyncio.create_task(history._connect())
    await connects.wait()
    await history.close()
    await asyncio.gather(opening, return_exceptions=True)
    assert [each.fileno() for each in made] == [-1] * len(made)


@pytest.mark.parametrize("kind", [Postgres, MariaDb])
async def test_it_comes_back(kind: type[Postgres] | type[MariaDb], tmp_path: Path) -> None:
    with kind(tmp_path) as server:
        make = PostgresHistory if kind is Postgres else MysqlHistory
        history: ServerHistory[Any] = make(server.dsn("public" if kind is Postgres else "mysql"))
        if kind is MariaDb:
            admin: Any = history
            async with asyncio.timeout(60):
                connection = await admin._connect()
                await ask(connection, "CREATE DATABASE dkron")
                connection.close()
            history = make(server.dsn("dkron"))
        await history.open()
        await history.write([ran("a", T0)], [piece(ran("a", T0), 0, b"text")])
        server.kill()
        for work in (history.write([ran("a", T0 + 1)], []), history.count(Query())):
            with pytest.raises(HistoryAway):
                await work
        server.start()
        await history.write([ran("a", T0), ran("a", T0 + 1)], [piece(ran("a", T0), 0, b"text")])
        assert await history.count(Query()) == 2
        assert (await history.stats(1, today="2023-11-14"))[0].success == 2
        await history.close()


async def test_a_newer_schema(history: Borrowed) -> None:
    async with history._connections.use() as connection:
        if isinstance(history, PostgresHistory):
            await connection.execute("UPDATE dkron_history SET version = 99")
        elif isinstance(history, MysqlHistory):
            await ask(connection, "UPDATE dkron_history SET version = 99")
        else:
            await connection["dkron_history"].update_one({"_id": "schema"}, {"$set": {"version": 99}})
    history._connections.drop_idle()
    history._migrated = False
    with pytest.raises(HistoryError, match="schema 99"):
        await history.count(Query())


async def test_another_programs_tables() -> None:
    place = fresh()
    postgres = PostgresHistory(shared(Postgres).dsn(place))
    connection = await postgres._connect()
    await connection.execute(f"CREATE SCHEMA {place}")
    await connection.execute("CREATE TABLE execution (id integer)")
    connection.terminate()
    with pytest.raises(HistoryError, match="another program's"):
        await postgres.open()
    mongo = MongoHistory(shared(MongoDb).dsn(place))
    database = await mongo._connect()
    await database["execution"].insert_one({"theirs": 1})
    with pytest.raises(HistoryError, match="another program's"):
        await mongo.open()
    await mongo.close()


async def test_what_is_refused_says_why_without_the_password() -> None:
    for wrong, history in (
        ("database", PostgresHistory(shared(Postgres).dsn("x").replace("/postgres?", "/missing:geheim?"))),
        ("Unknown database", MysqlHistory(shared(MariaDb).dsn("missing"))),
        ("Access denied", MysqlHistory(shared(MariaDb).dsn("x").replace("root@", "root:geheim@"))),
    ):
        with pytest.raises(HistoryError, match=wrong) as error:
            await history.open()
        assert not isinstance(error.value, HistoryAway)
    for dsn in ("mysql://u:geheim@h/d?sslmod=require", "mysql://u:geheim@h/d?sslmode=sure"):
        with pytest.raises(ValueError, match="sslmod") as refusal:
            MysqlHistory(dsn)
        assert "geheim" not in str(refusal.value)


def questions(work: Any) -> list[Statement]:
    """What work asks, whatever the answers: nothing."""
    found: list[Statement] = []
    try:
        found.append(next(work))
        while True:
            found.append(work.send([]))
    except (StopIteration, IndexError):
        return found


async def scans(history: Borrowed, connection: Any, statement: Statement) -> list[str]:
    """The steps of its plan that read a table from its beginning to its end."""
    if isinstance(history, PostgresHistory):
        text, names = positional(statement.text, "${}".format, again=False)
        rows = await connection.fetch(f"EXPLAIN {text}", *(statement.parameters[name] for name in names))
        return [row[0] for row in rows if "Seq Scan" in row[0]]
    text, names = positional(statement.text, lambda _: "%s", again=True)
    rows = await ask(connection, f"EXPLAIN {text}", [statement.parameters[name] for name in names])
    return [str(row) for row in rows if row[3] == "ALL" and row[2] in TABLES]


@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
async def test_all_is_found_by_an_index(name: str) -> None:
    """With some thousand rows no statement of a reader, nor of what retention looks for, reads a whole table."""
    history = HISTORIES[name](Path(), 1000)
    assert isinstance(history, Borrowed)
    await history.open()
    runs = [ran(f"job{n % 20}", T0 + n, node=f"n{n % 7}", output_size=4) for n in range(3000)]
    await history.write(runs, [piece(run, 0, b"text") for run in runs])
    await history.write([idle("job1", T0 - n) for n in range(1, 40)], [])
    table: Any = history._table
    key = runs[0].key
    failed = frozenset({State.FAILED, State.LOST})
    over = (State.SUCCESS, State.FAILED)
    queries = (
        Query(job="job1"),
        Query(job="job1", states=failed),
        Query(job="job1", node="n1"),
        Query(node="n1"),
        Query(states=failed, since=T0 + 5),
    )
    works = [
        *(table.page(query, None, 20) for query in (*queries, Query())),
        *(table.count(query) for query in queries),
        table.records([key]),
        table.last_pieces([key]),
        table.extents(key, 0, 5),
        table.piece_after(key, 0),
        table.before_alike("job1", State.SKIPPED, T0),
        table.next_job("job1"),
        table.nth_group("job1", over, 20),
        table.oldest("job1", over, T0 + 5, 20),
        table.oldest("job1", None, T0 + 5, 20),
        table.aged("job1", over, T0 + DAY, 20),
        table.first_end("job1", over),
        table.idle_groups("job1", -1),
    ]
    works += [table.add(runs[:3]), table.begin_outputs([(key, 0, b"text")])] if name == "postgresql" else []
    statements = {statement.text: statement for work in works for statement in questions(work)}
    assert len(statements) > 16
    async with history._connections.use() as connection:
        if isinstance(history, PostgresHistory):
            await connection.execute("ANALYZE")
        for statement in statements.values():
            assert await scans(history, connection, statement) == [], statement.text
        everything = Statement("SELECT record FROM execution WHERE size = 5", {})
        assert await scans(history, connection, everything), "a plan that reads all is recognized"
    await history.close()
    history.give_back()


async def test_a_node_that_never_had_the_state() -> None:
    """PostgreSQL does not look for it among all that have the state, however many there are."""
    history = HISTORIES["postgresql"](Path(), 1000)
    assert isinstance(history, InPostgres)
    await history.open()
    states = [State.LOST if n % 20 == 19 else State.SUCCESS for n in range(2000)]
    await history.write([ran(f"job{n % 20}", T0 + n, s, node=f"n{n % 4}") for n, s in enumerate(states)], [])
    query = Query(node="n0", states=frozenset({State.LOST}))
    (statement,) = questions(history._table.page(query, None, 20))
    text, names = positional(statement.text, "${}".format, again=False)
    async with history._connections.use() as connection:
        await connection.execute("ANALYZE")
        rows = await connection.fetch(f"EXPLAIN {text}", *(statement.parameters[name] for name in names))
    assert [row[0] for row in rows if "using by_node" in row[0]], rows
    await history.close()
    history.give_back()


async def test_a_write_that_broke_off_is_counted_once() -> None:
    """In MongoDB, which has no transactions: at each of its steps."""
    runs = [ran("a", T0), ran("a", T0 + 1, State.FAILED)]
    for steps in range(12):
        history = MongoHistory(shared(MongoDb).dsn(fresh()))
        await history.open()
        async with history._connections.use() as database:
            work = history._recorded(runs, [])
            answer = None
            try:
                for _ in range(steps):
                    answer = await work.send(answer)(database)
                broke_off = True
            except StopIteration:
                broke_off = False
        await history.close()
        await history.open()
        await history.write(runs, [])
        counted = (await history.stats(1, today="2023-11-14"))[0]
        assert (counted.success, counted.failed) == (1, 1), steps
        assert await history.count(Query()) == 2
        await history.close()
        if not broke_off:
            assert steps >= 4
            return
    pytest.fail("it never ends")
