"""A history in a database server: connections that come and go, one writer at a time."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from dkronpy.history.connections import C, Connections
from dkronpy.history.contract import HistoryError
from dkronpy.history.database import DatabaseHistory
from dkronpy.history.turns import Turns

if TYPE_CHECKING:
    from dkronpy.history.table import Table
    from dkronpy.history.work import Make, T
    from dkronpy.model.execution import Execution, OutputChunk

M = TypeVar("M")

log = logging.getLogger(__name__)

CONNECTIONS: Final = 4
CONNECT_TIMEOUT: Final = 5.0
ANSWER_TIMEOUT: Final = 30.0
"""Seconds within which work is done, however many questions it has."""


def outstanding(migrations: Sequence[M], version: int) -> Sequence[M]:
    """Those that a schema of `version` lacks. Raises HistoryError for a newer one."""
    if version > len(migrations):
        raise HistoryError(
            f"the history has schema {version}, this program knows up to {len(migrations)}: "
            "start the newer version that wrote it, or name another database to begin anew"
        )
    return migrations[version:]


class HistoryAway(HistoryError):
    """Nobody is there who could answer, or the connection broke."""


class ServerHistory(DatabaseHistory, Generic[C]):
    """A history that is away is waited for: it opens all the same, and each call tries anew.

    Server programs may be stopped and started: what fails because its connection broke is done once more, which is
    harmless for all that is done here."""

    def __init__(self, table: Table, output_limit: int) -> None:
        super().__init__(table, output_limit)
        self._turns = Turns(self._record_all)
        self._connections = Connections(self._connected, self._drop, CONNECTIONS)
        self._migrating = asyncio.Lock()
        self._migrated = False

    @abstractmethod
    async def _connect(self) -> C: ...

    @abstractmethod
    def _drop(self, connection: C) -> None:
        """End a connection at once."""

    @abstractmethod
    async def _migrate(self, connection: C) -> None:
        """Bring the schema to the newest version. Raises HistoryError for one that is newer, or not ours."""

    @abstractmethod
    async def _drive(self, connection: C, make: Make[T], *, writing: bool) -> T:
        """The result of work on a connection; when it writes, in a transaction that no other writer's overlaps."""

    @abstractmethod
    def _translated(self, error: Exception) -> Exception:
        """`error` in the words of the contract; as it is when the database has no part in it."""

    async def open(self) -> None:
        self._turns.start()
        try:
            async with self._connections.use():
                pass
        except HistoryAway as error:
            log.warning("the history is away, it is tried again when it is needed: %s", error)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what was accepted."""
        await self._turns.stop()
        self._connections.drop_idle()

    async def _connected(self) -> C:
        connection: Any = None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                connection = await self._connect()
            async with self._migrating:
                if not self._migrated:
                    await self._migrate(connection)
                    self._migrated = True
        except Exception as error:
            if connection is not None:
                self._drop(connection)
            translated = self._translated(error)
            if translated is error:
                raise
            raise translated from error
        return connection

    async def _perform(self, make: Make[T], *, writing: bool) -> T:
        try:
            return await self._attempt(make, writing=writing)
        except HistoryAway:
            return await self._attempt(make, writing=writing)

    async def _attempt(self, make: Make[T], *, writing: bool) -> T:
        try:
            async with self._connections.use() as connection, asyncio.timeout(ANSWER_TIMEOUT):
                return await self._drive(connection, make, writing=writing)
        except msgspec.MsgspecError as error:
            raise HistoryError(f"a record of the history is damaged: {error}; restore a copy") from error
        except Exception as error:
            translated = self._translated(error)
            if translated is error:
                raise
            raise translated from error

    async def _read(self, make: Make[T]) -> T:
        self._turns.check_open()
        return await self._perform(make, writing=False)

    async def _write(self, make: Make[T]) -> T:
        return await self._turns.do(lambda: self._perform(make, writing=True))

    async def _store(self, executions: Sequence[Execution], chunks: Sequence[OutputChunk]) -> None:
        await self._turns.write(executions, chunks)

    async def _record_all(self, executions: Sequence[Execution], chunks: Sequence[OutputChunk]) -> None:
        await self._perform(lambda: self._recorded(executions, chunks), writing=True)
