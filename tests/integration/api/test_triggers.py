"""Requests to run a job, by the API."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from dkronpy.api import triggers
from dkronpy.model.duration import SECOND
from dkronpy.model.execution import Execution, Reason, State, Trigger
from dkronpy.model.records import TriggerRecord
from dkronpy.model.times import rfc3339
from dkronpy.store.contract import Delete
from tests.integration.api.conftest import NOW, create, problem
from tests.support.api_node import ApiNode


async def test_a_run_at_a_later_time(node: ApiNode, api: TestClient) -> None:
    await create(api)
    at = NOW + 3600 * SECOND
    body = {"at": rfc3339(at), "type": "deploy", "description": "of 1.2", "env": {"V": "1.2"}}
    async with api.post("/v1/jobs/job1", json=body) as response:
        assert response.status == 200
        group = (await response.json())["run"]["group"]
    assert at < group <= at + 1_000_000
    record = TriggerRecord(at, by="api", env={"V": "1.2"}, asked=NOW, type="deploy", description="of 1.2")
    assert node.mirror.triggers["job1", group].value == record


async def test_those_that_wait_are_listed(api: TestClient, node: ApiNode) -> None:
    await create(api)
    await create(api, "job2")
    await api.post("/v1/jobs/job1/run", json={"at": rfc3339(NOW + 60 * SECOND), "env": {"V": "1"}, "type": "deploy"})
    await api.post("/v1/jobs/job2/run", json={"at": rfc3339(NOW + 30 * SECOND)})
    async with api.get("/v1/triggers") as response:
        found = await response.json()
        assert response.headers["X-Total-Count"] == "2"
    assert [trigger["job_name"] for trigger in found] == ["job2", "job1"]
    async with api.get("/v1/jobs/job1/triggers") as response:
        assert await response.json() == found[1:]
    assert found[1] == {
        "job_name": "job1",
        "group": found[1]["group"],
        "at": rfc3339(NOW + 60 * SECOND),
        "trigger": "manual",
        "trigger_type": "deploy",
        "trigger_description": "",
        "trigger_data": None,
        "triggered_by": "api",
        "triggered_at": rfc3339(NOW),
        "env": {"V": "1"},
    }
    await problem(await api.get("/v1/jobs/nobody/triggers"), 404)


async def decide(node: ApiNode, group: int, outcome: Execution) -> None:
    """As a leader that sees the cancellation."""
    key, asked = ("job1", group, 0, ""), asyncio.Event()
    unsubscribe = node.mirror.subscribe(lambda _: asked.set() if key in node.mirror.kills else None)
    await asked.wait()
    unsubscribe()
    await node.fly(outcome)
    await node.store.commit([], [Delete(node.keys.trigger("job1", group)), Delete(node.keys.kill(key))])


@pytest.mark.parametrize("cancelled", [True, False])
async def test_cancelling(api: TestClient, node: ApiNode, cancelled: bool) -> None:
    await create(api)
    async with api.post("/v1/jobs/job1/run", json={"at": rfc3339(NOW + 60 * SECOND)}) as response:
        group = (await response.json())["run"]["group"]
    outcome = Execution("job1", group, 0, "", State.SKIPPED, Reason.CANCELLED)
    if not cancelled:
        outcome = Execution("job1", group, 1, "n1", State.DISPATCHED)
    leader = asyncio.create_task(decide(node, group, outcome))
    async with api.delete(f"/v1/jobs/job1/triggers/{group}") as response:
        if cancelled:
            assert (response.status, (await response.json())["group"]) == (200, group)
        else:
            assert "carried out" in await problem(response, 409)
    await leader
    await problem(await api.delete(f"/v1/jobs/job1/triggers/{group}"), 404)


async def test_cancelling_without_a_leader(api: TestClient, node: ApiNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggers, "CANCEL_WAIT", 0.05)
    await create(api)
    async with api.post("/v1/jobs/job1/run", json={"at": rfc3339(NOW + 60 * SECOND)}) as response:
        group = (await response.json())["run"]["group"]
    async with api.delete(f"/v1/jobs/job1/triggers/{group}") as response:
        assert response.status == 202
    assert ("job1", group, 0, "") in node.mirror.kills
    for wrong in ("x", "0", "1" * 30):
        await problem(await api.delete(f"/v1/jobs/job1/triggers/{wrong}"), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"at": 5}, "at"),
        ({"at": "tomorrow"}, "at"),
        ({"at": rfc3339(NOW - 61 * SECOND)}, "at"),
        ({"type": "x" * 101}, "type"),
        ({"type": "a\0"}, "type"),
        ({"description": "x" * 1001}, "description"),
    ],
)
async def test_a_request_that_is_refused(node: ApiNode, api: TestClient, body: Any, field: str) -> None:
    await create(api)
    await problem(await api.post("/v1/jobs/job1/run", json=body), 400, field)
    assert not node.mirror.triggers


async def test_a_time_that_has_just_passed_is_now(node: ApiNode, api: TestClient) -> None:
    await create(api)
    await api.post("/v1/jobs/job1/run", json={"at": rfc3339(NOW - 10 * SECOND)})
    assert node.mirror.triggers["job1", NOW].value.at == NOW


async def test_an_execution_tells_of_its_trigger(node: ApiNode, api: TestClient) -> None:
    await create(api)
    record = TriggerRecord(NOW + 60 * SECOND, Trigger.FILE, "ann", asked=NOW, description="d", data='{"x":[1]}')
    await node.fly(Execution("job1", NOW, 1, "n1", State.RUNNING, trigger=Trigger.FILE, origin=record.origin))
    async with api.get("/v1/jobs/job1/executions") as response:
        (found,) = await response.json()
    told = {name: found[name] for name in found if name.startswith("trigger")}
    assert told == {
        "trigger": "file",
        "trigger_type": "file",
        "trigger_description": "d",
        "trigger_data": {"x": [1]},
        "triggered_by": "ann",
        "triggered_at": rfc3339(NOW),
    }


async def test_parameters_are_checked_when_a_run_is_asked_for(api: TestClient, node: ApiNode) -> None:
    parameters = [{"name": "V"}, {"name": "N", "type": "integer", "default": 2}]
    made = await create(api, schedule="@manually", parameters=parameters)
    assert made["parameters"] == [
        {"name": "V", "type": "string", "default": None, "choices": [], "description": ""},
        {"name": "N", "type": "integer", "default": "2", "choices": [], "description": ""},
    ]
    await problem(await api.post("/v1/jobs/job1"), 400, "parameters.V")
    await problem(await api.post("/v1/jobs/job1/run", json={"parameters": {"V": "1", "N": "x"}}), 400, "parameters.N")
    await problem(await api.post("/v1/jobs?runoncreate", json=made), 400, "parameters.V")
    assert not node.mirror.triggers
    await api.post("/v1/jobs/job1/run", json={"parameters": {"V": "1", "N": 3}, "env": {"X": "y"}})
    assert node.mirror.triggers["job1", NOW].value.env == {"V": "1", "N": "3", "X": "y"}


async def test_explain_tells_of_what_is_asked_for(api: TestClient) -> None:
    await create(api, schedule="@manually")
    at = rfc3339(NOW + 60 * SECOND)
    await api.post("/v1/jobs/job1/run", json={"at": at})
    async with api.get(f"/v1/jobs/job1/explain?at={at}") as response:
        found = await response.json()
    assert found["verdict"] == "no_fire"
    assert found["explanation"].endswith(f"; api has asked for a run at {at}")
