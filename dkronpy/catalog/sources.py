"""Which content of a directory of jobs holds, where several servers have the same directory."""

from __future__ import annotations

from collections.abc import Callable

from dkronpy.catalog.keys import Keys, encode
from dkronpy.catalog.mirror import Mirror
from dkronpy.catalog.writing import commit
from dkronpy.model.records import SourceRecord
from dkronpy.store.contract import Guard, Put, Store


class Sources:
    """Of two contents the one whose files changed later holds; of two as old, the one with the larger digest, so that
    all servers decide alike. `now` gives ns since the epoch."""

    def __init__(self, store: Store, mirror: Mirror, keys: Keys, now: Callable[[], int]) -> None:
        self._store = store
        self._mirror = mirror
        self._keys = keys
        self._now = now

    def holds(self, directory: str, digest: str) -> bool:
        """Whether this content holds, as far as is known here."""
        held = self._mirror.sources.get(directory)
        return held is not None and held.value.digest == digest

    async def claim(self, directory: str, digest: str, newest: int, *, by: str, force: bool) -> bool:
        """Let this content hold, unless another one does that is newer, or whatever there is with `force`. Returns
        whether it holds."""
        while True:
            held = self._mirror.sources.get(directory)
            if held is not None:
                if held.value.digest == digest:
                    return True
                if not force and (held.value.newest, held.value.digest) > (newest, digest):
                    return False
                newest = max(newest, held.value.newest + 1) if force else newest
            key = self._keys.source(directory)
            record = SourceRecord(digest, newest, self._now(), by)
            guard = Guard(key, 0 if held is None else held.revision)
            if await commit(self._store, self._mirror, [guard], [Put(key, encode(record))]) is not None:
                return True
