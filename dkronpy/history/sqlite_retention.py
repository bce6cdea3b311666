"""What is no longer kept in SQLite: found without looking at every job, taken away in small batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.history.rules import IDLE, RAN
from dkronpy.history.sqlite_records import join_neighbours, remove, rows_that_ran

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from dkronpy.history.contract import Retention

_GROUPS = "SELECT grp FROM execution INDEXED BY by_job_state WHERE job = :job AND state = '{}' AND grp > :above"
_OLDEST = {
    ran: " UNION ".join(map(_GROUPS.format, states)) + " ORDER BY 1 LIMIT :limit"
    for ran, states in ((True, RAN), (False, IDLE))
}
"""The oldest groups by whether they ran. Each state's come in the index's order, so SQLite merges them unsorted."""


class Pruner:
    """Remembers which jobs have grown, so that only these are looked at. Not thread-safe."""

    def __init__(self) -> None:
        self._grown: dict[str, None] = {}
        self._count: int | None = None

    def grown(self, jobs: Iterable[str]) -> None:
        """Note that `jobs` have new groups."""
        self._grown.update(dict.fromkeys(jobs))

    def forget(self) -> None:
        """Have the next `prune` find out anew which jobs are too large: what it did was undone."""
        self._count = None

    def prune(self, connection: sqlite3.Connection, retention: Retention, now: int, batch: int) -> bool:
        """One batch of `History.prune`: together at most `batch` executions that go and jobs that are looked at."""
        left = batch
        if retention.age is not None:
            rows = connection.execute(
                "SELECT job, grp, attempt, node, state FROM execution WHERE ended < ? ORDER BY ended LIMIT ?",
                (now - retention.age, batch),
            ).fetchall()
            remove(connection, rows)
            left -= len(rows)
        if self._count != retention.count:
            too_large = connection.execute(
                "SELECT job FROM job WHERE ran > ? OR idle > ?", (retention.count, retention.count)
            )
            self._grown = {job: None for (job,) in too_large}
            self._count = retention.count
        while left > 0 and self._grown:
            job = next(iter(self._grown))
            taken = _thin(connection, job, retention.count, left)
            if taken < left:
                del self._grown[job]
            left -= max(taken, 1)
        return left <= 0


def _thin(connection: sqlite3.Connection, job: str, count: int, batch: int) -> int:
    """Take what exceeds `count` groups of each kind from `job`, at most `batch` executions; return how many."""
    found = connection.execute("SELECT ran, idle, folded FROM job WHERE job = ?", (job,)).fetchone()
    if not found:
        return 0
    ran, idle, folded = found
    left = batch
    for group in _oldest(connection, job, True, -1, min(ran - count, left)):
        rows = rows_that_ran(connection, job, group, left)
        remove(connection, rows)
        left -= len(rows)
    for group in _oldest(connection, job, False, folded, min(idle - count, left)):
        connection.execute("UPDATE job SET idle = idle - 1, folded = ? WHERE job = ?", (group, job))
        join_neighbours(connection, job, group)
        left -= 1
    return batch - left


def _oldest(connection: sqlite3.Connection, job: str, ran: bool, above: int, limit: int) -> list[int]:
    """The oldest `limit` groups of `job` > `above` that ran (or did not)."""
    if limit <= 0:
        return []
    rows = connection.execute(_OLDEST[ran], {"job": job, "above": above, "limit": limit})
    return [group for (group,) in rows]
