"""What is kept, on every history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from dkronpy.history.contract import NONE_OWN, DayCount, History, Query, Retention
from dkronpy.model.execution import Execution, State
from tests.integration.history.conftest import DAY, SECOND, T0, idle, piece, ran

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.integration.history.conftest import Make

NOW = T0 + DAY


async def prune(
    history: History,
    retention: int | Retention = 1000,
    own: Mapping[str, Retention] = NONE_OWN,
    age: int | None = None,
    batch: int = 1000,
) -> int:
    """Prune until nothing is left to do; the number of batches."""
    default = Retention(retention, age) if isinstance(retention, int) else retention
    batches = 1
    while await history.prune(default, own=own, now=NOW, batch=batch):
        batches += 1
        assert batches < 10_000, "pruning never ends"
    return batches


async def kept(history: History, job: str) -> list[int]:
    """The job's groups, counted from T0."""
    return [e.group - T0 for e in (await history.query(Query(job=job), limit=10_000)).executions]


def summary(first: int, last: int, count: int, reason: str = "overlap", state: State = State.SKIPPED) -> Execution:
    """What remains of `count` fires that did not run."""
    return idle("a", T0 + first, reason, state, last=T0 + last, count=count)


def gist(execution: Execution) -> tuple[int, int, int, str, str]:
    last = max(execution.group, execution.last)
    return execution.group - T0, last - T0, execution.count, execution.reason, execution.state


async def gists(history: History, job: str = "a") -> list[tuple[int, int, int, str, str]]:
    return [gist(e) for e in (await history.query(Query(job=job), limit=10_000)).executions]


async def test_the_newest_groups_of_each_job(history: History) -> None:
    await history.write([ran(job, T0 + n) for job in ("a", "a-b", "b") for n in range(20)], [])
    await history.write([ran("c", T0)], [])
    await prune(history, 15)
    for job in ("a", "a-b", "b"):
        assert await kept(history, job) == list(range(19, 4, -1))
    assert await kept(history, "c") == [0]
    await history.write([ran("a", T0 + 20), ran("a", T0 + 21)], [])
    await prune(history, 15)
    assert await kept(history, "a") == list(range(21, 6, -1))
    await prune(history, 3)
    assert await kept(history, "b") == [19, 18, 17]
    await prune(history, 0)
    assert await history.count(Query()) == 0


async def test_groups_count_not_executions(history: History) -> None:
    nodes, attempts = ("n1", "n2", "n3"), (1, 2)
    runs = [ran("a", T0 + n, node=node, attempt=k) for n in range(5) for node in nodes for k in attempts]
    await history.write(runs, [piece(run, 0, b"x") for run in runs])
    await prune(history, 2)
    assert await kept(history, "a") == [4] * 6 + [3] * 6
    found = await history.outputs([run.key for run in runs], tail=1)
    assert [key[1] - T0 for key, output in found.items() if output.data] == [3] * 6 + [4] * 6


async def test_small_batches(history: History) -> None:
    await history.write([ran("a", T0 + n, node=node) for n in range(20) for node in ("n1", "n2", "n3")], [])
    await history.write([ran(f"job{n}", T0) for n in range(30)], [])
    assert await prune(history, 5, batch=4) >= 45 // 4
    assert await kept(history, "a") == [n for n in range(19, 14, -1) for _ in range(3)]
    assert await history.count(Query()) == 45


async def test_those_that_ran_and_those_that_did_not_are_counted_apart(history: History) -> None:
    await history.write([ran("a", T0 + 2 * n) for n in range(6)], [])
    await history.write([idle("a", T0 + 2 * n + 1, f"reason{n}") for n in range(6)], [])
    await prune(history, 4)
    assert await history.count(Query(states=frozenset({State.SUCCESS}))) == 4
    # Reasons differ, so nothing can be joined.
    assert await kept(history, "a") == [11, 10, 9, 8, 7, 6, 5, 4, 3, 1]


