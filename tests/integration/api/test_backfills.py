"""Which fires of the past are run, by the records; and what is told of a backfill."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient

from dkronpy.catalog.keys import encode
from dkronpy.model.backfill import BackfillProgress
from dkronpy.model.execution import Execution, Reason, State, Trigger
from dkronpy.model.records import Cursor, Sweep
from dkronpy.model.times import parse_rfc3339
from dkronpy.store.contract import Delete, Put
from tests.integration.api.conftest import NOW, SECOND, create, problem
from tests.integration.api.test_executions import ran
from tests.support.api_node import NODE, ApiNode

FIRST = parse_rfc3339("2026-11-18T11:05:00Z")


def at(number: int) -> str:
    """The fires of every ten seconds from 11:05:00 on."""
    return f"2026-11-18T11:0{5 + number // 6}:{number % 6}0Z"


def fire(number: int) -> int:
    return FIRST + 10 * SECOND * number


async def ready(node: ApiNode, api: TestClient, **fields: Any) -> None:
    """A job since 11:05:25, all of whose fires are decided."""
    node.now = FIRST + 25 * SECOND
    await create(api, **fields)
    node.now = NOW
    await node.write(Put(node.keys.cursor, encode(Cursor(NOW))))
    await node.state("job1", adopted=node.mirror.jobs["job1"].value.since)


async def ask(api: TestClient, status: int = 200, **body: Any) -> dict[str, Any]:
    wanted = {"from": at(0), "to": "2026-11-18T11:06:39Z", "dry_run": True, **body}
    async with api.post("/v1/jobs/job1/backfill", json=wanted) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def test_what_runs_by_each_policy(node: ApiNode, api: TestClient) -> None:
    await ready(node, api)
    await node.finish(ran(fire(3)))
    await node.finish(ran(fire(4), State.FAILED))
    await node.finish(ran(fire(5), State.FAILED))
    await node.finish(ran(fire(5), attempt=2))
    skipped = Execution("job1", fire(6), state=State.SKIPPED, reason=Reason.PAUSED, fire=fire(6), last=fire(7), count=2)
    await node.finish(skipped)
    await node.fly(ran(fire(8), State.RUNNING))
    later = msgspec.structs.replace(ran(NOW + 5), fire=fire(1), trigger=Trigger.BACKFILL)
    await node.finish(later)
    await node.finish(msgspec.structs.replace(ran(fire(9)), trigger=Trigger.MANUAL))
    left_out = {"succeeded": 2, "failed": 1, "in_flight": 1, "forgotten": 1}
    # Fires 0 to 2 are from before the job was written; a run that somebody asked for is none of the fire.
    told = await ask(api)
    assert told == {"fires": [at(0), at(1), at(2), at(6), at(7)], "left_out": left_out, "backfill": None}
    before = {"from": at(0), "policy": "missing", "parallel": 2}
    asked = await ask(api, 201, **{**before, "to": at(1), "dry_run": False})
    assert asked["fires"] == [at(0), at(1)]
    # Now that there has been a backfill, the runs of earlier ones are looked for.
    told = await ask(api)
    assert told == {"fires": [at(0), at(2), at(6), at(7)], "left_out": {**left_out, "succeeded": 3}, "backfill": None}
    assert (await ask(api, policy="failed"))["fires"] == [at(0), at(2), at(4), at(6), at(7)]
    told = await ask(api, policy="all")
    assert told["fires"] == [at(number) for number in range(10) if number != 8]
    assert told["left_out"] == {"in_flight": 1}


async def test_a_backfill_from_its_beginning_to_its_end(node: ApiNode, api: TestClient) -> None:
    await ready(node, api, disabled=True)
    asked = await ask(api, 201, dry_run=False, parallel=2, to=at(2))
    backfill = asked["backfill"]
    assert backfill == {
        "job_name": "job1",
        "from": at(0),
        "to": at(2),
        "policy": "missing",
        "parallel": 2,
        "state": "running",
        "total": 3,
        "started": 0,
        "in_flight": 0,
        "asked_at": "2026-11-18T11:06:40Z",
        "asked_by": "api",
        "ended_at": None,
        "cancelled_at": None,
        "cancelled_by": "",
    }
    assert node.mirror.backfills["job1"].value.fires == (fire(0), fire(1), fire(2))
    again = {"from": at(0), "dry_run": False}
    assert "under way" in await problem(await api.post("/v1/jobs/job1/backfill", json=again), 409)
    since = node.mirror.backfills["job1"].value.since
    await node.state("job1", backfill=BackfillProgress(since, 2))
    run = Execution("job1", NOW, 1, NODE, State.RUNNING, fire=fire(1), trigger=Trigger.BACKFILL)
    await node.fly(run)
    async with api.get("/v1/jobs/job1/backfill") as response:
        assert await response.json() == {**backfill, "started": 2, "in_flight": 1}
    async with api.get(f"/v1/jobs/job1/explain?at={at(1)}") as response:
        told = await response.json()
    assert (told["verdict"], told["fire_time"]) == ("in_flight", at(1))
    assert told["explanation"] == f"by backfill: {NODE} running (attempt 1)"
    async with api.get(f"/v1/jobs/job1/explain?at={at(2)}") as response:
        assert (await response.json())["verdict"] == "no_job"
    async with api.delete("/v1/jobs/job1/backfill") as response:
        cancelled = await response.json()
    assert (cancelled["state"], cancelled["cancelled_by"]) == ("cancelling", "api")
    await node.state("job1", backfill=BackfillProgress(since, 2, NOW))
    await node.write(Delete(node.keys.group("job1", NOW)))
    async with api.get("/v1/backfills") as response:
        (found,) = await response.json()
    assert (found["state"], found["ended_at"]) == ("cancelled", "2026-11-18T11:06:40Z")
    assert "over already" in await problem(await api.delete("/v1/jobs/job1/backfill"), 409)
    # What it has run is not run again, though its records are no longer kept.
    told = await ask(api, 201, dry_run=False, to=at(2))
    assert (told["fires"], told["left_out"]) == ([at(2)], {"forgotten": 2})
    assert node.mirror.backfills["job1"].value.before == ((fire(0), fire(1)),)
    async with api.delete("/v1/jobs/job1") as response:
        assert response.status == 200
    assert not node.mirror.backfills


async def test_nothing_is_run_that_the_leader_has_still_to_decide(node: ApiNode, api: TestClient) -> None:
    await ready(node, api)
    await node.write(Put(node.keys.cursor, encode(Cursor(fire(5), "job1", sweeps=(Sweep(fire(3), "", fire(4)),)))))
    told = await ask(api)
    assert told["left_out"] == {"undecided": 6, "forgotten": 1}
    await create_again(api)
    assert (await ask(api, policy="all"))["left_out"] == {"undecided": 10}
    async with api.post("/v1/jobs/job1/backfill", json={"from": at(0)}) as response:
        assert (response.status, (await response.json())["fires"]) == (200, [])
    assert not node.mirror.backfills


async def test_a_backfill_of_a_deleted_job_is_none_of_the_next(node: ApiNode, api: TestClient) -> None:
    await ready(node, api)
    await ask(api, 201, dry_run=False)
    record = msgspec.structs.replace(node.mirror.backfills["job1"].value, since=FIRST)
    await node.write(Put(node.keys.backfill("job1"), encode(record)))
    async with api.get("/v1/backfills") as response:
        assert await response.json() == []
    await problem(await api.get("/v1/jobs/job1/backfill"), 404)
    await ask(api, 201, dry_run=False)
    assert node.mirror.backfills["job1"].value.since == NOW


async def create_again(api: TestClient) -> None:
    async with api.patch("/v1/jobs/job1", json={"owner": "me"}) as response:
        assert response.status == 200


async def test_excluded_fires_stay_so(node: ApiNode, api: TestClient) -> None:
    await ready(node, api, blackouts=[{"start": at(1), "end": at(3)}])
    assert (await ask(api, policy="all", to=at(3)))["fires"] == [at(0), at(3)]


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({}, "from", "is missing"),
        ({"from": "yesterday"}, "from", "yesterday"),
        ({"from": at(5), "to": at(4)}, "from", "later than to"),
        ({"from": at(5), "to": "2027-01-01T00:00:00Z"}, "to", "lies ahead"),
        ({"from": at(5), "policy": "some"}, "policy", "'missing', 'failed' or 'all'"),
        ({"from": at(5), "parallel": 0}, "parallel", "at least 1"),
        ({"from": at(5), "parallel": 101}, "parallel", "at most 100"),
        ({"from": at(5), "dry_run": "yes"}, "dry_run", "true or false"),
        ({"from": "2026-11-01T00:00:00Z"}, "from", "more than 10000 fires"),
    ],
)
async def test_bad_backfills(node: ApiNode, api: TestClient, body: Any, field: str, says: str) -> None:
    await ready(node, api)
    assert says in await problem(await api.post("/v1/jobs/job1/backfill", json=body), 400, field)


async def test_jobs_without_fires_or_backfills(node: ApiNode, api: TestClient) -> None:
    await ready(node, api)
    await create(api, "child", schedule="", parent_job="job1")
    body = {"from": at(0)}
    assert "backfill its parents" in await problem(await api.post("/v1/jobs/child/backfill", json=body), 409)
    for method in (api.get, api.delete):
        await problem(await method("/v1/jobs/job1/backfill"), 404)
        await problem(await method("/v1/jobs/nobody/backfill"), 404)
    await problem(await api.post("/v1/jobs/nobody/backfill", json=body), 404)
    async with api.get("/v1/backfills") as response:
        assert await response.json() == []
