"""The history in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from asyncpg import Connection

from dkronpy.history.contract import HistoryError, HistoryFull
from dkronpy.history.dialect import Columns, Dialect, Parameters, Rows, Statement, positional
from dkronpy.history.server import HistoryAway, ServerHistory, outstanding
from dkronpy.history.sql_table import EXECUTION, KEY, OUTPUT, SAME, SqlTable, rows_of
from dkronpy.history.work import drive_async

if TYPE_CHECKING:
    from dkronpy.history.table import Key
    from dkronpy.history.work import Make, T, Work
    from dkronpy.model.execution import Execution

MIGRATIONS: Final = (
    # As SQLite's schema (sqlite_schema.py). Texts are compared byte by byte.
    """
    CREATE TABLE execution (
        job text COLLATE "C" NOT NULL,
        grp bigint NOT NULL,
        attempt bigint NOT NULL,
        node text COLLATE "C" NOT NULL,
        state text COLLATE "C" NOT NULL,
        ended bigint,
        size bigint NOT NULL,
        record bytea NOT NULL
    );
    CREATE UNIQUE INDEX by_key ON execution (job, grp DESC, attempt DESC, node);
    CREATE INDEX by_job_state ON execution (job, state, grp DESC, attempt DESC, node);
    CREATE INDEX by_job_node ON execution (job, node, state, grp DESC, attempt DESC);
    CREATE INDEX by_state ON execution (state, grp DESC, attempt DESC, node, job);
    CREATE INDEX by_node ON execution (node, state, grp DESC, attempt DESC, job);
    CREATE INDEX by_age ON execution (job, state, ended);
    CREATE TABLE output (
        job text COLLATE "C" NOT NULL,
        grp bigint NOT NULL,
        attempt bigint NOT NULL,
        node text COLLATE "C" NOT NULL,
        start bigint NOT NULL,
        data bytea NOT NULL,
        PRIMARY KEY (job, grp, attempt, node, start)
    );
    CREATE TABLE job (job text COLLATE "C" PRIMARY KEY, folded bigint NOT NULL);
    CREATE TABLE day (date text COLLATE "C" PRIMARY KEY, success bigint NOT NULL, failed bigint NOT NULL);
    CREATE TABLE figures (job text COLLATE "C" PRIMARY KEY, record bytea NOT NULL);
    """,
)
"""The script that leads from version n to n + 1 of the schema is at n; the table `dkron_history` holds the version."""

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('dkron history'), hashtext(current_schema()))"
_PLANS: Final = "SET seq_page_cost = 0.01; SET random_page_cost = 0.01"
"""The index that reads the fewest rows is to be taken: by their usual costs the planner would rather read many times as
many that are likely to lie together on the disk."""
_TYPES: Final = {int: "bigint[]", str: "text[]", bytes: "bytea[]"}
_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
)
_CLOSED: Final = (asyncpg.InterfaceError, asyncpg.InternalClientError)


class PostgresDialect(Dialect):
    def rows(self, columns: Columns, rows: Rows) -> tuple[str, Parameters]:
        arrays = ", ".join(f"CAST(:w{n} AS {_TYPES[kind]})" for n, kind in enumerate(columns.values()))
        parameters = {f"w{n}": list(values) for n, values in enumerate(zip(*rows, strict=True))}
        return f"unnest({arrays}) AS wanted ({', '.join(columns)})", parameters

    def upsert(self, table: str, columns: Columns, key: Sequence[str], rows: Rows, *, add: bool = False) -> Statement:
        wanted, parameters = self.rows(columns, rows)
        changes = ", ".join(
            f"{name} = {f'{table}.{name} + ' if add else ''}excluded.{name}" for name in columns if name not in key
        )
        text = (
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM {wanted} "
            f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
        )
        return Statement(text, parameters)

    def delete(self, table: str, columns: Columns, rows: Rows) -> Statement:
        wanted, parameters = self.rows(columns, rows)
        same = " AND ".join(f"{table}.{name} = wanted.{name}" for name in columns)
        return Statement(f"DELETE FROM {table} USING {wanted} WHERE {same}", parameters)

    @property
    def contains(self) -> str:
        return "position(CAST(:text AS bytea) IN data) > 0"

    @property
    def appended(self) -> str:
        return "data || :data"


class PostgresTable(SqlTable):
    """What is new is inserted without a look at what is there."""

    def __init__(self) -> None:
        self._postgres = PostgresDialect()
        super().__init__(self._postgres)

    def add(self, executions: Sequence[Execution]) -> Work[tuple[set[Key], dict[Key, Execution]]]:
        new = "ON CONFLICT (job, grp, attempt, node) DO NOTHING"
        added = yield from self._insert("execution", EXECUTION, rows_of(executions), new)
        left = [e.key for e in executions if e.key not in added] if len(added) < len(executions) else ()
        return added, (yield from self.records(left))

    def begin_outputs(self, pieces: Sequence[tuple[Key, int, bytes]]) -> Work[set[Key]]:
        new = f"WHERE (SELECT max(o.start) FROM output AS o WHERE {SAME.format('o')}) IS NULL"
        return (yield from self._insert("output", OUTPUT, [(*key, start, data) for key, start, data in pieces], new))

    def _insert(self, table: str, columns: Columns, rows: Sequence[Sequence[Any]], new: str) -> Work[set[Key]]:
        """The keys of those that were new."""
        wanted, parameters = self._postgres.rows(columns, rows)
        names = ", ".join(columns)
        text = f"INSERT INTO {table} ({names}) SELECT * FROM {wanted} {new} RETURNING {', '.join(KEY)}"
        return set(map(tuple, (yield Statement(text, parameters))))


class PostgresHistory(ServerHistory[Connection]):
    """A history in the database that `dsn` names, as libpq reads it: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`
    with `sslmode` and the like. The database is for it alone, or the schema: `search_path=NAME`."""

    def __init__(self, dsn: str, *, output_limit: int = 256_000) -> None:
        super().__init__(PostgresTable(), output_limit)
        self._dsn = dsn

    async def _connect(self) -> Connection:
        connection = await asyncpg.connect(self._dsn, server_settings={"application_name": "dkronpy"})
        await connection.execute(_PLANS)
        return connection

    def _drop(self, connection: Connection) -> None:
        connection.terminate()

    async def _migrate(self, connection: Connection) -> None:
        await connection.execute(f"BEGIN; {_LOCK}")
        ((ours, theirs, encoding),) = await connection.fetch(
            "SELECT to_regclass('dkron_history'), to_regclass('execution'), current_setting('server_encoding')"
        )
        if encoding != "UTF8":
            raise HistoryError(f"the history's database has the encoding {encoding}: make it with ENCODING 'UTF8'")
        if ours is None and theirs is not None:
            raise HistoryError("the history's database is another program's: name another one, for it alone")
        if ours is None:
            await connection.execute("CREATE TABLE dkron_history (version integer NOT NULL)")
            await connection.execute("INSERT INTO dkron_history VALUES (0)")
        ((version,),) = await connection.fetch("SELECT version FROM dkron_history")
        for script in outstanding(MIGRATIONS, version):
            await connection.execute(script)
        await connection.execute(f"UPDATE dkron_history SET version = {len(MIGRATIONS)}; COMMIT")

    async def _drive(self, connection: Connection, make: Make[T], *, writing: bool) -> T:
        async def answer(statement: Statement) -> Sequence[Any]:
            text, names = positional(statement.text, _place, again=False)
            return await connection.fetch(text, *(statement.parameters[name] for name in names))

        if not writing:
            return await drive_async(make(), answer)
        await connection.execute(f"BEGIN; {_LOCK}")
        result = await drive_async(make(), answer)
        await connection.execute("COMMIT")
        return result

    def _translated(self, error: Exception) -> Exception:
        said = f"the history in PostgreSQL failed: {error or type(error).__name__}"
        match error:
            case asyncpg.DiskFullError():
                return HistoryFull(f"{said}; free some space on its disk")
            case asyncpg.InvalidAuthorizationSpecificationError() | asyncpg.InvalidCatalogNameError():
                return HistoryError(f"can't open the history in PostgreSQL: {error}")
            case ValueError() if isinstance(error, asyncpg.InterfaceError):  # a parameter that it can't hold
                return error
            case _ if isinstance(error, _AWAY + _CLOSED):
                return HistoryAway(said)
            case asyncpg.PostgresError():
                return HistoryError(said)
            case _:
                return error


def _place(number: int) -> str:
    return f"${number}"