async def test_fires_that_did_not_run_become_one_record(history: History) -> None:
    await history.write([idle("a", T0 + n) for n in range(10)], [])
    await prune(history, 4)
    assert await gists(history) == [
        *[(n, n, 1, "overlap", "skipped") for n in (9, 8, 7, 6)],
        (0, 5, 6, "overlap", "skipped"),
    ]
    await history.write([idle("a", T0 + n) for n in range(10, 13)], [])
    await prune(history, 4)
    assert (await gists(history))[-1] == (0, 8, 9, "overlap", "skipped")
    assert (await history.get("a", T0, 0, "")).trigger == "schedule"  # pyright: ignore[reportOptionalMemberAccess]
    assert await history.get("a", T0 + 3, 0, "") is None


async def test_one_record_for_each_reason_and_state(history: History) -> None:
    fires = [idle("a", T0 + n, "overlap") for n in range(3)]
    fires += [idle("a", T0 + n, "paused") for n in range(3, 5)]
    fires += [idle("a", T0 + n, "paused", State.MISSED) for n in range(5, 8)]
    fires += [idle("a", T0 + n, "overlap") for n in range(8, 10)]
    await history.write(fires, [])
    await prune(history, 0)
    assert await gists(history) == [
        (8, 9, 2, "overlap", "skipped"),
        (5, 7, 3, "paused", "missed"),
        (3, 4, 2, "paused", "skipped"),
        (0, 2, 3, "overlap", "skipped"),
    ]
    assert await history.count(Query(states=frozenset({State.SKIPPED}))) == 3


async def test_a_run_in_between_keeps_them_apart_for_as_long_as_it_is_kept(history: History) -> None:
    await history.write([idle("a", T0 + n) for n in (0, 1, 3, 4, 6)] + [ran("a", T0 + n) for n in (2, 5)], [])
    await prune(history, 1, batch=2)
    assert await gists(history) == [
        (6, 6, 1, "overlap", "skipped"),
        (5, 5, 1, "", "success"),
        (0, 4, 4, "overlap", "skipped"),
    ]
    await history.write([ran("a", T0 + 7)], [])
    await prune(history, 1)
    await history.write([idle("a", T0 + 8)], [])
    await prune(history, 1)
    assert await gists(history) == [
        (8, 8, 1, "overlap", "skipped"),
        (7, 7, 1, "", "success"),
        (0, 6, 5, "overlap", "skipped"),
    ]


async def test_what_is_left_joins_when_what_was_between_goes(history: History) -> None:
    await history.write([idle("a", T0 + n) for n in (0, 1, 3, 4, 20)] + [ran("a", T0 + 2)], [])
    await prune(history, 1)
    assert [(first, last) for first, last, *_ in await gists(history)] == [(20, 20), (3, 4), (2, 2), (0, 1)]
    await history.write([ran("a", T0 + 30)], [])
    await prune(history, 1)
    assert await gists(history) == [
        (30, 30, 1, "", "success"),
        (20, 20, 1, "overlap", "skipped"),
        (0, 4, 4, "overlap", "skipped"),
    ]


async def test_what_is_left_joins_when_another_reason_between_gets_too_old(history: History) -> None:
    paused = msgspec.structs.replace(idle("a", T0 + 1, "paused"), decided=T0 - DAY)
    await history.write([idle("a", T0), paused, idle("a", T0 + 2), idle("a", T0 + 3)], [])
    await prune(history, 1)
    assert [(first, last) for first, last, *_ in await gists(history)] == [(3, 3), (2, 2), (1, 1), (0, 0)]
    await prune(history, 1, age=DAY + 1)
    assert [(first, last) for first, last, *_ in await gists(history)] == [(3, 3), (0, 2)]


async def test_what_gets_the_reason_of_its_neighbours_joins_them(history: History) -> None:
    await history.write([idle("a", T0), idle("a", T0 + 1, "paused"), idle("a", T0 + 2), idle("a", T0 + 3)], [])
    await prune(history, 1)
    await history.write([idle("a", T0 + 1)], [])
    assert await gists(history) == [(3, 3, 1, "overlap", "skipped"), (0, 2, 3, "overlap", "skipped")]


