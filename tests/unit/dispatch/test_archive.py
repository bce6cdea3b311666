"""What the leader writes to the history."""

from __future__ import annotations

import asyncio

from dkronpy.catalog.feed import Feed
from dkronpy.dispatch.archive import Archive
from dkronpy.model.execution import Execution, State
from dkronpy.model.run import Ended, Key
from tests.support.memory_history import MemoryHistory


async def test_a_true_report_replaces_a_lost_run_that_has_left_the_store() -> None:
    history = MemoryHistory()
    await history.open()
    lost = Execution("job", 5, 1, "n1", State.LOST, fire=5, finished=90, error="its node was gone")
    await history.write([lost], [])
    told = asyncio.Queue[list[Key]]()
    archive = Archive(
        history, Feed(), archived=lambda _: None, recorded=told.put_nowait, stored=lambda key, offset: None
    )
    archive.stray(Ended(lost.key, State.SUCCESS, 6, 50, 0, data='{"a":1}'))
    running = asyncio.create_task(archive.run())
    assert await asyncio.wait_for(told.get(), 10) == [lost.key]
    found = await history.get(*lost.key)
    assert found is not None
    assert (found.state, found.finished, found.replaced) == (State.SUCCESS, 50, ("lost at 90: its node was gone",))
    running.cancel()
    await asyncio.wait([running])
