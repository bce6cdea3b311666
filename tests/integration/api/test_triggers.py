"""Requests to run a job, by the API."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from dkronpy.model.duration import SECOND
from dkronpy.model.execution import Execution, State, Trigger
from dkronpy.model.records import TriggerRecord
from dkronpy.model.times import rfc3339
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
