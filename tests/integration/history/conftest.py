"""The histories that the suite runs against."""

from __future__ import annotations

import os
import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Any

import pytest

from dkronpy.history.sqlite import SqliteHistory
from dkronpy.history.store import StoreHistory
from dkronpy.model.execution import Execution, OutputChunk, State
from tests.support.etcd import Etcd
from tests.support.memory_history import MemoryHistory
from tests.support.memory_store import MemoryStore
from tests.support.servers import shared

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
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


HISTORIES: dict[str, Callable[[Path, int], History]] = {
    "sqlite": lambda folder, limit: SqliteHistory(folder / "history.db", output_limit=limit),
    "memory": lambda _, limit: MemoryHistory(output_limit=limit),
    "store": lambda _, limit: WithStore(MemoryStore(), limit),
    "etcd": lambda _, limit: WithStore(shared(Etcd).store(), limit),
}
"""Each makes an empty history that keeps its last argument's bytes of output; the folder is new and empty."""

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
T0 = 1_700_000_000 * SECOND
"""2023-11-14T22:13:20Z."""


@pytest.fixture(scope="module", params=HISTORIES)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Opens a new, empty history: `async with make(limit) as history`.

    In memory where the system has a place for that: the suite opens thousands, and is not about the disk."""

    @asynccontextmanager
    async def opened(limit: int = 256_000) -> AsyncGenerator[History]:
        history = HISTORIES[request.param](Path(mkdtemp(dir=folder)), limit)
        await history.open()
        try:
            yield history
        finally:
            await history.close()

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
