"""Executions and their output over HTTP, as a leader's writes make them."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient

from dkronpy.model.execution import Execution, State, Trigger
from dkronpy.store.contract import Delete
from tests.integration.api.conftest import NOW, SECOND, create, events, problem
from tests.support.api_node import NODE, ApiNode


def ran(
    group: int, state: State = State.SUCCESS, *, job: str = "job1", attempt: int = 1, node: str = NODE
) -> Execution:
    over = state.final
    return Execution(
        job,
        group,
        attempt,
        node,
        state,
        fire=group,
        decided=group + 1000,
        started=group + 2000,
        finished=group + SECOND if over else None,
        exit_code=0 if state is State.SUCCESS else 3 if over else None,
        epoch=4,
        output_size=5 if over else 0,
    )


async def listed(api: TestClient, path: str) -> list[dict[str, Any]]:
    async with api.get(path) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_shape(node: ApiNode, api: TestClient) -> None:
    await create(api)
    await node.finish(msgspec.structs.replace(ran(NOW), return_data='{"rows":5}'), b"fine\n")
    expected = {
        "id": f"{NOW}-1-{NODE}",
        "job_name": "job1",
        "started_at": "2026-11-18T11:06:40.000002Z",
        "finished_at": "2026-11-18T11:06:41Z",
        "success": True,
        "output": "fine\n",
        "node_name": NODE,
        "group": NOW,
        "attempt": 1,
        "output_truncated": False,
        "state": "success",
        "fire_time": "2026-11-18T11:06:40Z",
        "decided_at": "2026-11-18T11:06:40.000001Z",
        "not_before": None,
        "reason": "",
        "trigger": "schedule",
        "trigger_type": "schedule",
        "trigger_description": "",
        "trigger_data": None,
        "triggered_by": "",
        "triggered_at": None,
        "exit_code": 0,
        "error": "",
        "epoch": 4,
        "output_size": 5,
        "output_sha256": "",
        "return_data": {"rows": 5},
        "check": "",
        "last_fire_time": None,
        "count": 1,
        "replaced": [],
        "env": {},
        "concurrency_group": "",
        "parents": [],
    }
    assert await listed(api, "/v1/jobs/job1/executions") == [expected]
    assert await listed(api, "/v1/executions") == [expected]
    async with api.get(f"/v1/jobs/job1/executions/{NOW}-1-{NODE}") as response:
        assert await response.json() == expected
    for execution in (f"{NOW}-2-{NODE}", "x", f"{NOW}", "9" * 400, f"-{NOW}-1-{NODE}"):
        await problem(await api.get(f"/v1/jobs/job1/executions/{execution}"), 404)
    await problem(await api.get("/v1/jobs/nobody/executions"), 404)


async def test_success_is_always_there_and_unfinished_times_are_null(node: ApiNode, api: TestClient) -> None:
    await create(api)
    await node.fly(ran(NOW, State.RUNNING))
    (found,) = await listed(api, "/v1/jobs/job1/executions")
    assert (found["success"], found["finished_at"], found["exit_code"], found["state"]) == (
        False,
        None,
        None,
        "running",
    )


async def test_in_flight_and_finished_are_merged_once_each(node: ApiNode, api: TestClient) -> None:
    await create(api)
    await node.finish(ran(NOW), b"old")
    await node.fly(ran(NOW + 1, State.RUNNING))
    await node.history.write([ran(NOW + 2, State.FAILED)], [])  # in both: not yet removed from the store
    await node.fly(ran(NOW + 2, State.RUNNING))
    await node.history.write([ran(NOW + 3, State.LOST)], [])
    await node.fly(ran(NOW + 3, State.SUCCESS))
    found = await listed(api, "/v1/jobs/job1/executions")
    assert [(e["group"] - NOW, e["state"]) for e in found] == [
        (3, "success"),
        (2, "failed"),
        (1, "running"),
        (0, "success"),
    ]


async def test_filters_order_and_pages(node: ApiNode, api: TestClient) -> None:
    await create(api)
    await create(api, "job2")
    groups = [NOW + n * SECOND for n in range(10)]
    for group in groups[:7]:
        await node.finish(ran(group), b"x")
    await node.finish(ran(groups[2], State.FAILED, node="other"))
    await node.finish(ran(groups[2], attempt=2, node="other"))
    for group in groups[7:]:
        await node.fly(ran(group, State.RUNNING))
    await node.fly(ran(groups[3], State.QUEUED, attempt=2))
    await node.finish(ran(groups[5], job="job2"))

    async def ids(path: str) -> list[str]:
        return [f"{(e['group'] - NOW) // SECOND}.{e['attempt']}{e['node_name'][0]}" for e in await listed(api, path)]

    job = "/v1/jobs/job1/executions"
    everything = [
        "9.1n",
        "8.1n",
        "7.1n",
        "6.1n",
        "5.1n",
        "4.1n",
        "3.2n",
        "3.1n",
        "2.2o",
        "2.1n",
        "2.1o",
        "1.1n",
        "0.1n",
    ]
    assert await ids(job) == everything
    assert await ids(f"{job}?status=failed,queued") == ["3.2n", "2.1o"]
    assert await ids(f"{job}?node=other") == ["2.2o", "2.1o"]
    assert await ids(f"{job}?group={groups[3]}") == ["3.2n", "3.1n"]
    assert await ids(f"{job}?since=2026-11-18T11:06:48Z") == ["9.1n", "8.1n"]
    assert await ids(f"{job}?until=2026-11-18T12:06:41%2B01:00") == ["1.1n", "0.1n"]
    assert await ids("/v1/executions?job=job2") == ["5.1n"]
    assert len(await ids("/v1/executions")) == 14
    for limit in (1, 2, 3, 5, 12, 13, 14):
        pages: list[list[str]] = []
        query = f"{job}?limit={limit}"
        while query:
            async with api.get(query) as response:
                assert response.headers["X-Total-Count"] == "13"
                pages.append(
                    [f"{(e['group'] - NOW) // SECOND}.{e['attempt']}{e['node_name'][0]}" for e in await response.json()]
                )
                cursor = response.headers.get("X-Next-Cursor")
            query = f"{job}?limit={limit}&cursor={cursor}" if cursor else ""
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        assert [id for page in pages for id in page] == everything
    for query, field in (
        ("limit=0", "limit"), ("limit=1001", "limit"), ("cursor=x", "cursor"), ("status=done", "status"),
        ("since=x", "since"), ("group=x", "group"), ("_sort=x", "_sort"), ("_order=x", "_order"),
        ("output_size_limit=-1", "output_size_limit"),
    ):  # fmt: skip
        await problem(await api.get(f"{job}?{query}"), 400, field)


async def test_sort_as_the_dashboard_asks(node: ApiNode, api: TestClient) -> None:
    await create(api)
    for second in range(3):
        await node.finish(ran(NOW + second * SECOND))
    path = "/v1/jobs/job1/executions?_sort={}&_order={}&output_size_limit=200"
    for sort in ("id", "started_at", "finished_at"):
        for order, expected in (("ASC", [0, 1, 2]), ("DESC", [2, 1, 0])):
            found = await listed(api, path.format(sort, order))
            assert [(e["group"] - NOW) // SECOND for e in found] == expected


@pytest.mark.parametrize(
    ("limit", "output", "truncated"),
    [("", "aäöü€\n", False), ("100", "aäöü€\n", False), ("11", "aäöü€\n", False), ("10", "äöü€\n", True),
     ("9", "öü€\n", True), ("4", "€\n", True), ("3", "\n", True), ("1", "\n", True), ("0", "", True)],
)  # fmt: skip
async def test_output_size_limit_keeps_the_tail_without_cutting_a_character(
    node: ApiNode, api: TestClient, limit: str, output: str, truncated: bool
) -> None:
    await create(api)
    await node.finish(ran(NOW), "aäöü€\n".encode())
    for path in ("/v1/jobs/job1/executions", f"/v1/jobs/job1/executions/{NOW}-1-{NODE}"):
        async with api.get(f"{path}?output_size_limit={limit}") as response:
            body = await response.json()
        found = body[0] if isinstance(body, list) else body
        assert (found["output"], found["output_truncated"]) == (output, truncated)


async def test_short_lists_hold_whole_outputs_and_long_ones_tails(node: ApiNode, api: TestClient) -> None:
    await create(api)
    await node.finish(ran(NOW), b"x" * 200_000)
    assert [len(e["output"]) for e in await listed(api, "/v1/executions")] == [200_000]
    assert [len(e["output"]) for e in await listed(api, "/v1/executions?limit=100")] == [200_000]
    assert [len(e["output"]) for e in await listed(api, "/v1/executions?limit=101")] == [10_000]
    (e,) = await listed(api, "/v1/executions?limit=1000&output_size_limit=100000000")
    assert (len(e["output"]), e["output_truncated"]) == ((64 << 20) // 1000, True)


async def test_output_as_bytes(node: ApiNode, api: TestClient) -> None:
    await create(api)
    data = bytes(range(256)) * 1500  # more than is kept
    await node.finish(ran(NOW), data)
    path = f"/v1/jobs/job1/executions/{NOW}-1-{NODE}/output"
    for offset, start in ((0, 128_000), (200_000, 200_000), (384_000, 384_000), (-100, 383_900)):
        async with api.get(f"{path}?offset={offset}") as response:
            assert response.content_type == "text/plain"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert await response.read() == data[start:]
            assert (response.headers["X-Output-Start"], response.headers["X-Output-Size"]) == (str(start), "384000")
    async with api.head(f"{path}?follow") as response:
        assert (response.status, await response.read()) == (200, b"")
    await problem(await api.get(f"{path}?offset=x"), 400, "offset")


async def test_follow_gives_every_byte_once_then_the_end(node: ApiNode, api: TestClient) -> None:
    await create(api)
    run = ran(NOW, State.RUNNING)
    await node.fly(run)
    whole = "line 1\nä€ line 2\nthe end ü".encode() + b"\xff"
    await node.grow(run, 0, whole[:3])
    async with api.get(f"/v1/jobs/job1/executions/{NOW}-1-{NODE}/output?follow=true") as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        assert response.headers["X-Whom"] == NODE

        async def produce() -> None:
            for end in range(4, len(whole) + 1):  # cuts every character
                await node.grow(run, end - 1, whole[end - 1 : end])
                await asyncio.sleep(0.001)
            over = ran(NOW, State.FAILED)
            await node.history.write([over], [])
            await node.write(Delete(node.keys.group("job1", NOW)))

        producer = asyncio.create_task(produce())
        text, following, data = "", 0, dict[str, Any]()
        async for event, data, id in events(response):
            if event == "end":
                break
            assert (event, data["offset"]) == ("output", following)
            text += data["data"]
            following = int(id)
        await producer
    assert text == whole.decode(errors="replace")
    assert following == len(whole)
    assert (data["state"], data["exit_code"], "output" in data) == ("failed", 3, False)
    async with api.get(
        f"/v1/jobs/job1/executions/{NOW}-1-{NODE}/output?follow", headers={"Last-Event-ID": "7"}
    ) as response:
        got = [(event, data.get("data")) async for event, data, _ in events(response)]
    assert ("".join(text for event, text in got if event == "output"), got[-1][0]) == (text[7:], "end")


async def test_follow_from_the_end_of_a_run_without_output_yet(node: ApiNode, api: TestClient) -> None:
    await create(api)
    run = ran(NOW, State.RUNNING)
    await node.fly(run)
    async with api.get(f"/v1/jobs/job1/executions/{NOW}-1-{NODE}/output?follow&offset=-5") as response:
        await response.content.readline()
        await node.grow(run, 0, b"0123456789")
        await node.fly(ran(NOW))
        got = [(event, data.get("data")) async for event, data, _ in events(response)]
    assert ("".join(text for event, text in got if event == "output"), got[-1][0]) == ("0123456789", "end")


async def test_kill(node: ApiNode, api: TestClient) -> None:
    await create(api)
    await node.fly(ran(NOW, State.RUNNING))
    async with api.post(f"/v1/jobs/job1/executions/{NOW}-1-{NODE}/kill") as response:
        assert (response.status, (await response.json())["state"]) == (200, "running")
    assert list(node.mirror.kills) == [("job1", NOW, 1, NODE)]
    await node.finish(ran(NOW, State.KILLED))
    assert "killed" in await problem(await api.post(f"/v1/jobs/job1/executions/{NOW}-1-{NODE}/kill"), 409)
    await problem(await api.post(f"/v1/jobs/job1/executions/{NOW}-7-{NODE}/kill"), 404)


async def test_busy(node: ApiNode, api: TestClient) -> None:
    await create(api)
    assert await listed(api, "/v1/busy") == []
    await node.fly(ran(NOW + 2, State.RUNNING))
    await node.fly(ran(NOW + 1, State.DISPATCHED))
    await node.fly(ran(NOW + 3, State.QUEUED))
    await node.fly(ran(NOW + 4, State.SUCCESS))
    async with api.get("/v1/busy") as response:
        assert response.headers["X-Total-Count"] == "2"
        assert [e["group"] - NOW for e in await response.json()] == [1, 2]


async def test_clear_waits_for_the_leader(node: ApiNode, api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await create(api)
    await node.state("job1", success_count=4)

    async def lead() -> None:
        seen = asyncio.Event()
        node.mirror.subscribe(lambda _: seen.set() if "job1" in node.mirror.clears else None)
        await seen.wait()
        await node.state("job1", success_count=0)
        await node.write(Delete(node.keys.clear("job1")))

    leader = asyncio.create_task(lead())
    async with api.delete("/v1/jobs/job1/executions") as response:
        assert (response.status, (await response.json())["success_count"]) == (200, 0)
    await leader
    monkeypatch.setattr("dkronpy.api.executions.CLEAR_WAIT", 0.01)
    async with api.delete("/v1/jobs/job1/executions") as response:
        assert (response.status, (await response.json())["name"]) == (202, "job1")
    assert "job1" in node.mirror.clears
    await problem(await api.delete("/v1/jobs/nobody/executions"), 404)


async def test_stats(node: ApiNode, api: TestClient) -> None:
    await create(api)
    await node.finish(ran(NOW))
    await node.finish(ran(NOW + 1, State.FAILED))
    async with api.get("/v1/stats?days=2") as response:
        assert await response.json() == {
            "stats": [
                {"date": "2026-11-17", "success_count": 0, "failed_count": 0},
                {"date": "2026-11-18", "success_count": 1, "failed_count": 1},
            ]
        }
    assert len((await (await api.get("/v1/stats")).json())["stats"]) == 30
    for days in ("0", "366", "x"):
        await problem(await api.get(f"/v1/stats?days={days}"), 400, "days")


async def test_a_record_that_stands_for_many_fires(node: ApiNode, api: TestClient) -> None:
    await create(api)
    missed = Execution(
        "job1",
        NOW,
        state=State.MISSED,
        reason="outside_window",
        fire=NOW,
        last=NOW + 90 * SECOND,
        count=10,
        decided=NOW,
    )
    await node.finish(missed)
    (found,) = await listed(api, "/v1/jobs/job1/executions")
    assert (found["id"], found["count"], found["last_fire_time"]) == (f"{NOW}-0", 10, "2026-11-18T11:08:10Z")
    async with api.get(f"/v1/jobs/job1/executions/{NOW}-0") as response:
        assert await response.json() == found


async def test_environment_of_a_manual_run_is_shown(node: ApiNode, api: TestClient) -> None:
    await create(api)
    await node.fly(Execution("job1", NOW, 1, NODE, State.RUNNING, trigger=Trigger.MANUAL, env={"A": "1"}))
    (found,) = await listed(api, "/v1/jobs/job1/executions")
    assert (found["trigger"], found["env"]) == ("manual", {"A": "1"})


async def test_search(node: ApiNode, api: TestClient) -> None:
    await create(api, tags={"role": "web:1"})
    await create(api, name="job2")
    for n in range(8):
        job, state = f"job{1 + n % 2}", State.FAILED if n % 4 == 3 else State.SUCCESS
        await node.finish(ran(NOW + n, state, job=job), b"fine\n" if n % 4 else b"odd\n")
    await node.fly(msgspec.structs.replace(ran(NOW + 50, State.RUNNING), trigger=Trigger.MANUAL))

    async def found(query: str) -> list[int]:
        return [e["group"] - NOW for e in await listed(api, f"/v1/executions?{query}")]

    assert await found("exit_code=3") == [7, 3]
    assert await found("exit_code=3,4&until=2026-11-18T11:06:40.000000003Z") == [3]
    assert await found("trigger=manual") == [50]
    assert await found("trigger=schedule,manual&tags[role]=web:1") == [50, 6, 4, 2, 0]
    assert await found("tags[role]=web") == []
    assert await found("output=odd%0A&status=success") == [4, 0]
    async with api.get("/v1/jobs/job1/executions?output=fine&limit=1") as response:
        assert [e["group"] - NOW for e in await response.json()] == [6]
        assert "X-Total-Count" not in response.headers
        cursor = response.headers["X-Next-Cursor"]
    assert [e["group"] - NOW for e in await listed(api, f"/v1/jobs/job1/executions?output=fine&cursor={cursor}")] == [2]
    async with api.get("/v1/executions?exit_code=x") as response:
        await problem(response, 400, "exit_code")
