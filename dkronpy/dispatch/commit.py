"""Steps as commits: one after the other, each guarded by the epoch and the cursor, repeated until its outcome is
known."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from dkronpy.catalog.keys import KINDS, Keys, encode
from dkronpy.catalog.mirror import Held
from dkronpy.leadership.claim import Deposed
from dkronpy.model.records import Cursor, Epoch
from dkronpy.scheduling.step import Step
from dkronpy.store.contract import (
    Conflict,
    Delete,
    Guard,
    Operation,
    OutcomeUnknown,
    Put,
    Store,
    StoreFull,
    Unavailable,
)

log = logging.getLogger(__name__)

RETRY_FIRST, RETRY_MAX = 0.05, 2.0
"""Seconds between tries while the store can't be written."""


class Committer:
    """Commits the steps of one leader. `observe` is given the seconds that each commit took."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        epoch: Held[Epoch],
        cursor: Held[Cursor] | None,
        observe: Callable[[float], None],
    ) -> None:
        self._store = store
        self._keys = keys
        self._epoch = epoch
        self._cursor_revision = 0 if cursor is None else cursor.revision
        self._observe = observe
        self.failing: str | None = None
        """Why the store can't be written at the moment."""

    @property
    def revision(self) -> int:
        """Of the newest commit."""
        return self._cursor_revision

    async def commit(self, step: Step) -> None:
        """Write the step, waiting out a store that is away or full. Raises Deposed."""
        operations = operations_of(step, self._keys)
        guards = [Guard(self._keys.epoch, self._epoch.revision), Guard(self._keys.cursor, self._cursor_revision)]
        delay = RETRY_FIRST
        clock = asyncio.get_running_loop().time
        begun = clock()
        while True:
            try:
                self._cursor_revision = await self._store.commit(guards, operations)
                break
            except Conflict:
                if await self._landed(step):
                    break
            except (Unavailable, StoreFull, OutcomeUnknown) as error:
                if self.failing is None:
                    log.warning(
                        "the store can't be written, trying until it can: %s",
                        error,
                        extra={"epoch": self._epoch.value.epoch},
                    )
                self.failing = str(error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_MAX)
        if self.failing is not None:
            log.warning("the store can be written again", extra={"epoch": self._epoch.value.epoch})
            self.failing = None
        self._observe(clock() - begun)

    async def _landed(self, step: Step) -> bool:
        """After a conflict: whether an earlier try of this very step was written. Raises Deposed when it was not."""
        assert step.cursor is not None, "a step always moves the cursor's commit number"
        try:
            epoch = await self._store.get(self._keys.epoch)
            cursor = await self._store.get(self._keys.cursor)
        except Unavailable:
            return False
        if epoch is None or epoch.revision != self._epoch.revision:
            raise Deposed(f"epoch {self._epoch.value.epoch} is over")
        if cursor is None or KINDS["cursor"].decode(cursor.value).commit != step.cursor.commit:
            raise Deposed("the cursor was moved by somebody else")
        self._cursor_revision = cursor.revision
        return True


def operations_of(step: Step, keys: Keys) -> list[Operation]:
    """The store operations of a step."""
    operations: list[Operation] = []

    def change(key: str, value: object | None) -> None:
        operations.append(Delete(key) if value is None else Put(key, encode(value)))

    for (job, group), record in step.groups.items():
        change(keys.group(job, group), record)
    for name, state in step.states.items():
        change(keys.state(name), state)
    for (name, group), trigger in step.triggers.items():
        change(keys.trigger(name, group), trigger)
    operations.extend(Delete(keys.kill(key)) for key in step.kills_done)
    operations.extend(Delete(keys.clear(name)) for name in step.clears_done)
    if step.cursor is not None:
        change(keys.cursor, step.cursor)
    return operations
