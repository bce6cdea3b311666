"""Every test here that asks for a store runs against each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.stores import STORES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from dkronpy.store.contract import Store


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
