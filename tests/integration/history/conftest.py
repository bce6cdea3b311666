"""The histories that the suite runs against."""

from __future__ import annotations

import os
import uuid
from abc import abstractmethod
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Any, ClassVar

import asyncmy
import asyncpg
import pytest

from dkronpy.history.mongodb import MongoHistory
from dkronpy.history.mysql import MysqlHistory
from dkronpy.history.postgresql import PostgresHistory
from dkronpy.history.server import ServerHistory
from dkronpy.history.sqlite import SqliteHistory
from dkronpy.history.store import StoreHistory
from dkronpy.model.execution import Execution, OutputChunk, State
from tests.support.databases import MariaDb, MongoDb, Postgres, fresh
from tests.support.etcd import Etcd
from tests.support.memory_history import MemoryHistory
from tests.support.memory_store import MemoryStore
from tests.support.servers import shared

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator
    from contextlib import AbstractAsyncContextManager

    from dkronpy.history.contract import History
    from dkronpy.store.contract import Store

    Make = Callable[..., AbstractAsyncContextManager[History]]


class WithStore(StoreHistory):
    """Opens and closes its store with itself."""

    def __init__(self, store: Store, output_limit: int) -> None:
        super().__init__(store, f"test-{uuid.uuid4().hex}", kept=1000, output_limit=output_limit)

    async def open(self) -> None:
        await self._store.open()
        await super().open()

    async def close(self) -> None:
        await super().close()
        await self._store.close()


class Borrowed(ServerHistory[Any]):
    """Lies in a place of a server that is used again and again, empty when it is opened first."""

    spare: ClassVar[list[str]]
    place: str
    _used = False

    def take_place(self) -> str:
        """One that was given back, or a new name."""
        self._made = bool(self.spare)
        self.place = self.spare.pop() if self.spare else fresh()
        return self.place

    @abstractmethod
    async def make_place(self) -> None:
        """Make it."""

    @abstractmethod
    async def empty(self) -> None:
        """Delete everything."""

    async def open(self) -> None:
        if not self._made:
            await self.make_place()
            self._made = True
        await super().open()
        if not self._used:
            self._used = True
            await self.empty()

    def give_back(self) -> None:
        self.spare.append(self.place)


TABLES = ("execution", "output", "job", "day", "figures")


class InPostgres(Borrowed, PostgresHistory):
    spare: ClassVar[list[str]] = []

    def __init__(self, limit: int) -> None:
        super().__init__(shared(Postgres).dsn(self.take_place()), output_limit=limit)

    async def make_place(self) -> None:
        connection = await asyncpg.connect(shared(Postgres).dsn("public"))
        await connection.execute(f"CREATE SCHEMA {self.place}")
        await connection.close()

    async def empty(self) -> None:
        async with self._connections.use() as connection:
            await connection.execute("; ".join(f"DELETE FROM {table}" for table in TABLES))


class InMariaDb(Borrowed, MysqlHistory):
    spare: ClassVar[list[str]] = []

    def __init__(self, limit: int) -> None:
        super().__init__(shared(MariaDb).dsn(self.take_place()), output_limit=limit)

    async def make_place(self) -> None:
        connection = await asyncmy.connect(**{**self._options, "db": None})
        async with connection.cursor() as cursor:
            await cursor.execute(f"CREATE DATABASE {self.place}")
        connection.close()

    async def empty(self) -> None:
        async with self._connections.use() as connection, connection.cursor() as cursor:
            for table in TABLES:
                await cursor.execute(f"DELETE FROM {table}")


class InMongoDb(Borrowed, MongoHistory):
    spare: ClassVar[list[str]] = []

    def __init__(self, limit: int) -> None:
        super().__init__(shared(MongoDb).dsn(self.take_place()), output_limit=limit)

    async def make_place(self) -> None:
        """It makes what is written to."""

    async def empty(self) -> None:
        async with self._connections.use() as database:
            for table in TABLES:
                await database[table].delete_many({})


HISTORIES: dict[str, Callable[[Path, int], History]] = {
    "sqlite": lambda folder, limit: SqliteHistory(folder / "history.db", output_limit=limit),
    "memory": lambda _, limit: MemoryHistory(output_limit=limit),
    "store": lambda _, limit: WithStore(MemoryStore(), limit),
    "etcd": lambda _, limit: WithStore(shared(Etcd).store(timeout=30.0, patience=60.0), limit),
    "postgresql": lambda _, limit: InPostgres(limit),
    "mariadb": lambda _, limit: InMariaDb(limit),
    "mongodb": lambda _, limit: InMongoDb(limit),
}
"""Each makes an empty history that keeps its last argument's bytes of output; the folder is new and empty."""

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
T0 = 1_700_000_000 * SECOND
"""2023-11-14T22:13:20Z."""


FAR = ("postgresql", "mariadb", "mongodb")
"""Those in database servers."""


@pytest.fixture(scope="module", params=HISTORIES)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Opens a new, empty history: `async with make(limit) as history`.

    In memory where the system has a place for that: the suite opens thousands, and is not about the disk."""

    with making(request.param) as opened:
        yield opened


@pytest.fixture(scope="module", params=[name for name in HISTORIES if name not in FAR])
def make_near(request: pytest.FixtureRequest) -> Iterator[Make]:
    """As `make`, but for those in database servers."""
    with making(request.param) as opened:
        yield opened


@pytest.fixture(scope="module", params=FAR)
def make_far(request: pytest.FixtureRequest) -> Iterator[Make]:
    """As `make`, for those in database servers."""
    with making(request.param) as opened:
        yield opened


@contextmanager
def making(name: str) -> Generator[Make]:
    """What opens histories of this name."""

    @asynccontextmanager
    async def opened(limit: int = 256_000) -> AsyncGenerator[History]:
        history = HISTORIES[name](Path(mkdtemp(dir=folder)), limit)
        await history.open()
        try:
            yield history
        finally:
            await history.close()
            if isinstance(history, Borrowed):
                history.give_back()

    with TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        yield opened


@pytest.fixture
async def history(make: Make) -> AsyncGenerator[History]:
    async with make() as made:
        yield made


@asynccontextmanager
async def sqlite(path: Path, **options: int) -> AsyncGenerator[SqliteHistory]:
    """An opened history in the file `path`."""
    history = SqliteHistory(path, **options)
    await history.open()
    try:
        yield history
    finally:
        await history.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where an embedded history is to be, on the disk."""
    return tmp_path / "history.db"


def ran(job: str, group: int, state: State = State.SUCCESS, **fields: Any) -> Execution:
    """An execution of `job` on a node, finished a second after its group unless it is not final."""
    fields = {"attempt": 1, "node": "n1", "fire": group, **fields}
    if state.final:
        fields.setdefault("finished", group + SECOND)
    return Execution(job=job, group=group, state=state, **fields)


def idle(job: str, group: int, reason: str = "overlap", state: State = State.SKIPPED, **fields: Any) -> Execution:
    """A fire of `job` that did not run."""
    return Execution(job=job, group=group, state=state, reason=reason, fire=group, decided=group, **fields)


def piece(execution: Execution, offset: int, data: bytes) -> OutputChunk:
    """A chunk of the execution's output."""
    return OutputChunk(*execution.key, offset, data)
