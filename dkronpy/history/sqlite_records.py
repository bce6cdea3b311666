"""Executions in SQLite: recording and deleting them, within the caller's transaction."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from dkronpy.history.contract import Slice
from dkronpy.history.cursor import encode_cursor
from dkronpy.history.rules import IDLE, covers, ended, joined, keeps, outcome
from dkronpy.model.execution import Execution, State

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from dkronpy.history.sql import Parameters
    from dkronpy.history.sqlite_output import Key

Row = tuple[str, int, int, str, str]
"""(job, group, attempt, node, state): what `remove` needs to know."""

_decoder = msgspec.json.Decoder(Execution)
_encoder = msgspec.json.Encoder()

_KEY = "job = ? AND grp = ? AND attempt = ? AND node = ?"
_OF_KIND = {True: f"state NOT IN {tuple(map(str, IDLE))}", False: f"state IN {tuple(map(str, IDLE))}"}
"""By whether it ran."""

_BEFORE = "SELECT record FROM execution WHERE job = ? AND grp < ? ORDER BY grp DESC, attempt DESC, node LIMIT 1"
_BEFORE_ALIKE = """SELECT record FROM execution INDEXED BY by_job_state
    WHERE job = ? AND state = ? AND grp < ? ORDER BY grp DESC LIMIT 1"""
_AT = "SELECT record FROM execution WHERE job = ? AND grp = ? LIMIT 1"
_AFTER = "SELECT record FROM execution WHERE job = ? AND grp > ? ORDER BY grp, attempt, node DESC LIMIT 1"


def read_record(connection: sqlite3.Connection, key: Key) -> Execution | None:
    """The execution with this key."""
    return _record(connection, f"SELECT record FROM execution WHERE {_KEY}", *key)


def read_slice(connection: sqlite3.Connection, statements: Iterable[tuple[str, Parameters]], limit: int) -> Slice:
    """The first `limit` executions that `statements`, one after the other, yield."""
    records: list[bytes] = []
    for statement, parameters in statements:
        if len(records) <= limit:  # one more than asked for tells whether there is a next page
            rows = connection.execute(statement, {**parameters, "limit": limit + 1 - len(records)})
            records.extend(row[-1] for row in rows)
    executions = tuple(map(_decoder.decode, records[:limit]))
    return Slice(executions, encode_cursor(executions[-1]) if len(records) > limit else None)


def write_executions(connection: sqlite3.Connection, executions: Iterable[Execution]) -> set[str]:
    """Record `executions` by the rules of `History.write`; return the jobs that have a new group."""
    days: Counter[tuple[str, str]] = Counter()
    grown = {execution.job for execution in executions if _write(connection, execution, days)}
    for date in {date for date, _ in days}:
        connection.execute(
            """INSERT INTO day (date, success, failed) VALUES (?, ?, ?) ON CONFLICT (date)
            DO UPDATE SET success = success + excluded.success, failed = failed + excluded.failed""",
            (date, days[date, "success"], days[date, "failed"]),
        )
    return grown


def delete_executions(connection: sqlite3.Connection, job: str, until: int, batch: int) -> int:
    """Delete the oldest `batch` executions of `job` with group <= `until`; return how many there were."""
    rows = connection.execute(
        """SELECT job, grp, attempt, node, state FROM execution WHERE job = ? AND grp <= ?
        ORDER BY grp, attempt, node DESC LIMIT ?""",
        (job, until, batch),
    ).fetchall()
    remove(connection, rows)
    return len(rows)


def rows_that_ran(connection: sqlite3.Connection, job: str, group: int, limit: int) -> Sequence[Row]:
    """The executions of a group but for a record that it did not run."""
    return connection.execute(
        f"SELECT job, grp, attempt, node, state FROM execution WHERE job = ? AND grp = ? AND {_OF_KIND[True]} LIMIT ?",
        (job, group, limit),
    ).fetchall()


def remove(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Delete executions with their output."""
    connection.executemany(f"DELETE FROM output WHERE {_KEY}", [row[:4] for row in rows])
    _remove_records(connection, rows)


