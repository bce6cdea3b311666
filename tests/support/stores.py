"""The stores that the conformance suite runs against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.store.etcd import EtcdStore
from dkronpy.store.sqlite import SqliteStore
from tests.support.etcd import shared_etcd
from tests.support.memory_store import MemoryData, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dkronpy.store.contract import Store


def _sqlite(folder: Path) -> Callable[[], Store]:
    return lambda: SqliteStore(folder / "store.db")


def _memory(folder: Path) -> Callable[[], Store]:
    data = MemoryData()
    return lambda: MemoryStore(data)


def _etcd(folder: Path) -> Callable[[], Store]:
    server = shared_etcd()
    server.clear()
    return lambda: EtcdStore([server.address])


STORES: dict[str, Callable[[Path], Callable[[], Store]]] = {"sqlite": _sqlite, "memory": _memory, "etcd": _etcd}
"""By name: given an empty folder, what makes connections to one new, empty store."""
