"""The history of one server: an SQLite database beside the embedded store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dkronpy.history.database import DatabaseHistory
from dkronpy.history.sql_table import SqlTable
from dkronpy.history.sqlite_database import Database
from dkronpy.history.sqlite_schema import SqliteDialect
from dkronpy.history.work import drive

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from dkronpy.history.dialect import Statement
    from dkronpy.history.work import Make, T
    from dkronpy.model.execution import Execution, OutputChunk


class SqliteHistory(DatabaseHistory):
    """A history in the file `path`, made when missing."""

    def __init__(self, path: Path, *, output_limit: int = 256_000) -> None:
        super().__init__(SqlTable(SqliteDialect()), output_limit)
        self._database = Database(path)

    async def open(self) -> None:
        await self._database.open()

    async def close(self) -> None:
        """Finish what was accepted, then close the file."""
        await self._database.close()

    async def _read(self, make: Make[T]) -> T:
        return await self._database.read(lambda connection: drive(make(), _answering(connection)))

    async def _write(self, make: Make[T]) -> T:
        return await self._database.write(lambda connection: drive(make(), _answering(connection)))

    async def _store(self, executions: Sequence[Execution], chunks: Sequence[OutputChunk]) -> None:
        await self._write(lambda: self._recorded(executions, chunks))


def _answering(connection: sqlite3.Connection) -> Any:
    def answer(statement: Statement) -> Sequence[Any]:
        if statement.many is not None:
            connection.executemany(statement.text, statement.many)
            return ()
        return connection.execute(statement.text, statement.parameters).fetchall()

    return answer
