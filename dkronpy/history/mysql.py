"""The history in MySQL or MariaDB."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncmy
from asyncmy import Connection, errors

from dkronpy.history.contract import HistoryError, HistoryFull
from dkronpy.history.dialect import Columns, Dialect, Parameters, Rows, Statement, positional
from dkronpy.history.server import CONNECT_TIMEOUT, HistoryAway, ServerHistory, outstanding
from dkronpy.history.sql_table import SqlTable
from dkronpy.history.work import drive_async

if TYPE_CHECKING:
    from dkronpy.history.work import Make, T

MIGRATIONS: Final = (
    # As SQLite's schema (sqlite_schema.py). Texts are bytes of UTF-8, which are compared as such. A statement that
    # makes a table can't be undone, so each may be executed again.
    (
        """CREATE TABLE IF NOT EXISTS execution (
            job VARBINARY(256) NOT NULL,
            grp BIGINT NOT NULL,
            attempt BIGINT NOT NULL,
            node VARBINARY(512) NOT NULL,
            state VARBINARY(32) NOT NULL,
            ended BIGINT,
            size BIGINT NOT NULL,
            record MEDIUMBLOB NOT NULL,
            PRIMARY KEY (job, grp DESC, attempt DESC, node),
            INDEX by_job_state (job, state, grp DESC, attempt DESC, node),
            INDEX by_job_node (job, node, state, grp DESC, attempt DESC),
            INDEX by_state (state, grp DESC, attempt DESC, node, job),
            INDEX by_node (node, state, grp DESC, attempt DESC, job),
            INDEX by_age (job, state, ended)
        ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC""",
        """CREATE TABLE IF NOT EXISTS output (
            job VARBINARY(256) NOT NULL,
            grp BIGINT NOT NULL,
            attempt BIGINT NOT NULL,
            node VARBINARY(512) NOT NULL,
            start BIGINT NOT NULL,
            data MEDIUMBLOB NOT NULL,
            PRIMARY KEY (job, grp, attempt, node, start)
        ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC""",
        """CREATE TABLE IF NOT EXISTS job (
            job VARBINARY(256) PRIMARY KEY, folded BIGINT NOT NULL
        ) ENGINE = InnoDB""",
        """CREATE TABLE IF NOT EXISTS day (
            date VARBINARY(10) PRIMARY KEY, success BIGINT NOT NULL, failed BIGINT NOT NULL
        ) ENGINE = InnoDB""",
        """CREATE TABLE IF NOT EXISTS figures (
            job VARBINARY(256) PRIMARY KEY, record MEDIUMBLOB NOT NULL
        ) ENGINE = InnoDB""",
    ),
)
"""What leads from version n to n + 1 of the schema is at n; the table `dkron_history` holds the version."""

_LOCK: Final = "SELECT version FROM dkron_history FOR UPDATE"
_MODE: Final = "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'"
_ISOLATION: Final = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
_FULL: Final = frozenset({1021, 1041, 1114})
_REFUSED: Final = frozenset({1044, 1045, 1049, 1698})
"""Wrong user, password or database."""
_AWAY: Final = frozenset({1040, 1053, 1152, 1205, 1213, 1317, 1927, 2002, 2003, 2006, 2013, 2014})
"""Not there, about to end, or in the way of another transaction."""
_TLS: Final = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey"})
_MODES: Final = ("disable", "require", "verify-ca", "verify-full")


class MysqlDialect(Dialect):
    join = "STRAIGHT_JOIN"

    def name(self, text: str) -> bytes:
        return text.encode()

    def names(self, rows: Rows) -> Rows:
        return [[value.encode() if isinstance(value, str) else value for value in row] for row in rows]

    def text(self, value: Any) -> str:
        return value.decode()

    def hint(self, index: str | None) -> str:
        return f" FORCE INDEX ({index or 'PRIMARY'})"

    def rows(self, columns: Columns, rows: Rows) -> tuple[str, Parameters]:
        parameters: Parameters = {}
        selects: list[str] = []
        for row in rows:
            places: list[str] = []
            for name, value in zip(columns, row, strict=True):
                place = f"w{len(parameters)}"
                parameters[place] = value
                places.append(f":{place}" if selects else f":{place} AS {name}")
            selects.append(f"SELECT {', '.join(places)}")
        return f"({' UNION ALL '.join(selects)}) AS wanted", parameters

    def upsert(self, table: str, columns: Columns, key: Sequence[str], rows: Rows, *, add: bool = False) -> Statement:
        changes = ", ".join(
            f"{name} = {f'{name} + ' if add else ''}VALUES({name})" for name in columns if name not in key
        )
        slots = ", ".join(["%s"] * len(columns))
        text = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({slots}) ON DUPLICATE KEY UPDATE {changes}"
        return Statement(text, {}, rows)

    def delete(self, table: str, columns: Columns, rows: Rows) -> Statement:
        return Statement(f"DELETE FROM {table} WHERE {' AND '.join(f'{name} = %s' for name in columns)}", {}, rows)

    @property
    def contains(self) -> str:
        return "locate(:text, data) > 0"

    @property
    def appended(self) -> str:
        return "concat(data, :data)"


class MysqlHistory(ServerHistory[Connection]):
    """A history in the database `mysql://USER:PASSWORD@HOST:PORT/DATABASE`, which is for it alone. For TLS, sslmode is
    require, verify-ca or verify-full; sslrootcert, sslcert and sslkey name files. Raises ValueError for another DSN."""

    def __init__(self, dsn: str, *, output_limit: int = 256_000) -> None:
        super().__init__(SqlTable(MysqlDialect()), output_limit)
        self._options = options(dsn)

    async def _connect(self) -> Connection:
        connection = await asyncmy.connect(**self._options)
        try:
            await _ask(connection, _ISOLATION)
        except BaseException:
            connection.close()
            raise
        return connection

    def _drop(self, connection: Connection) -> None:
        connection.close()

    async def _migrate(self, connection: Connection) -> None:
        ((held,),) = await _ask(connection, "SELECT GET_LOCK(concat('dkron history ', database()), 5)")
        if not held:
            raise HistoryAway("another server is making the history's tables")
        rows = await _ask(
            connection,
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = database() AND table_name IN ('dkron_history', 'execution')",
        )
        names = {str(row[0]) for row in rows}
        if names == {"execution"}:
            raise HistoryError("the history's database is another program's: name another one, for it alone")
        if "dkron_history" not in names:
            await _ask(connection, "CREATE TABLE dkron_history (version INT NOT NULL) ENGINE = InnoDB")
        found = await _ask(connection, "SELECT version FROM dkron_history")
        if not found:
            await _ask(connection, "INSERT INTO dkron_history VALUES (0)")
        version = found[0][0] if found else 0
        for number, script in enumerate(outstanding(MIGRATIONS, version), version + 1):
            for statement in script:
                await _ask(connection, statement)
            await _ask(connection, f"UPDATE dkron_history SET version = {number}")
        await _ask(connection, "SELECT RELEASE_LOCK(concat('dkron history ', database()))")

    async def _drive(self, connection: Connection, make: Make[T], *, writing: bool) -> T:
        async def answer(statement: Statement) -> Sequence[Any]:
            if statement.many is not None:
                async with connection.cursor() as cursor:
                    await cursor.executemany(statement.text, statement.many)
                return ()
            text, names = positional(statement.text, _place, again=True)
            return await _ask(connection, text, [statement.parameters[name] for name in names])

        if not writing:
            return await drive_async(make(), answer)
        await _ask(connection, "BEGIN")
        await _ask(connection, _LOCK)
        result = await drive_async(make(), answer)
        await _ask(connection, "COMMIT")
        return result

    def _translated(self, error: Exception) -> Exception:
        if isinstance(error, OSError | TimeoutError | EOFError):
            return HistoryAway(f"the history in MySQL failed: {error or type(error).__name__}")
        if not isinstance(error, errors.MySQLError) or isinstance(error, errors.DataError):
            return error
        code = error.args[0] if error.args else None
        said = f"the history in MySQL failed: {error.args[-1] if error.args else type(error).__name__} ({code})"
        if code in _FULL:
            return HistoryFull(f"{said}; free some space on its disk")
        if code in _REFUSED:
            return HistoryError(f"can't open the history in MySQL: {error.args[-1]}")
        if code in _AWAY or isinstance(error, errors.InterfaceError):
            return HistoryAway(said)
        return HistoryError(said)


async def _ask(connection: Connection, text: str, parameters: Sequence[Any] = ()) -> Sequence[Any]:
    async with connection.cursor() as cursor:
        await cursor.execute(text, parameters or None)
        return await cursor.fetchall() if cursor.description else ()


def _place(number: int) -> str:
    del number
    return "%s"


def options(dsn: str) -> dict[str, Any]:
    """What asyncmy is told. Raises ValueError, which does not show a password."""
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    if unknown := sorted(query.keys() - _TLS):
        raise ValueError(f"{parts.scheme}://…?{unknown[0]}=…: only {', '.join(sorted(_TLS))} are known")
    told: dict[str, Any] = {
        "host": parts.hostname or "localhost",
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "db": unquote(parts.path.strip("/")),
        "charset": "utf8mb4",
        "autocommit": True,
        "connect_timeout": CONNECT_TIMEOUT,
        "init_command": _MODE,
    }
    if context := _tls(query):
        told["ssl"] = context
    return told


def _tls(query: dict[str, str]) -> ssl.SSLContext | None:
    mode = query.get("sslmode", "verify-full" if "sslrootcert" in query else "disable")
    if mode not in _MODES:
        raise ValueError(f"sslmode {mode} is not one of {', '.join(_MODES)}")
    if mode == "disable":
        return None
    try:
        context = ssl.create_default_context(cafile=query.get("sslrootcert"))
        if "sslcert" in query:
            context.load_cert_chain(query["sslcert"], query.get("sslkey"))
    except OSError as error:
        raise ValueError(f"a file of the history's TLS can't be read: {error}") from error
    context.check_hostname = mode == "verify-full"
    if mode == "require":
        context.verify_mode = ssl.CERT_NONE
    return context
