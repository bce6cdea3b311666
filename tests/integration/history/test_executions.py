"""Recording, finding and counting executions, on every history."""

from __future__ import annotations

import asyncio
import itertools

import msgspec
import pytest

from dkronpy.history.contract import DayCount, History, Query
from dkronpy.model.execution import Execution, State, Trigger
from tests.integration.history.conftest import DAY, SECOND, T0, idle, piece, ran

FULL_RECORD = Execution(
    job="job-ä",
    group=T0,
    attempt=2,
    node="node-1",
    state=State.FAILED,
    reason="",
    trigger=Trigger.MANUAL,
    fire=T0,
    decided=T0 + 1,
    not_before=T0 + 2,
    started=T0 + 3,
    finished=T0 + 4,
    exit_code=137,
    error="killed \x00 'quoted'",
    epoch=7,
    spool="abc",
    env={"A": "1", "ü": ""},
    output_size=3,
    output_sha256="00" * 32,
    replaced=("lost at 5: gone",),
)


async def everything(history: History, query: Query, page: int) -> list[Execution]:
    """All pages of a query, one after the other."""
    found: list[Execution] = []
    cursor = None
    while True:
        part = await history.query(query, limit=page, cursor=cursor)
        assert len(part.executions) <= page
        found += part.executions
        if part.cursor is None:
            return found
        assert len(part.executions) == page
        cursor = part.cursor


def in_order(executions: list[Execution]) -> list[Execution]:
    return sorted(executions, key=lambda e: (-e.group, -e.attempt, e.node, e.job))


async def test_empty(history: History) -> None:
    assert await history.get("a", T0, 1, "n1") is None
    assert (await history.query(Query())).executions == ()
    assert (await history.query(Query())).cursor is None
    assert await history.count(Query()) == 0
    assert await history.delete("a", until=T0) == 0
    await history.write([], [])
    assert await history.count(Query()) == 0


async def test_a_record_comes_back_whole(history: History) -> None:
    summary = idle("job-ä", T0 - 1, last=T0 + 9, count=5)
    await history.write([FULL_RECORD, summary], [])
    assert await history.get(*FULL_RECORD.key) == FULL_RECORD
    assert await history.get(*summary.key) == summary
    assert (await history.query(Query())).executions == (FULL_RECORD, summary)


async def test_the_key_is_all_four_parts(history: History) -> None:
    keys = list(itertools.product(("a", "a-b", "A"), (T0, T0 + 1), (1, 2), ("n1", "n2")))
    written = [ran(job, group, attempt=attempt, node=node) for job, group, attempt, node in keys]
    await history.write(written, [])
    assert await history.count(Query()) == len(keys)
    for execution in written:
        assert await history.get(*execution.key) == execution
    assert await history.get("a", T0, 3, "n1") is None
    assert await history.get("b", T0, 1, "n1") is None


@pytest.mark.parametrize("old", State)
@pytest.mark.parametrize("new", State)
async def test_which_record_wins(history: History, old: State, new: State) -> None:
    first, second = ran("a", T0, old, error="first"), ran("a", T0, new, error="second")
    await history.write([first], [])
    await history.write([second], [])
    loses = old.final and (not new.final or (new is State.LOST and old is not State.LOST))
    assert await history.get(*first.key) == (first if loses else second)
    assert (await history.query(Query(job="a", states=frozenset({old})))).executions == (
        (first,) if loses else (second,) if old is new else ()
    )


async def test_the_last_of_a_key_in_one_write_wins(history: History) -> None:
    await history.write([ran("a", T0, State.RUNNING), ran("a", T0, State.LOST), ran("a", T0, State.FAILED)], [])
    assert [e.state for e in (await history.query(Query())).executions] == [State.FAILED]
    assert await history.stats(1, today="2023-11-14") == [DayCount("2023-11-14", 0, 1)]


async def test_the_same_write_twice_changes_nothing(history: History) -> None:
    written = [ran("a", T0), ran("a", T0 + 1, State.LOST), idle("a", T0 + 2), ran("b", T0, State.RUNNING)]
    await history.write(written, [])
    stats = await history.stats(3, today="2023-11-15")
    await history.write(written, [])
    await history.write(written, [])
    assert sorted((await history.query(Query())).executions, key=lambda e: e.key) == sorted(
        written, key=lambda e: e.key
    )
    assert await history.stats(3, today="2023-11-15") == stats