async def test_deleting_what_became_one_record_leaves_the_others_counted(history: History) -> None:
    await history.write([idle("a", T0 + n) for n in range(10)], [])
    await prune(history, 4)
    assert await history.delete("a", until=T0 + 5) == 1
    await history.write([idle("a", T0 + n) for n in range(10, 14)], [])
    await prune(history, 4)
    assert await kept(history, "a") == [13, 12, 11, 10, 6]


async def test_records_of_several_fires_join_too(history: History) -> None:
    await history.write([summary(0, 50, 40), summary(60, 70, 3), idle("a", T0 + 80), idle("a", T0 + 90)], [])
    await prune(history, 1)
    assert await gists(history) == [(90, 90, 1, "overlap", "skipped"), (0, 80, 44, "overlap", "skipped")]


async def test_what_became_one_record_is_not_recorded_again(history: History) -> None:
    fires = [idle("a", T0 + n) for n in range(10)]
    await history.write(fires, [])
    await prune(history, 2)
    before = await gists(history)
    for fire in fires:
        await history.write([fire], [])
        assert await gists(history) == before
    await history.write(fires, [])
    await prune(history, 2)
    assert await gists(history) == before


async def test_a_late_fire_joins_its_neighbours(history: History) -> None:
    await history.write([idle("a", T0 + n) for n in (0, 1, 5, 6, 7)] + [idle("a", T0 + 3, "paused")], [])
    await prune(history, 1)
    assert await gists(history) == [
        (7, 7, 1, "overlap", "skipped"),
        (5, 6, 2, "overlap", "skipped"),
        (3, 3, 1, "paused", "skipped"),
        (0, 1, 2, "overlap", "skipped"),
    ]
    await history.write([idle("a", T0 + 4), idle("a", T0 + 2)], [])
    assert await gists(history) == [
        (7, 7, 1, "overlap", "skipped"),
        (4, 6, 3, "overlap", "skipped"),
        (3, 3, 1, "paused", "skipped"),
        (0, 2, 3, "overlap", "skipped"),
    ]


async def test_age(history: History) -> None:
    runs = [
        ran("a", T0, finished=NOW - DAY - 1),
        ran("a", T0 + 1, finished=NOW - DAY),
        ran("a", T0 + 2, State.RUNNING),
        ran("b", T0 - DAY, State.LOST, finished=NOW - 1),
        ran("b", T0 - 1, finished=T0 - 1),
    ]
    await history.write([*runs, idle("a", T0 - 5), summary(-9, 9, 3, "paused")], [])
    await prune(history, age=DAY)
    assert await kept(history, "a") == [2, 1]
    assert await kept(history, "b") == [-DAY]
    assert await history.stats(2, today="2023-11-15") == [DayCount("2023-11-14", 3, 0), DayCount("2023-11-15", 0, 1)]


async def test_age_in_small_batches(history: History) -> None:
    runs = [ran("a", T0 + n, node=node) for n in range(12) for node in ("n1", "n2")]
    await history.write(runs, [piece(run, 0, b"x") for run in runs])
    assert await prune(history, age=DAY - SECOND - 9, batch=5) == 4
    assert await kept(history, "a") == [11, 11, 10, 10, 9, 9]
    assert sum(len(output.data) for output in (await history.outputs([r.key for r in runs], tail=9)).values()) == 6


async def test_a_record_of_several_is_as_old_as_its_newest_fire(history: History) -> None:
    fires = [msgspec.structs.replace(idle("a", T0 + n), decided=NOW - 10 + n) for n in range(4)]
    await history.write(fires, [])
    await prune(history, 1)
    assert await gists(history) == [(3, 3, 1, "overlap", "skipped"), (0, 2, 3, "overlap", "skipped")]
    await prune(history, 1, age=8)
    assert len(await gists(history)) == 2
    await prune(history, 1, age=7)
    assert await gists(history) == [(3, 3, 1, "overlap", "skipped")]


