"""The stores that the conformance suite runs against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.store.sqlite import SqliteStore
from tests.support.consul import Consul
from tests.support.dynamodb import DynamoDb
from tests.support.etcd import Etcd
from tests.support.memory_store import MemoryData, MemoryStore
from tests.support.redis import Redis
from tests.support.servers import StoreServer, shared
from tests.support.zookeeper import ZooKeeper

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dkronpy.store.contract import Store

SERVERS: dict[str, type[StoreServer]] = {kind.backend: kind for kind in (Consul, DynamoDb, Etcd, Redis, ZooKeeper)}
"""The servers of the shared stores by name."""


def _sqlite(folder: Path) -> Callable[[], Store]:
    return lambda: SqliteStore(folder / "store.db")


def _memory(folder: Path) -> Callable[[], Store]:
    data = MemoryData()
    return lambda: MemoryStore(data)


def _on(kind: type[StoreServer]) -> Callable[[Path], Callable[[], Store]]:
    def empty(_: Path) -> Callable[[], Store]:
        server = shared(kind)
        server.clear()
        return server.store

    return empty


STORES: dict[str, Callable[[Path], Callable[[], Store]]] = {
    "sqlite": _sqlite,
    "memory": _memory,
    **{name: _on(kind) for name, kind in SERVERS.items()},
}
"""By name: given an empty folder, what makes connections to one new, empty store."""
