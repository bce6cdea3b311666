"""What the leader writes to the history."""

from __future__ import annotations

import asyncio

import pytest

from dkronpy.catalog.feed import Feed
from dkronpy.dispatch.archive import Archive
from dkronpy.model.checks import CheckStatus
from dkronpy.model.execution import Execution, State
from dkronpy.model.run import Ended, Key
from dkronpy.scheduling.groups import lost
from tests.support.memory_history import MemoryHistory


async def test_a_true_report_replaces_a_lost_run_that_has_left_the_store() -> None:
    history = MemoryHistory()
    await history.open()
    gone = Execution("job", 5, 1, "n1", State.LOST, fire=5, finished=90, error="its node was gone")
    await history.write([gone], [])
    told = asyncio.Queue[list[Key]]()
    archive = Archive(
        history, Feed(), archived=lambda _: None, recorded=told.put_nowait, stored=lambda key, offset: None
    )
    archive.stray(Ended(gone.key, State.SUCCESS, 6, 50, 0, data='{"a":1}'))
    running = asyncio.create_task(archive.run())
    assert await asyncio.wait_for(told.get(), 10) == [gone.key]
    found = await history.get(*gone.key)
    assert found is not None
    assert (found.state, found.finished, found.replaced) == (State.SUCCESS, 50, ("lost at 90: its node was gone",))
    running.cancel()
    await asyncio.wait([running])


@pytest.mark.parametrize("check", [False, True])
async def test_a_late_report_of_a_check_tells_what_it_found(check: bool) -> None:
    history = MemoryHistory()
    await history.open()
    given_up = lost(Execution("job", 5, 1, "n1", State.RUNNING), 90, "its node was gone", check=check)
    assert given_up.check is (CheckStatus.UNKNOWN if check else CheckStatus.NONE)
    await history.write([given_up], [])
    told = asyncio.Queue[list[Key]]()
    archive = Archive(
        history, Feed(), archived=lambda _: None, recorded=told.put_nowait, stored=lambda key, offset: None
    )
    archive.stray(Ended(given_up.key, State.FAILED, 6, 50, 1))
    running = asyncio.create_task(archive.run())
    assert await asyncio.wait_for(told.get(), 10) == [given_up.key]
    found = await history.get(*given_up.key)
    assert found is not None
    assert found.check is (CheckStatus.WARNING if check else CheckStatus.NONE)
    running.cancel()
    await asyncio.wait([running])