async def test_counting_goes_on_after_deleting_and_replacing(history: History) -> None:
    await history.write([ran("a", T0 + n, node=node) for n in range(10) for node in ("n1", "n2")], [])
    await history.write([idle("a", T0 + 100 + n) for n in range(10)], [])
    await history.delete("a", until=T0 + 4)
    await history.write([ran("a", T0 + 9, State.FAILED, node="n3")], [])
    await prune(history, 5)
    assert await kept(history, "a") == [
        *range(109, 104, -1),
        100,
        *(n for n in range(9, 4, -1) for _ in range(2 + (n == 9))),
    ]
    await history.delete("a", until=T0 + 107)
    await history.write([ran("a", T0 + 200 + n) for n in range(5)] + [idle("a", T0 + 300 + n) for n in range(3)], [])
    await prune(history, 5)
    assert await kept(history, "a") == [302, 301, 300, 204, 203, 202, 201, 200, 109, 108]


async def test_a_fire_that_was_to_run_and_then_did_not(history: History) -> None:
    queued = Execution(job="a", group=T0, state=State.QUEUED)
    await history.write([queued, ran("a", T0 + 1), ran("a", T0 + 2)], [])
    await history.write([idle("a", T0), idle("a", T0 + 3)], [])
    await prune(history, 2)
    assert await kept(history, "a") == [3, 2, 1, 0]
    await prune(history, 1)
    assert await gists(history) == [
        (3, 3, 1, "overlap", "skipped"),
        (2, 2, 1, "", "success"),
        (0, 0, 1, "overlap", "skipped"),
    ]


async def test_fires_that_were_to_run_and_then_did_not_become_one_record(history: History) -> None:
    await prune(history)
    await history.write([Execution(job="a", group=T0 + n, state=State.QUEUED) for n in range(4)], [])
    await history.write([idle("a", T0 + n) for n in range(4)], [])
    await prune(history, 1)
    assert await gists(history) == [(3, 3, 1, "overlap", "skipped"), (0, 2, 3, "overlap", "skipped")]


async def test_a_new_instance_prunes_what_an_earlier_one_wrote(make: Make) -> None:
    async with make() as history:
        await history.write([ran("a", T0 + n) for n in range(9)], [])
        await history.close()
        await history.open()
        await prune(history, 4)
        assert await kept(history, "a") == [8, 7, 6, 5]


async def test_failures_are_kept_longer(history: History) -> None:
    runs = [ran("a", T0 + n, State.FAILED if n % 2 else State.SUCCESS) for n in range(20)]
    await history.write(runs, [])
    await prune(history, Retention(4, failed_count=6))
    assert await kept(history, "a") == [19, 18, 17, 16, 15, 13, 11, 9]
    await prune(history, Retention(age=DAY - SECOND - 18, failed_age=DAY - SECOND - 12))
    assert await kept(history, "a") == [19, 18, 17, 15, 13]
    await prune(history, Retention(3))
    assert await kept(history, "a") == [19, 18, 17]


async def test_size(history: History) -> None:
    await history.write([ran("a", T0 + n, output_size=100 if n < 18 else 0) for n in range(20)], [])
    await history.write([ran("b", T0 + n, output_size=10_000_000) for n in range(3)], [])
    await prune(history, Retention(size=550))
    assert await kept(history, "a") == [19, 18, 17, 16, 15, 14, 13]
    assert await kept(history, "b") == [2]


async def test_a_job_has_its_own(history: History) -> None:
    await history.write([ran(job, T0 + n) for job in ("a", "a-b", "b") for n in range(9)], [])
    await prune(history, Retention(6), {"a": Retention(2), "b": Retention(9)})
    assert [await kept(history, job) for job in ("a", "a-b", "b")] == [
        [8, 7],
        [8, 7, 6, 5, 4, 3],
        list(range(8, -1, -1)),
    ]
    await prune(history, Retention(6), {"a-b": Retention(1)})
    assert [await kept(history, job) for job in ("a", "a-b", "b")] == [[8, 7], [8], [8, 7, 6, 5, 4, 3]]


async def test_what_gets_too_old_goes_when_it_does(history: History) -> None:
    await history.write([ran("a", T0 + n) for n in range(5)], [])
    for late in range(5):
        while await history.prune(Retention(age=DAY), now=T0 + DAY + SECOND + late):
            pass
        assert await kept(history, "a") == list(range(4, late - 1, -1))
