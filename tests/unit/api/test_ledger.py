"""Pages of executions that lie in two places: whatever lies where, the pages are the whole list, once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dkronpy.api.ledger import Ledger
from dkronpy.catalog.feed import Feed
from dkronpy.catalog.keys import Keys
from dkronpy.catalog.mirror import Held, Mirror
from dkronpy.history.contract import Query
from dkronpy.model.execution import Execution, State
from tests.support.memory_history import MemoryHistory
from tests.support.memory_store import MemoryStore

EXECUTIONS = st.lists(
    st.tuples(
        st.builds(
            Execution,
            job=st.sampled_from(["a", "b"]),
            group=st.integers(1, 6),
            attempt=st.integers(1, 2),
            node=st.sampled_from(["n", "m"]),
            state=st.sampled_from([State.SUCCESS, State.RUNNING]),
        ),
        st.sampled_from(["store", "history", "both"]),
    ),
    max_size=25,
    unique_by=lambda placed: placed[0].key,
)


@given(EXECUTIONS, st.integers(1, 8), st.sampled_from([None, "a"]))
async def test_pages_are_the_whole_list(placed: list[tuple[Execution, str]], limit: int, job: str | None) -> None:
    mirror = Mirror(MemoryStore(), Keys("k"))
    history = MemoryHistory()
    await history.open()
    for execution, place in placed:
        if place != "history":
            mirror.runs.setdefault(execution.job, {})[execution.key] = Held(execution, 1)
        if place != "store":
            await history.write([execution], [])
    ledger = Ledger(mirror, history, Feed())
    query = Query(job=job)
    expected = sorted(
        (execution for execution, _ in placed if job in (None, execution.job)),
        key=lambda e: (-e.group, -e.attempt, e.node, e.job),
    )
    seen: list[Execution] = []
    cursor: str | None = None
    while True:
        page, cursor = await ledger.page(query, limit=limit, cursor=cursor)
        seen += page
        if cursor is None:
            break
        assert len(page) == limit
    assert seen == expected
    finished = [execution for execution, _ in placed if job in (None, execution.job)]
    twice = sum(
        place == "both" and execution.state is State.RUNNING
        for execution, place in placed
        if job in (None, execution.job)
    )
    assert await ledger.count(query) == len(finished) + twice
