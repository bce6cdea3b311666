"""Finished executions from elsewhere, written into a job's history."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from dkronpy.catalog.keys import encode
from dkronpy.model.execution import Execution, State
from dkronpy.model.job import JobState
from dkronpy.model.records import GroupRecord
from dkronpy.store.contract import Put
from tests.integration.api.conftest import NOW, create, problem
from tests.support.api_node import ApiNode

PATH = "/v1/jobs/job1/executions"


def ran(group: int = NOW - 1000, **fields: Any) -> dict[str, Any]:
    """An execution as Dkron shows it."""
    return {
        "id": "1795227229010495109-n1",
        "job_name": "job1",
        "started_at": "2026-11-18T03:13:49.010495109+01:00",
        "finished_at": "2026-11-18T02:13:49.0134Z",
        "success": True,
        "output": "grüße\n",
        "node_name": "n1",
        "group": group,
        "attempt": 1,
        "output_truncated": False,
        **fields,
    }


async def add(api: TestClient, *executions: dict[str, Any]) -> None:
    async with api.post(PATH, json=list(executions)) as response:
        assert response.status == 200, await response.text()
        assert await response.json() == {"stored": len(executions)}


async def shown(api: TestClient) -> list[dict[str, Any]]:
    async with api.get(PATH) as response:
        return await response.json()


async def test_an_execution_comes_out_as_it_went_in_also_when_written_again(api: TestClient) -> None:
    await create(api)
    await add(api, ran())
    before = await shown(api)
    await add(api, ran())
    (found,) = await shown(api)
    assert before == [found]
    expected = ran(
        id=f"{NOW - 1000}-1-n1", started_at="2026-11-18T02:13:49.010495109Z", state="success", exit_code=None, error=""
    )
    assert {key: found[key] for key in expected} == expected
    assert found["output_size"] == 8
    assert found["output_sha256"] == hashlib.sha256("grüße\n".encode()).hexdigest()


async def test_what_has_not_finished_is_lost_until_it_is_known_better(api: TestClient) -> None:
    await create(api)
    await add(api, ran(success=False, finished_at="0001-01-01T00:00:00Z", output=""))
    (found,) = await shown(api)
    assert (found["state"], found["finished_at"]) == ("lost", None)
    assert found["error"]
    await add(api, ran())
    (found,) = await shown(api)
    assert (found["state"], found["output"]) == ("success", "grüße\n")
    await add(api, ran(success=False, finished_at=None, output=""))
    (found,) = await shown(api)
    assert found["state"] == "success"


async def test_states_and_bytes(node: ApiNode, api: TestClient) -> None:
    await create(api)
    data = bytes(range(256))
    await add(
        api,
        ran(
            1, state="timed_out", success=False, exit_code=137, output="", output_base64=base64.b64encode(data).decode()
        ),
        ran(2, success=False, error="no such command"),
    )
    failed, timed_out = await shown(api)
    assert (timed_out["state"], timed_out["exit_code"], timed_out["output_size"]) == ("timed_out", 137, 256)
    assert (failed["state"], failed["error"]) == ("failed", "no such command")
    assert (await node.history.output("job1", 1, 1, "n1")).data == data


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"group": None}, "[1].group", "is missing"),
        ({"group": "5"}, "[1].group", "must be a whole number, not a string"),
        ({"group": NOW + 10**12}, "[1].group", "lies ahead"),
        ({"attempt": 0}, "[1].attempt", "at least 1"),
        ({"finished_at": None}, "[1]", "finished_at is missing"),
        ({"state": "running"}, "[1]", "only what has ended"),
        ({"state": "skipped"}, "[1]", "only what has ended"),
        ({"started_at": "yesterday"}, "[1].started_at", "is not a time"),
        ({"output_base64": "Zg=="}, "[1].output_base64", "keep one"),
        ({"output": "", "output_base64": "Zg"}, "[1].output_base64", "can't be read"),
        ({"output": "x" * (1 << 20) + "x"}, "[1].output", "too long"),
    ],
)
async def test_one_bad_one_and_nothing_is_written(
    api: TestClient, fields: dict[str, Any], field: str, message: str
) -> None:
    await create(api)
    async with api.post(PATH, data=io.BytesIO(json.dumps([ran(), ran() | fields]).encode())) as response:
        assert message in await problem(response, 400, field)
    assert await shown(api) == []


async def test_what_is_refused_as_a_whole(node: ApiNode, api: TestClient) -> None:
    async with api.post(PATH, json=[]) as response:
        await problem(response, 404)
    await create(api)
    async with api.post(PATH, json={}) as response:
        assert "a JSON list" in await problem(response, 400, "")
    async with api.post(PATH, data=io.BytesIO(b"[" + b" " * (16 << 20))) as response:
        await problem(response, 413)


async def test_what_this_server_runs_is_not_written_from_elsewhere(node: ApiNode, api: TestClient) -> None:
    await create(api)
    group = NOW - 1000
    record = GroupRecord((Execution("job1", group, 1, "n1", State.RUNNING),))
    await node.mirror.reached(await node.store.commit([], [Put(node.keys.group("job1", group), encode(record))]))
    async with api.post(PATH, json=[ran()]) as response:
        assert "this server runs it" in await problem(response, 400, "[0]")


async def test_a_history_that_is_being_deleted_takes_nothing(node: ApiNode, api: TestClient) -> None:
    await create(api)
    state = encode(JobState(purge=NOW - 5))
    await node.mirror.reached(await node.store.commit([], [Put(node.keys.state("job1"), state)]))
    async with api.post(PATH, json=[ran()]) as response:
        assert "being deleted" in await problem(response, 409)
