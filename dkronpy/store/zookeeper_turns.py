"""Turns of servers that write to ZooKeeper at the same time.

Who has written last knows the end of the log first, and would be first to write again for as long as it has something
to write. So who loses twice touches a node that all watch, and the others wait until they see that it has written.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from kazoo.protocol import serialization as zk

from dkronpy.store.contract import Unavailable
from dkronpy.store.zookeeper_tree import TURN

if TYPE_CHECKING:
    from dkronpy.store.zookeeper_replica import Replica
    from dkronpy.store.zookeeper_session import Session

_LOST: Final = 2
"""Races lost one after the other before one asks for a turn."""
_LONGEST: Final = 0.2
"""Seconds that others wait at most, should who asked have gone away."""
_BETWEEN: Final = 0.002
"""Seconds between their looks."""


class Turns:
    """One server's part."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._watching = False
        self._beginning: asyncio.Task[None] | None = None
        self._watcher = session.watcher(self._asked_for)
        self._lost = 0
        self._asking = False
        self._asked = False

    async def wait(self, replica: Replica) -> None:
        """Before a transaction: let another have its turn, if one has asked. Raises Unavailable."""
        if not self._asked:
            return
        self._asked = False
        position = (await replica.image()).position
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST):
                while (await replica.image()).position == position:
                    await asyncio.sleep(_BETWEEN)
                    await replica.look()

    def won(self) -> None:
        """A transaction has happened."""
        self._lost = 0
        if not self._watching:
            self._watching = True
            self._beginning = asyncio.create_task(self._watch())

    async def lost(self) -> None:
        """Another's transaction came first. Raises Unavailable."""
        self._lost += 1
        if self._lost % _LOST == 0:
            self._asking = self._watching
            await self._session.ask(zk.SetData(TURN, b"", -1))

    async def _watch(self) -> None:
        try:
            await self._session.ask(zk.Exists(TURN, self._watcher))
        except Unavailable:
            self._watching = False  # the next transaction tries again

    def _asked_for(self) -> None:
        """By another, by this one itself, or the connection was lost."""
        self._watching = False
        self._asked = not self._asking and self._lost < _LOST
        self._asking = False
