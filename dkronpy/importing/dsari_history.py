"""The runs that dsari has recorded, in any of its four databases → what `/v1/jobs/{job}/executions` takes."""

from __future__ import annotations

import asyncio
import gzip
import lzma
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from dkronpy.importing.dump import Json
from dkronpy.model.execution_spec import MAX_OUTPUT
from dkronpy.model.names import name_for
from dkronpy.model.times import rfc3339

NODE: Final = "dsari"
"""The node that its runs are shown on."""
_SECOND: Final = 1_000_000_000
_COLUMNS: Final = ("job_name", "run_id", "schedule_time", "start_time", "stop_time", "exit_code")
_QUERY: Final = f"SELECT {', '.join(_COLUMNS)} FROM runs ORDER BY job_name, schedule_time, run_id"
_PACKED: Final[dict[str, Callable[[bytes], bytes]]] = {"": bytes, ".gz": gzip.decompress, ".xz": lzma.decompress}

Row = tuple[Any, ...]
"""The values of `_COLUMNS`."""


def read_runs(dsn: str, data_dir: Path | None) -> dict[str, list[Json]]:
    """Executions by the names that jobs have here, oldest first; with their output where `data_dir` has it. Times
    without a zone are taken for UTC.

    Raises ValueError for a database that can't be read or is not dsari's, and OSError for a file."""
    found: defaultdict[str, list[Json]] = defaultdict(list)
    last: dict[str, int] = {}
    for job, run, scheduled, started, stopped, code in _rows(dsn):
        name = name_for(job)
        # Several runs may have had the same time.
        group = last[name] = max(_time(scheduled), last.get(name, 0) + 1)
        execution: dict[str, Any] = {
            "group": group,
            "attempt": 1,
            "node_name": NODE,
            "success": code == 0,
            "started_at": rfc3339(_time(started)),
            "finished_at": rfc3339(_time(stopped)),
            "exit_code": code,
        }
        if data_dir is not None and (output := _output(data_dir / "runs" / job / str(run))):
            execution["output"] = output.decode(errors="replace")
        found[name].append(execution)
    return dict(found)


def _time(value: Any) -> int:
    """A time in ns: seconds since 1970, or a datetime."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        whole = int(aware.replace(microsecond=0).timestamp())
        return whole * _SECOND + aware.microsecond * 1000
    return round(float(value) * 1_000_000) * 1000


def _output(folder: Path) -> bytes:
    """The end of a run's output, as much as can be taken over."""
    for suffix, unpack in _PACKED.items():
        path = folder / f"output.txt{suffix}"
        if path.is_file():
            # Bytes that are no text become a character of three bytes.
            return unpack(path.read_bytes())[-MAX_OUTPUT // 3 :]
    return b""


def _rows(dsn: str) -> Iterable[Row]:
    scheme = dsn.partition(":")[0]
    try:
        match scheme:
            case "postgresql" | "postgres":
                return asyncio.run(_postgresql(dsn))
            case "mysql" | "mariadb":
                return asyncio.run(_mysql(dsn))
            case "mongodb" | "mongodb+srv":
                return _mongodb(dsn)
            case _:
                return _sqlite(Path(dsn.removeprefix("sqlite:")))
    except ImportError as error:
        raise ValueError(f"a database of {scheme} needs a package that is missing: {error}") from error


def _sqlite(path: Path) -> list[Row]:
    if not path.is_file():
        raise ValueError(f"{path} is no file: it is dsari.sqlite3 in dsari's data directory, or a URL of a database")
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        return connection.execute(_QUERY).fetchall()
    except sqlite3.Error as error:
        raise ValueError(f"{path} is not dsari's database: {error}") from error
    finally:
        connection.close()


async def _postgresql(dsn: str) -> list[Row]:
    import asyncpg

    try:
        connection = await asyncpg.connect(dsn)
        try:
            rows = await connection.fetch(_QUERY)
        finally:
            await connection.close()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise ValueError(f"dsari's database in PostgreSQL can't be read: {error}") from error
    return [tuple(row) for row in rows]


async def _mysql(dsn: str) -> list[Row]:
    import asyncmy
    from asyncmy import errors

    from dkronpy.history.mysql import options

    try:
        connection = await asyncmy.connect(**options(dsn))
        try:
            async with connection.cursor() as cursor:
                await cursor.execute(_QUERY)
                rows = await cursor.fetchall()
        finally:
            await connection.ensure_closed()
    except (errors.MySQLError, OSError) as error:
        raise ValueError(f"dsari's database in MySQL can't be read: {error}") from error
    return [tuple(row) for row in rows]


def _mongodb(dsn: str) -> list[Row]:
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    try:
        with MongoClient[dict[str, Any]](dsn, serverSelectionTimeoutMS=5000) as client:
            order = [("job_name", 1), ("schedule_time", 1), ("run_id", 1)]
            runs = client.get_default_database("dsari")["runs"].find().sort(order)
            return [tuple(run[column] for column in _COLUMNS) for run in runs]
    except (PyMongoError, KeyError) as error:
        raise ValueError(f"dsari's database in MongoDB can't be read: {error}") from error
