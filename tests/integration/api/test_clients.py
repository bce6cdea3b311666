"""Requests as the clients of Dkron send them, and our own client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from dkronpy.client import Client, Conflict, NotFound, Refused
from dkronpy.history.contract import HistoryError
from dkronpy.model.execution import State
from tests.integration.api.conftest import NOW, create, job, problem
from tests.integration.api.test_executions import ran
from tests.support.api_node import NODE, ApiNode

GO_JOB: dict[str, Any] = {
    "id": "", "name": "nightly", "displayname": "", "timezone": "Europe/Berlin", "schedule": "0 30 2 * * *",
    "owner": "Platform Team", "owner_email": "platform@example.com", "success_count": 0, "error_count": 0,
    "last_success": None, "last_error": None, "disabled": False, "tags": {"server": "true:1"}, "metadata": None,
    "retries": 3, "dependent_jobs": None, "parent_job": "", "processors": None, "concurrency": "",
    "executor": "shell", "executor_config": {"command": "date", "shell": "true"}, "status": "",
    "next": "0001-01-01T00:00:00Z", "ephemeral": False, "expires_at": None, "starts_at": "0001-01-01T00:00:00Z",
}  # fmt: skip
"""A job as Go's encoder writes Dkron's struct."""


async def test_go_and_terraform(api: TestClient) -> None:
    async with api.post("/v1/jobs", data=json.dumps(GO_JOB), headers={"Content-Type": "application/json"}) as response:
        assert response.status == 201
    async with api.get("/v1/jobs/nightly") as response:
        read = await response.json()
    differing = {field for field, value in GO_JOB.items() if read[field] != value}
    assert differing == {"id", "concurrency", "processors", "next", "starts_at"}
    assert (await api.delete("/v1/jobs/nightly")).status == 200
    assert (await api.get("/v1/jobs/nightly")).status == 404


async def test_python_clients(node: ApiNode, api: TestClient) -> None:
    """They post with or without a JSON content type, put slashes behind paths, and poll for executions."""
    async with api.post("/v1/jobs/", data=json.dumps(job("nightly"))) as response:
        assert (response.status, response.url.path) == (201, "/v1/jobs")
    async with api.post("/v1/jobs/nightly/") as response:
        assert response.status == 200
    async with api.post("/v1/jobs/nightly/toggle/") as response:
        assert (await response.json())["disabled"]
    await node.finish(ran(NOW, job="nightly"), b"out")
    async with api.get("/v1/jobs/nightly/executions/") as response:
        (found,) = await response.json()
    assert (found["job_name"], found["success"], found["output"]) == ("nightly", True, "out")
    async with api.get("/v1/") as response:
        assert (response.status, response.history) == (200, ())
    async with api.get("/v1/jobs?metadata[team]=x") as response:
        assert await response.json() == []


async def test_dashboard(node: ApiNode, api: TestClient) -> None:
    await create(api, "a")
    await create(api, "b", disabled=True)
    query = "_end=10&_order=ASC&_sort=id&_start=0"
    async with api.get(f"/v1/jobs?{query}") as response:
        assert (response.headers["X-Total-Count"], [found["id"] for found in await response.json()]) == (
            "2",
            ["a", "b"],
        )
    async with api.get(f"/v1/jobs?{query}&q=&status=&disabled=") as response:
        assert len(await response.json()) == 2
    read = await (await api.get("/v1/jobs/a")).json()
    async with api.put("/v1/jobs/a", json={**read, "displayname": "A"}) as response:
        assert (response.status, (await response.json())["displayname"]) == (200, "A")
    async with api.get(
        "/v1/jobs/a/executions?_sort=started_at&_order=DESC&_start=0&_end=25&output_size_limit=200"
    ) as response:
        assert (response.headers["X-Total-Count"], await response.json()) == ("0", [])
    async with api.get("/v1/busy?_end=25&_order=ASC&_sort=id&_start=0") as response:
        assert response.headers["X-Total-Count"] == "0"


async def test_our_own_client(node: ApiNode, api: TestClient) -> None:
    await node.state("a")
    await node.fly(ran(NOW, State.RUNNING, job="a"))
    await node.grow(ran(NOW, job="a"), 0, b"fine\n")

    def talk() -> None:
        client = Client(f"http://127.0.0.1:{api.port}")
        try:
            assert client.put_job(job("a"), create=True)["id"] == "a"
            with pytest.raises(Conflict):
                client.put_job(job("a"), create=True)
            read, etag = client.read_job("a")
            assert client.put_job({**read, "owner": "me"}, etag=etag)["owner"] == "me"
            with pytest.raises(Conflict):
                client.put_job({**read, "owner": "you"}, etag=etag)
            with pytest.raises(Refused) as refused:
                client.put_job(job("a", retries=-1))
            assert refused.value.errors[0].field == "retries"
            with pytest.raises(NotFound):
                client.job("nobody")
            assert client.toggle_job("a")["disabled"]
            assert not client.toggle_job("a")["disabled"]
            assert client.run_job("a", {"X": "1"}) == NOW + 1
            assert [fire["time"] for fire in client.next_fires("a", 2)] == [
                "2026-11-18T11:06:50Z",
                "2026-11-18T11:07:00Z",
            ]
            assert client.preview({"schedule": "@every 1h"}, count=1)[0]["dst"] is None
            assert client.explain("a")["verdict"] == "will_run"
            (run,) = client.busy()
            assert [execution["id"] for execution in client.executions("a", page=1)] == [run["id"]]
            assert client.execution("a", run["id"])["output"] == "fine\n"
            assert [(chunk.offset, chunk.data) for chunk in client.output("a", run["id"], 2)] == [(2, b"ne\n")]
            assert client.kill("a", run["id"])["state"] == "running"
            asyncio.run_coroutine_threadsafe(node.fly(ran(NOW, job="a")), loop).result()
            assert [(piece.offset, piece.end, piece.data) for piece in client.follow("a", run["id"])] == [
                (0, 5, "fine\n")
            ]
            assert client.leader()["Name"] == client.members()[0]["Name"] == NODE
            assert client.health() == (True, client.health()[1])
            assert client.pause("why")["paused"]
            assert client.paused().get("reason") == "why"
            assert not client.unpause()["paused"]
            assert client.delete_job("a")["name"] == "a"
            assert client.jobs() == []
            client.leave()
        finally:
            client.close()

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(talk)
    assert node.cluster.left


async def test_a_history_that_fails(node: ApiNode, api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await create(api)

    async def broken(*_: Any, **__: Any) -> Any:
        raise HistoryError("gone fishing")

    for name in ("get", "query", "count", "output", "outputs", "stats"):
        monkeypatch.setattr(node.history, name, broken)
    execution = f"/v1/jobs/job1/executions/{NOW}-1-{NODE}"
    for path in ("/v1/jobs/job1/executions", "/v1/executions", execution, f"{execution}/output", "/v1/stats"):
        assert "gone fishing" in await problem(await api.get(path), 503)
    assert (await api.get("/v1/jobs/job1")).status == 200