async def test_order_and_pages_under_every_condition(history: History) -> None:
    states = itertools.cycle((State.SUCCESS, State.FAILED, State.SUCCESS, State.KILLED))
    written = [
        ran(job, T0 + group, next(states), attempt=attempt, node=node)
        for job, group, attempt, node in itertools.product(("a", "a-b", "b"), range(4), (1, 2), ("n1", "n2", "n3"))
    ]
    written += [idle(job, T0 + group, state=State.MISSED) for job in ("a", "b") for group in (4, 5)]
    await history.write(written[::-1], [])
    conditions = itertools.product(
        (None, "a", "b"),
        (None, T0 + 2),
        (None, frozenset({State.SUCCESS}), frozenset({State.FAILED, State.MISSED, State.RUNNING})),
        (None, "n2", ""),
        ((None, None), (T0 + 1, T0 + 4)),
    )
    for job, group, chosen, node, (since, until) in conditions:
        query = Query(job=job, group=group, states=chosen, node=node, since=since, until=until)
        expected = in_order(
            [
                e
                for e in written
                if (job is None or e.job == job)
                and (group is None or e.group == group)
                and (chosen is None or e.state in chosen)
                and (node is None or e.node == node)
                and (since is None or e.group >= since)
                and (until is None or e.group <= until)
            ]
        )
        assert await history.count(query) == len(expected), query
        assert await everything(history, query, 7) == expected, query
    for page in (1, 76, 77):
        assert await everything(history, Query(), page) == in_order(written)


async def test_no_states_match_nothing(history: History) -> None:
    await history.write([ran("a", T0)], [])
    nothing = Query(states=frozenset())
    assert (await history.query(nothing)).executions == ()
    assert await history.count(nothing) == 0


async def test_bounds_beyond_every_time(history: History) -> None:
    await history.write([ran("a", T0)], [])
    assert await history.count(Query(since=-(10**30), until=10**30)) == 1
    assert len((await history.query(Query(since=-(10**30), until=10**30))).executions) == 1
    assert (await history.query(Query(group=10**30))).executions == ()
    assert await history.count(Query(since=10**30)) == 0
    assert await history.count(Query(job="a", until=-(10**30))) == 0


async def test_a_cursor_is_stable_while_newer_ones_arrive(history: History) -> None:
    await history.write([ran("a", T0 + n) for n in range(10)], [])
    first = await history.query(Query(job="a"), limit=4)
    await history.write([ran("a", T0 + n) for n in range(10, 20)], [])
    second = await history.query(Query(job="a"), limit=4, cursor=first.cursor)
    assert [e.group - T0 for e in second.executions] == [5, 4, 3, 2]
    await history.delete("a", until=T0 + 2)
    assert (await history.query(Query(job="a"), limit=4, cursor=second.cursor)).executions == ()


@pytest.mark.parametrize("cursor", ["", "x", "é", "AAAA", "a b", "lKFh", "k" * 5000, "zwAAAAAAAAAA", "==="])
async def test_a_cursor_that_is_not_ours(history: History, cursor: str) -> None:
    await history.write([ran("a", T0)], [])
    with pytest.raises(ValueError, match="not a cursor"):
        await history.query(Query(), cursor=cursor)


async def test_a_page_of_nothing_is_refused(history: History) -> None:
    with pytest.raises(ValueError, match="limit"):
        await history.query(Query(), limit=0)


async def test_what_is_new_among_what_is_there(history: History) -> None:
    """In one write: records and output that are new, that are there, that are replaced and that stay, each counted
    once."""
    runs = [ran("a", T0 + n) for n in range(5)]
    lost = [msgspec.structs.replace(run, state=State.LOST) for run in runs]
    await history.write([runs[0], lost[1]], [piece(runs[0], 0, b"first"), piece(runs[1], 4, b"late")])
    await history.write(
        [lost[0], runs[1], lost[2], runs[2], runs[3], lost[3], runs[4], runs[4]],
        [piece(run, 0, f"text{n}".encode()) for n, run in enumerate(runs)],
    )
    assert list((await history.query(Query())).executions) == runs[::-1]
    assert await history.stats(1, today="2023-11-14") == [DayCount("2023-11-14", 5, 0)]
    found = await history.outputs([run.key for run in runs], tail=100)
    texts = [found[run.key].data for run in runs]
    assert texts == [b"first", b"textlate", b"text2", b"text3", b"text4"]


