"""The history in MongoDB."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pymongo import ASCENDING, DESCENDING, AsyncMongoClient, IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConfigurationError, ConnectionFailure, InvalidURI, OperationFailure, PyMongoError
from pymongo.monitoring import ServerHeartbeatListener
from pymongo.uri_parser import parse_uri

from dkronpy.history.contract import HistoryError, HistoryFull
from dkronpy.history.mongo_table import MongoTable
from dkronpy.history.server import ANSWER_TIMEOUT, CONNECT_TIMEOUT, HistoryAway, ServerHistory, outstanding
from dkronpy.history.work import drive_async

if TYPE_CHECKING:
    from pymongo.monitoring import (
        ServerHeartbeatFailedEvent,
        ServerHeartbeatStartedEvent,
        ServerHeartbeatSucceededEvent,
    )

    from dkronpy.history.work import Make, T

Database = AsyncDatabase[dict[str, Any]]

_UP, _DOWN = ASCENDING, DESCENDING
MIGRATIONS: Final = (
    {
        "execution": {
            "by_key": {"job": _UP, "grp": _DOWN, "attempt": _DOWN, "node": _UP},
            "by_job_state": {"job": _UP, "state": _UP, "grp": _DOWN, "attempt": _DOWN, "node": _UP},
            "by_job_node": {"job": _UP, "node": _UP, "state": _UP, "grp": _DOWN, "attempt": _DOWN},
            "by_state": {"state": _UP, "grp": _DOWN, "attempt": _DOWN, "node": _UP, "job": _UP},
            "by_node": {"node": _UP, "state": _UP, "grp": _DOWN, "attempt": _DOWN, "job": _UP},
            "by_age": {"job": _UP, "state": _UP, "ended": _UP},
            "uncounted": {"uncounted.write": _UP},
        },
        "output": {"by_run": {"run": _UP, "start": _UP, "stop": _UP}},
    },
)
"""The indexes that each version of the schema adds; the collection `dkron_history` holds the version."""

_REFUSED: Final = frozenset({13, 18, 8000})
_FULL: Final = frozenset({14031, 16020})
_SPARSE: Final = frozenset({"uncounted"})


class _Looks(ServerHeartbeatListener):
    """When the client looks how a server is, for which it may connect."""

    def __init__(self) -> None:
        self._under_way: set[object] = set()
        self._none = asyncio.Event()
        self._none.set()

    def started(self, event: ServerHeartbeatStartedEvent) -> None:
        if not event.awaited:  # else it waits for news, over a connection that it has
            self._under_way.add(event.connection_id)
            self._none.clear()

    def succeeded(self, event: ServerHeartbeatSucceededEvent) -> None:
        self._ended(event.connection_id)

    def failed(self, event: ServerHeartbeatFailedEvent) -> None:
        self._ended(event.connection_id)

    def _ended(self, server: object) -> None:
        self._under_way.discard(server)
        if not self._under_way:
            self._none.set()

    async def over(self) -> None:
        """Wait until none is under way, for as long as one may take."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._none.wait()


class MongoHistory(ServerHistory[Database]):
    """A history in the database `mongodb://USER:PASSWORD@HOST:PORT/DATABASE`, with options as MongoDB's URIs have them
    (`replicaSet`, `tls`, `tlsCAFile`, ...). Raises ValueError for another URI."""

    def __init__(self, dsn: str, *, output_limit: int = 256_000) -> None:
        self._mongo = MongoTable()
        super().__init__(self._mongo, output_limit)
        try:
            self._name = parse_uri(dsn, validate=True)["database"] if dsn.startswith("mongodb://") else None
        except (InvalidURI, ConfigurationError, ValueError) as error:
            raise ValueError(f"not a URI of MongoDB: {error}") from error
        self._dsn = dsn
        self._client: AsyncMongoClient[dict[str, Any]] | None = None
        self._looks = _Looks()
        self._unsettled = True

    async def _connect(self) -> Database:
        """The client keeps connections of its own, and makes new ones by itself."""
        if self._client is None:
            self._looks = _Looks()
            self._client = AsyncMongoClient(
                self._dsn,
                w="majority",
                journal=True,
                appname="dkronpy",
                event_listeners=[self._looks],
                serverSelectionTimeoutMS=int(CONNECT_TIMEOUT * 1000),
                connectTimeoutMS=int(CONNECT_TIMEOUT * 1000),
                socketTimeoutMS=int(ANSWER_TIMEOUT * 1000),
            )
        database = self._client.get_default_database()
        await database.command("ping")
        return database

    def _drop(self, connection: Database) -> None:
        """Nothing of its own is held."""

    async def close(self) -> None:
        await super().close()
        client, self._client = self._client, None
        if client is not None:
            await self._looks.over()  # pymongo would cancel it, and leave the socket open on which it connects
            await client.close()

    async def _migrate(self, connection: Database) -> None:
        schema = await connection["dkron_history"].find_one({"_id": "schema"})
        if schema is None and "execution" in await connection.list_collection_names():
            raise HistoryError("the history's database is another program's: name another one, for it alone")
        await connection["dkron_history"].update_one({"_id": "schema"}, {"$setOnInsert": {"version": 0}}, upsert=True)
        version = schema["version"] if schema else 0
        for number, collections in enumerate(outstanding(MIGRATIONS, version), version + 1):
            for collection, indexes in collections.items():
                models = [
                    IndexModel(list(fields.items()), name=name, sparse=name in _SPARSE)
                    for name, fields in indexes.items()
                ]
                await connection[collection].create_indexes(models)
            await connection["dkron_history"].update_one({"_id": "schema"}, {"$max": {"version": number}})

    async def _drive(self, connection: Database, make: Make[T], *, writing: bool) -> T:
        async def answer(question: Any) -> Any:
            return await question(connection)

        if not writing:
            return await drive_async(make(), answer)
        if self._unsettled:
            await drive_async(self._mongo.count_days(), answer)
        self._unsettled = True
        result = await drive_async(make(), answer)
        self._unsettled = False
        return result

    def _translated(self, error: Exception) -> Exception:
        said = f"the history in MongoDB failed: {str(error)[:500]}"
        code = error.code if isinstance(error, OperationFailure) else None
        match error:
            case ConnectionFailure() | OSError() | TimeoutError():
                return HistoryAway(said)
            case PyMongoError() if code in _FULL:
                return HistoryFull(f"{said}; free some space on its disk")
            case PyMongoError() if code in _REFUSED:
                return HistoryError(f"can't open the history in MongoDB: {str(error)[:500]}")
            case PyMongoError():
                return HistoryError(said)
            case _:
                return error
