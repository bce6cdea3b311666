"""Connections to a server, kept for use again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

C = TypeVar("C")


class Connections(Generic[C]):
    """At most `most` at a time, made by `connect` when there is none to be had and ended by `drop`."""

    def __init__(self, connect: Callable[[], Awaitable[C]], drop: Callable[[C], None], most: int) -> None:
        self._connect = connect
        self._drop = drop
        self._free = asyncio.Semaphore(most)
        self._idle: list[C] = []

    @asynccontextmanager
    async def use(self) -> AsyncGenerator[C]:
        """One, for the caller alone. It is not used again if the block raises, and neither are those that idle: what
        ended one has likely ended them."""
        async with self._free:
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                yield connection
            except BaseException:
                self._drop(connection)
                self.drop_idle()
                raise
            self._idle.append(connection)

    def drop_idle(self) -> None:
        """End those that nobody uses."""
        while self._idle:
            self._drop(self._idle.pop())
