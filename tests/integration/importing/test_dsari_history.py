"""The runs in dsari's four databases, each as dsari makes it."""

from __future__ import annotations

import asyncio
import gzip
import sqlite3
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncmy
import asyncpg
import pytest
from pymongo import MongoClient

from dkronpy.history.mysql import options
from dkronpy.importing.dsari_history import read_runs
from dkronpy.model.execution_spec import parse_execution
from tests.support.databases import MariaDb, MongoDb, Postgres, fresh
from tests.support.servers import shared

RUNS = [
    ("a", uuid.UUID(int=1), 1_700_000_000.25, 1_700_000_001.5, 1_700_000_002.0, 0),
    ("a", uuid.UUID(int=2), 1_700_000_000.25, 1_700_000_003.5, 1_700_000_004.0, 130),
    ("big job", uuid.UUID(int=3), 1_700_000_100.0, 1_700_000_100.125, 1_700_000_160.0, 1),
]
"""(job, run, schedule, start and stop time, exit code)."""
COLUMNS = "job_name, run_id, schedule_time, start_time, stop_time, exit_code, trigger_type, trigger_data, run_data"


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def sqlite(folder: Path) -> str:
    path = folder / "dsari.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE runs (job_name text, run_id text PRIMARY KEY, schedule_time real, start_time real, "
            "stop_time real, exit_code integer, trigger_type text, trigger_data text, run_data text)"
        )
        rows = [(job, str(run), *rest, "schedule", "{}", "{}") for job, run, *rest in RUNS]
        connection.executemany("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.close()
    return str(path)


def postgresql(_: Path) -> str:
    schema = fresh()
    dsn = shared(Postgres).dsn(schema)

    async def fill() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(f"CREATE SCHEMA {schema}")
        await connection.execute(
            "CREATE TABLE runs (job_name text, run_id uuid PRIMARY KEY, schedule_time timestamp NOT NULL, start_time "
            "timestamp NOT NULL, stop_time timestamp NOT NULL, exit_code smallint, trigger_type text, "
            "trigger_data json, run_data json)"
        )
        for job, run, scheduled, started, stopped, code in RUNS:
            times = (moment(scheduled), moment(started), moment(stopped))
            places = "$1, $2, $3, $4, $5, $6, 'schedule', '{}', '{}'"
            await connection.fetch(f"INSERT INTO runs ({COLUMNS}) VALUES ({places})", job, run, *times, code)
        await connection.close()

    asyncio.run(fill())
    return dsn


def mysql(_: Path) -> str:
    base = fresh()
    dsn = shared(MariaDb).dsn(base)

    async def fill() -> None:
        connection = await asyncmy.connect(**{**options(dsn), "db": None})
        async with connection.cursor() as cursor:
            await cursor.execute(f"CREATE DATABASE {base}")
            await cursor.execute(
                f"CREATE TABLE {base}.runs (job_name varchar(255), run_id char(36) PRIMARY KEY, schedule_time "
                "datetime(6), start_time datetime(6), stop_time datetime(6), exit_code tinyint unsigned, "
                "trigger_type text, trigger_data text, run_data text)"
            )
            for job, run, *times, code in RUNS:
                values = (job, str(run), *map(moment, times), code)
                places = "%s, %s, %s, %s, %s, %s, 'schedule', '{}', '{}'"
                await cursor.execute(f"INSERT INTO {base}.runs ({COLUMNS}) VALUES ({places})", values)
        await connection.ensure_closed()

    asyncio.run(fill())
    return dsn


def mongodb(_: Path) -> str:
    dsn = shared(MongoDb).dsn(fresh())
    with MongoClient[dict[str, Any]](dsn) as client:
        for job, run, *times, code in RUNS:
            scheduled, started, stopped = map(moment, times)
            client.get_default_database()["runs"].insert_one(
                {
                    "job_name": job,
                    "run_id": str(run),
                    "schedule_time": scheduled,
                    "start_time": started,
                    "stop_time": stopped,
                    "exit_code": code,
                    "trigger_type": "schedule",
                }
            )
    return dsn


@pytest.mark.parametrize("make", [sqlite, postgresql, mysql, mongodb])
def test_runs(make: Any, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a" / str(uuid.UUID(int=2))
    folder.mkdir(parents=True)
    (folder / "output.txt.gz").write_bytes(gzip.compress("späte\n".encode()))
    found = read_runs(make(tmp_path), tmp_path)
    assert found == {
        "a": [
            {
                "group": 1_700_000_000_250_000_000,
                "attempt": 1,
                "node_name": "dsari",
                "success": True,
                "started_at": "2023-11-14T22:13:21.5Z",
                "finished_at": "2023-11-14T22:13:22Z",
                "exit_code": 0,
            },
            {
                "group": 1_700_000_000_250_000_001,
                "attempt": 1,
                "node_name": "dsari",
                "success": False,
                "started_at": "2023-11-14T22:13:23.5Z",
                "finished_at": "2023-11-14T22:13:24Z",
                "exit_code": 130,
                "output": "späte\n",
            },
        ],
        "big-job": [
            {
                "group": 1_700_000_100_000_000_000,
                "attempt": 1,
                "node_name": "dsari",
                "success": False,
                "started_at": "2023-11-14T22:15:00.125Z",
                "finished_at": "2023-11-14T22:16:00Z",
                "exit_code": 1,
            }
        ],
    }
    for job, runs in found.items():
        for run in runs:
            execution, _ = parse_execution(run, job)
            assert execution.success is run["success"]


def test_what_is_not_dsaris(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    sqlite3.connect(other).close()
    text = tmp_path / "text"
    text.write_text("no database\n" * 100)
    for dsn, said in (
        (str(tmp_path / "missing"), "is no file"),
        (str(other), "not dsari's"),
        (str(text), "not dsari's"),
        (shared(Postgres).dsn("public"), "can't be read"),
        (shared(MariaDb).dsn("missing"), "can't be read"),
    ):
        with pytest.raises(ValueError, match=said):
            read_runs(dsn, None)