def join_neighbours(connection: sqlite3.Connection, job: str, group: int) -> None:
    """Make one record of what lies at, right before and right after `group`, so far as it did not run, for the same
    reason, and is no longer counted."""
    folded = _folded(connection, job)
    older: Execution | None = None
    for statement in (_BEFORE, _AT, _AFTER):
        newer = _record(connection, statement, job, group)
        if newer is None or newer.group > folded:
            continue
        both = joined(older, newer) if older else None
        if both:
            connection.execute(f"DELETE FROM execution WHERE {_KEY}", newer.key)
            _update(connection, both)
        older = both or newer


def _record(connection: sqlite3.Connection, statement: str, *parameters: str | int) -> Execution | None:
    found = connection.execute(statement, parameters).fetchone()
    return _decoder.decode(found[0]) if found else None


def _write(connection: sqlite3.Connection, new: Execution, days: Counter[tuple[str, str]]) -> bool:
    """Record one execution and count it in `days`; whether it is the first of its group."""
    old = read_record(connection, new.key)
    if old and keeps(old, new):
        return False
    _count(days, new, 1)
    if old:
        _count(days, old, -1)
        if old.state.ran is new.state.ran:
            _update(connection, new)
            if not new.state.ran:
                join_neighbours(connection, new.job, new.group)
            return False
        _remove_records(connection, [(*old.key, old.state)])
    if not new.state.ran and new.group <= _folded(connection, new.job):
        _insert_folded(connection, new)
        return False
    first = _alone(connection, new.job, new.group, new.state.ran)
    if first:
        connection.execute(
            """INSERT INTO job (job, ran, idle, folded) VALUES (?, ?, ?, -1) ON CONFLICT (job)
            DO UPDATE SET ran = ran + excluded.ran, idle = idle + excluded.idle""",
            (new.job, int(new.state.ran), int(not new.state.ran)),
        )
    _insert(connection, new)
    return first


def _insert_folded(connection: sqlite3.Connection, new: Execution) -> None:
    """Record a fire that did not run and is older than those that are kept one by one."""
    before = _record(connection, _BEFORE_ALIKE, new.job, new.state, new.group)
    if before is None or not covers(before, new):
        _insert(connection, new)
        join_neighbours(connection, new.job, new.group)


def _insert(connection: sqlite3.Connection, new: Execution) -> None:
    connection.execute(
        "INSERT INTO execution (job, grp, attempt, node, state, ended, record) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*new.key, new.state, ended(new), _encoder.encode(new)),
    )


def _update(connection: sqlite3.Connection, new: Execution) -> None:
    connection.execute(
        f"UPDATE execution SET state = ?, ended = ?, record = ? WHERE {_KEY}",
        (new.state, ended(new), _encoder.encode(new), *new.key),
    )


def _remove_records(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Delete executions, and count the groups that are gone with them."""
    connection.executemany(f"DELETE FROM execution WHERE {_KEY}", [row[:4] for row in rows])
    for job, group, ran in dict.fromkeys((row[0], row[1], State(row[4]).ran) for row in rows):
        if not _alone(connection, job, group, ran):
            continue
        folded = group <= _folded(connection, job)
        if ran or not folded:
            connection.execute(
                "UPDATE job SET ran = ran - ?, idle = idle - ? WHERE job = ?", (int(ran), int(not ran), job)
            )
        if folded:
            join_neighbours(connection, job, group)
    for job in {row[0] for row in rows}:
        connection.execute(
            """DELETE FROM job WHERE job = :job AND ran = 0 AND idle = 0
            AND NOT EXISTS (SELECT 1 FROM execution WHERE job = :job)""",
            {"job": job},
        )


def _alone(connection: sqlite3.Connection, job: str, group: int, ran: bool) -> bool:
    """Whether nothing is recorded of the group that ran (or did not)."""
    statement = f"SELECT 1 FROM execution WHERE job = ? AND grp = ? AND {_OF_KIND[ran]} LIMIT 1"
    return connection.execute(statement, (job, group)).fetchone() is None


def _folded(connection: sqlite3.Connection, job: str) -> int:
    """The newest group of those that did not run and are no longer counted."""
    found = connection.execute("SELECT folded FROM job WHERE job = ?", (job,)).fetchone()
    return found[0] if found else -1


def _count(days: Counter[tuple[str, str]], execution: Execution, sign: int) -> None:
    """Add what `execution` adds to its day, or take it back."""
    if added := outcome(execution):
        date, success, failed = added
        days[date, "success"] += sign * success
        days[date, "failed"] += sign * failed
