"""The claim: being allowed to lead becomes leading by raising the epoch in the store, in one guarded commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dkronpy.catalog.keys import KINDS, Keys, encode
from dkronpy.catalog.mirror import Held
from dkronpy.model.records import Epoch
from dkronpy.store.contract import Guard, Put, Store


class Deposed(Exception):
    """Another server has claimed the lead, or this one can't hold it."""


async def claim(
    store: Store, keys: Keys, node: str, now: Callable[[], int], guards: Sequence[Guard] = ()
) -> Held[Epoch]:
    """Raise the epoch, if the guards hold, and return it with its revision, which guards every write of this leader
    from now on.

    Raises Conflict when another server claimed at the same time, and the store's other errors; after OutcomeUnknown a
    new claim is harmless, it only raises the epoch once more."""
    entry = await store.get(keys.epoch)
    before = 0 if entry is None else KINDS["leader"].decode(entry.value).epoch
    epoch = Epoch(before + 1, node, now())
    revision = await store.commit(
        [Guard(keys.epoch, 0 if entry is None else entry.revision), *guards], [Put(keys.epoch, encode(epoch))]
    )
    return Held(epoch, revision)
