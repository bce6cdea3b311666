"""The store and the history that the settings name."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import Any

from dkronpy.agent.resources import StartError
from dkronpy.config import Backend, Settings
from dkronpy.history.contract import History, HistoryError
from dkronpy.history.sqlite import SqliteHistory
from dkronpy.store.contract import Store, StoreError
from dkronpy.store.sqlite import SqliteStore

_SHARED: dict[Backend, tuple[str, str]] = {
    Backend.CONSUL: ("dkronpy.store.consul", "ConsulStore"),
    Backend.DYNAMODB: ("dkronpy.store.dynamodb", "DynamoDbStore"),
    Backend.ETCD: ("dkronpy.store.etcd", "EtcdStore"),
    Backend.REDIS: ("dkronpy.store.redis", "RedisStore"),
    Backend.ZOOKEEPER: ("dkronpy.store.zookeeper", "ZooKeeperStore"),
}
"""Of each shared store the module, which needs the packages of an extra, and the class in it. All are made alike: of
the machines, and of user, password and TLS files by name."""


_HISTORIES: dict[str, tuple[str, str]] = {
    "mongodb": ("dkronpy.history.mongodb", "MongoHistory"),
    "mysql": ("dkronpy.history.mysql", "MysqlHistory"),
    "postgresql": ("dkronpy.history.postgresql", "PostgresHistory"),
}
"""As `_SHARED`, by extra. All are made of their DSN."""


def _needed(place: tuple[str, str], what: str, extra: str) -> Any:
    """The class at (module, name). Raises StartError when a package that it needs is missing."""
    module, name = place
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        raise StartError(f"{what} needs a package that is missing ({error}): pip install 'dkronpy[{extra}]'") from error


def make_store(settings: Settings) -> Store:
    """The key-value store, not yet open. Raises StartError when the package that it needs is missing."""
    if settings.backend is Backend.EMBEDDED:
        return SqliteStore(settings.data_dir / "store.db")
    make = _needed(_SHARED[settings.backend], f"backend {settings.backend}", settings.backend)
    try:
        return make(
            settings.backend_machine,
            user=settings.backend_username,
            password=settings.backend_password,
            ca_file=settings.backend_ca_file,
            cert_file=settings.backend_cert_file,
            key_file=settings.backend_key_file,
        )
    except ValueError as error:
        raise StartError(f"backend-machine: {error}") from error


def unopened(settings: Settings, error: Exception) -> StartError:
    """The store or the history can't be opened: why, and which keys say where it is and who asks."""
    shared = settings.backend is not Backend.EMBEDDED
    keys = " (backend-machine says where it is, backend-username and backend-password who asks)" if shared else ""
    history = "" if settings.history_server is None else f" or the history in {settings.history_server} (history)"
    return StartError(f"can't open the {settings.backend} store{history or ' or its history'}: {error}{keys}")


def make_history(settings: Settings, store: Store) -> History:
    """The run history, not yet open. Raises StartError when a package that it needs is missing."""
    if settings.history_file is not None:
        return SqliteHistory(settings.history_file)
    if settings.history_server is not None:
        server = settings.history_server
        make = _needed(_HISTORIES[server], f"a history in {server}", server)
        try:
            return make(settings.history)
        except ValueError as error:
            raise StartError(f"history: {error}") from error
    from dkronpy.history.store import StoreHistory

    return StoreHistory(store, settings.keyspace)


@asynccontextmanager
async def open_history(settings: Settings) -> AsyncGenerator[History]:
    """The history alone, for those who only read it. Raises StartError."""
    file = settings.history_file
    if file is not None and not file.exists():
        raise StartError(f"there is no history {file}: --history or --data-dir says where it is")
    store = make_store(settings)
    history = make_history(settings, store)
    async with AsyncExitStack() as stack:
        try:
            if settings.history == "store":
                await store.open()
                stack.push_async_callback(store.close)
            await history.open()
            stack.push_async_callback(history.close)
        except (StoreError, HistoryError, OSError) as error:
            raise unopened(settings, error) from error
        yield history