async def test_days_count_what_finished_on_them(history: History) -> None:
    today = "2023-11-14"
    midnight = (T0 // DAY + 1) * DAY
    finals = [state for state in State if state.final]
    await history.write([ran("a", T0 + n, state) for n, state in enumerate(finals)], [])
    assert await history.stats(1, today=today) == [DayCount(today, 1, 4)]
    await history.write([ran("b", T0, finished=midnight - 1), ran("b", T0 + 1, finished=midnight)], [])
    await history.write([ran("b", T0 + 2, State.RUNNING), idle("b", T0 + 3)], [])
    assert await history.stats(4, today="2023-11-15") == [
        DayCount("2023-11-12", 0, 0),
        DayCount("2023-11-13", 0, 0),
        DayCount(today, 2, 4),
        DayCount("2023-11-15", 1, 0),
    ]
    assert await history.stats(0, today=today) == []
    await history.delete("a", until=midnight)
    await history.delete("b", until=midnight)
    assert await history.stats(1, today=today) == [DayCount(today, 2, 4)]


async def test_a_true_report_corrects_the_day_of_a_lost_run(history: History) -> None:
    lost = ran("a", T0, State.LOST, finished=T0)
    await history.write([lost], [])
    assert await history.stats(2, today="2023-11-15") == [DayCount("2023-11-14", 0, 1), DayCount("2023-11-15", 0, 0)]
    await history.write([msgspec.structs.replace(lost, state=State.SUCCESS, finished=T0 + DAY)], [])
    corrected = [DayCount("2023-11-14", 0, 0), DayCount("2023-11-15", 1, 0)]
    assert await history.stats(2, today="2023-11-15") == corrected
    await history.write([lost], [])
    assert await history.stats(2, today="2023-11-15") == corrected


@pytest.mark.parametrize("today", ["", "2023-13-01", "today"])
async def test_a_day_that_is_none(history: History, today: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- whatever it says
        await history.stats(1, today=today)


async def test_delete_is_of_exactly_one_job_up_to_a_time(history: History) -> None:
    names = ("a", "a-b", "A", "ab", "a%", "_", "a_")
    await history.write([ran(job, T0 + n) for job in names for n in range(5)], [])
    assert await history.delete("a", until=T0 + 2) == 3
    assert [e.group - T0 for e in (await history.query(Query(job="a"))).executions] == [4, 3]
    assert await history.delete("a_", until=T0 + 99) == 5
    assert await history.delete("none", until=T0) == 0
    assert await history.count(Query()) == 5 * 7 - 3 - 5


async def test_requests_for_later_that_were_cancelled_go_with_their_job(history: History) -> None:
    """Those of a job of the same name that came after it stay."""
    later = T0 + DAY
    cancelled = [Execution("a", later + n, state=State.SKIPPED, decided=T0 + n, finished=T0 + n) for n in range(4)]
    await history.write([*cancelled, ran("a", later), ran("a", T0)], [])
    assert await history.delete("a", until=T0 + 2) == 3
    assert [(e.group - later, e.attempt) for e in (await history.query(Query(job="a"))).executions] == [
        (3, 0),
        (2, 0),
        (0, 1),
    ]


async def test_delete_of_many(history: History) -> None:
    for start in range(0, 1250, 250):
        await history.write([ran("a", T0 + start + n) for n in range(250)], [])
    await history.write([ran("b", T0)], [])
    assert await history.delete("a", until=T0 + 1239) == 1240
    assert await history.count(Query()) == 11


async def test_many_tasks_at_once(history: History) -> None:
    async def client(number: int) -> None:
        for n in range(20):
            execution = ran(f"job{number % 4}", T0 + n, node=f"n{number}")
            await history.write([execution], [])
            assert await history.get(*execution.key) == execution

    await asyncio.gather(*(client(number) for number in range(16)))
    assert await history.count(Query()) == 320
    assert (await history.stats(1, today="2023-11-14"))[0].success == 320


async def test_a_cancelled_writer_hurts_nobody(history: History) -> None:
    tasks = [asyncio.ensure_future(history.write([ran("a", T0 + n)], [])) for n in range(40)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(result is None for result in results[1::2])
    await history.write([ran("a", T0 + SECOND)], [])
    kept = {e.group for e in (await history.query(Query(job="a"))).executions}
    assert kept >= {T0 + n for n in range(1, 40, 2)} | {T0 + SECOND}
