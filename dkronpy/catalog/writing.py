"""How a server writes to the store: guarded, and read back before it is told of."""

from __future__ import annotations

from collections.abc import Sequence

from dkronpy.catalog.mirror import Mirror
from dkronpy.store.contract import Conflict, Guard, Operation, Store


async def commit(store: Store, mirror: Mirror, guards: Sequence[Guard], operations: Sequence[Operation]) -> int | None:
    """The new revision, once the mirror shows it; None after a conflict, once the mirror shows what collided."""
    try:
        revision = await store.commit(guards, operations)
    except Conflict as conflict:
        entry = await store.get(conflict.key)
        await mirror.reached(0 if entry is None else entry.revision)
        return None
    await mirror.reached(revision)
    return revision


def free_group(mirror: Mirror, name: str, wanted: int) -> int:
    """`wanted`, or the next number that no run and no request of the job has."""
    taken = {key[1] for key in mirror.runs.get(name, ())}
    while wanted in taken or (name, wanted) in mirror.triggers:
        wanted += 1
    return wanted
