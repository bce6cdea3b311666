"""Every test here that asks for a store runs against each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkronpy.store.consul import ConsulStore
from dkronpy.store.dynamodb import DynamoDbStore
from dkronpy.store.etcd import EtcdStore
from dkronpy.store.redis import RedisStore
from dkronpy.store.zookeeper import ZooKeeperStore
from tests.support.servers import CALM
from tests.support.stores import STORES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from pathlib import Path

    from dkronpy.store.contract import Store


@pytest.fixture(scope="package", autouse=True)
def calm() -> Generator[None]:
    """Stores wait long for an answer unless a test says otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in (ConsulStore, DynamoDbStore, EtcdStore, RedisStore, ZooKeeperStore):
            defaults = kind.__init__.__kwdefaults__
            assert defaults is not None
            patch.setitem(defaults, "timeout", CALM)
        yield


@pytest.fixture(params=STORES)
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Makes connections, not yet open, to one store that is empty at first."""
    return STORES[request.param](tmp_path)


@pytest.fixture
async def store(connect: Callable[[], Store]) -> AsyncGenerator[Store]:
    """An open, empty store."""
    opened = connect()
    await opened.open()
    yield opened
    await opened.close()
