"""Concurrency groups by HTTP."""

from __future__ import annotations

from aiohttp.test_utils import TestClient

from dkronpy.model.execution import Execution, Reason, State
from tests.integration.api.conftest import NOW, create, problem
from tests.support.api_node import ApiNode


async def test_define_change_undefine(api: TestClient) -> None:
    async with api.put("/v1/groups/data%20base", json={"max": 3, "description": "slow disks"}) as response:
        assert response.status == 201
        body = await response.json()
    assert (body["name"], body["max"], body["defined"], body["updated_by"]) == ("data base", 3, True, "api")
    async with api.put("/v1/groups/data%20base", json={"max": 2}) as response:
        assert response.status == 200
    async with api.get("/v1/groups") as response:
        assert [(group["name"], group["max"]) for group in await response.json()] == [("data base", 2)]
    async with api.delete("/v1/groups/data%20base") as response:
        assert (await response.json())["max"] == 2
    await problem(await api.get("/v1/groups/data%20base"), 404)
    await problem(await api.delete("/v1/groups/data%20base"), 404)


async def test_what_is_refused(api: TestClient) -> None:
    for body, field in (({"max": 0}, "max"), ({"max": "3"}, "max"), ({"max": True}, "max"), ({"name": "b"}, "name")):
        await problem(await api.put("/v1/groups/a", json=body), 400, field)
    assert "at most 1000" in await problem(
        await api.put("/v1/groups/a", json={"description": "x" * 1001}), 400, "description"
    )
    assert "letters" in await problem(await api.put("/v1/groups/%E4%BA%AC", json={}), 400, "name")
    message = await problem(
        await api.post("/v1/jobs", json={"name": "j", "schedule": "@daily", "concurrency_groups": ["a", "b/c"]}),
        400,
        "concurrency_groups.1",
    )
    assert "no name of a group" in message


async def test_who_holds_and_who_waits(node: ApiNode, api: TestClient) -> None:
    await create(api, concurrency_groups=["db", "other"])
    await node.fly(Execution("job1", NOW, 1, "n1", State.RUNNING, decided=NOW, concurrency_group="db"))
    waits = Execution("job1", NOW + 1, state=State.QUEUED, reason=Reason.GROUP_FULL, decided=NOW + 1)
    await node.fly(waits)
    async with api.get("/v1/groups") as response:
        db, other = await response.json()
    assert not db["defined"]
    assert (db["max"], [use["group"] for use in db["running"]]) == (1, [NOW])
    assert [use["group"] for use in db["waiting"]] == [use["group"] for use in other["waiting"]] == [NOW + 1]
    assert other["running"] == []
    async with api.get("/v1/jobs/job1/executions") as response:
        states = [(execution["state"], execution["reason"]) for execution in await response.json()]
    assert states == [("queued", "group_full"), ("running", "")]
