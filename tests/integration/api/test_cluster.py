"""Health, index, members, leader, the pause, and what holds for every route."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from aiohttp.test_utils import TestClient
from yarl import URL

from dkronpy.catalog.keys import encode
from dkronpy.model.execution import Execution, State
from dkronpy.model.member import Member, MemberStatus
from dkronpy.model.records import Epoch
from dkronpy.store.contract import Put
from tests.integration.api.conftest import NOW, create, events, job, problem
from tests.support.api_node import NODE, ApiNode
from tests.support.memory_store import Fault


async def test_health(node: ApiNode, api: TestClient) -> None:
    async with api.get("/health") as response:
        assert (response.status, await response.json()) == (
            200,
            {"status": "healthy", "leader": True, "leader_name": NODE, "store": "ok"},
        )
    node.faults.append("the runner is down")
    node.cluster.leader_name = None
    node.mirror.healthy = False
    async with api.get("/health") as response:
        assert (response.status, await response.json()) == (
            503,
            {
                "status": "unhealthy",
                "leader": False,
                "leader_name": None,
                "store": "unavailable",
                "issues": ["the runner is down", "the store can't be reached"],
            },
        )


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/"])
async def test_index_values_are_strings(api: TestClient, path: str) -> None:
    async with api.get(path, allow_redirects=False) as response:
        assert response.status == 200
        index = await response.json()
    assert set(index) == {"agent", "serf", "tags"}
    assert (index["agent"]["name"], index["serf"]["members"], index["tags"]["server"]) == (NODE, "1", "true")
    assert all(isinstance(value, str) for part in index.values() for value in part.values())
    assert {"failed", "left", "health_score", "event_queue", "encrypted", "coordinate_resets"} <= set(index["serf"])


async def test_members_and_leader(node: ApiNode, api: TestClient) -> None:
    node.cluster.others.append(Member("node2", "10.0.0.2", 8946, {"role": "web"}, MemberStatus.FAILED))
    async with api.get("/v1/members") as response:
        assert response.headers["X-Total-Count"] == "2"
        first, second = await response.json()
    assert (first["Name"], first["Status"], first["statusText"], first["Port"]) == (NODE, 1, "alive", 8946)
    assert (second["id"], second["Addr"], second["Tags"], second["statusText"]) == (
        "node2",
        "10.0.0.2",
        {"role": "web"},
        "failed",
    )
    async with api.get("/v1/leader") as response:
        assert await response.json() == first
    async with api.get("/v1/isleader") as response:
        assert (response.status, await response.json()) == (200, "I am a leader")
    node.cluster.leader_name = None
    async with api.get("/v1/isleader") as response:
        assert (response.status, await response.json()) == (404, "I am a follower")
    await problem(await api.get("/v1/leader"), 503)


async def test_drains(node: ApiNode, api: TestClient) -> None:
    node.cluster.others.append(Member("rack/7", "10.0.0.2", 8946, {}))
    for name, path in ((NODE, NODE), ("rack/7", "rack%2F7")):
        for _ in range(2):
            async with api.post(URL(f"/v1/nodes/{path}/drain", encoded=True)) as response:
                assert response.status == 200
                drained = (await response.json())["drained"]
            assert drained == {"since": "2026-11-18T11:06:40Z", "by": "api"}
            node.now = NOW + 1_000_000_000
        node.now = NOW
        assert (await node.store.get(node.keys.drain(name))) is not None
    async with api.get("/v1/members") as response:
        assert all(member["drained"] for member in await response.json())
    for _ in range(2):
        async with api.post(f"/v1/nodes/{NODE}/undrain") as response:
            assert (response.status, (await response.json())["drained"]) == (200, None)
    async with api.get("/v1/members") as response:
        assert [member["drained"] is None for member in await response.json()] == [True, False]
    assert set(node.mirror.drains) == {"rack/7"}
    for operation in ("drain", "undrain"):
        assert "'n9'" in await problem(await api.post(f"/v1/nodes/n9/{operation}"), 404)


async def test_peers(api: TestClient) -> None:
    async with api.get("/v1/raft/peers") as response:
        assert await response.json() == [{"node": NODE, "address": "127.0.0.1:6868", "state": "leader"}]


async def test_leave(node: ApiNode, api: TestClient) -> None:
    async with api.post("/v1/leave") as response:
        assert (response.status, await response.json()) == (200, [])
    assert node.cluster.left


async def test_pause(node: ApiNode, api: TestClient) -> None:
    async with api.get("/v1/pause") as response:
        assert await response.json() == {"paused": False}
    paused = {"paused": True, "since": "2026-11-18T11:06:40Z", "reason": "maintenance", "by": "api"}
    async with api.post("/v1/pause", json={"reason": "maintenance"}) as response:
        assert await response.json() == paused
    async with api.post("/v1/pause") as response:
        assert await response.json() == paused
    assert (await create(api))["name"] == "job1"  # jobs can be written all the same
    async with api.post("/v1/unpause") as response:
        assert await response.json() == {"paused": False}
    async with api.post("/v1/pause") as response:
        assert (await response.json())["reason"] == ""
    await problem(await api.post("/v1/pause", json={"reason": 5}), 400, "reason")


async def test_metrics(api: TestClient) -> None:
    async with api.get("/metrics") as response:
        assert (response.status, response.content_type) == (200, "text/plain")


async def test_trailing_slashes_redirect(api: TestClient) -> None:
    for method, path, status in (
        ("GET", "/v1/jobs/", 301),
        ("GET", "/v1/jobs/a%20b/?x=1&y=%26", 301),
        ("HEAD", "/v1/members/", 301),
        ("POST", "/v1/jobs/", 307),
        ("DELETE", "/v1/jobs/job1/", 307),
    ):
        async with api.request(method, path, allow_redirects=False) as response:
            assert (response.status, response.headers["X-Whom"]) == (status, NODE)
            before, _, query = path.partition("?")
            assert response.headers["Location"] == before.rstrip("/") + (f"?{query}" if query else "")
    async with api.post("/v1/jobs/", json=job()) as response:
        assert response.status == 201
    for path in ("/nothing/", "//evil.example/", "//v1/jobs/", "/v1/jobs//", "/v1/leave/"):
        url = URL(f"http://127.0.0.1:{api.port}{path}", encoded=True)
        await problem(await api.session.get(url, allow_redirects=False), 404)


async def test_unknown_paths_and_methods(api: TestClient) -> None:
    response = await api.get("/v2/jobs")
    assert response.headers["X-Whom"] == NODE
    await problem(response, 404)
    for method, path, allowed in (
        ("PUT", "/v1/jobs", "GET, HEAD, PATCH, POST"),
        ("GET", "/v1/leave", "POST"),
        ("OPTIONS", "/v1/jobs/job1", "DELETE, GET, HEAD, PATCH, POST, PUT"),
        ("TRACE", "/health", "GET, HEAD"),
    ):
        response = await api.request(method, path)
        assert response.headers["Allow"] == allowed
        assert allowed in await problem(response, 405)


async def test_head(api: TestClient) -> None:
    await create(api)
    for path in ("/v1/jobs/job1", "/v1/jobs", "/v1/jobs/job1/executions", "/health"):
        async with api.get(path) as response:
            expected = response.headers["Content-Length"]
        async with api.head(path) as response:
            assert (response.status, response.headers["Content-Length"], await response.read()) == (200, expected, b"")


async def test_pretty(api: TestClient) -> None:
    await create(api)
    plain = await (await api.get("/v1/jobs/job1")).text()
    assert "\n" not in plain
    for query in ("?pretty", "?pretty=", "?pretty=true"):
        pretty = await (await api.get(f"/v1/jobs/job1{query}")).text()
        assert pretty.startswith('{\n    "id": "job1",\n    "name"')
        assert json.loads(pretty) == json.loads(plain)
    assert "\n    " in await (await api.get("/v1/jobs?pretty")).text()


async def test_a_store_that_fails(node: ApiNode, api: TestClient) -> None:
    await create(api)
    writes = (
        ("POST", "/v1/jobs", job("job2")),
        ("PUT", "/v1/jobs/job1", job(owner="me")),
        ("PATCH", "/v1/jobs/job1", {"owner": "me"}),
        ("DELETE", "/v1/jobs/job1", None),
        ("POST", "/v1/jobs/job1/run", None),
        ("POST", "/v1/jobs/job1/toggle", None),
        ("DELETE", "/v1/jobs/job1/executions", None),
        ("POST", "/v1/pause", None),
        ("POST", "/v1/restore", [job("job2")]),
    )
    await node.fly(Execution("job1", NOW, 1, NODE, State.RUNNING))
    for fault, status, says in (
        (Fault.UNAVAILABLE, 503, "nothing was written"),
        (Fault.FULL, 507, "no room"),
        (Fault.LOST, 503, "may or may not"),
    ):
        node.store.fault = lambda guards, operations, fault=fault: fault  # type: ignore[attr-defined]
        for method, path, body in (*writes, ("POST", f"/v1/jobs/job1/executions/{NOW}-1-{NODE}/kill", None)):
            assert says in await problem(await api.request(method, path, json=body), status)
        assert (await api.get("/v1/jobs/job1")).status == 200  # what is known is read all the same
    node.store.fault = lambda guards, operations: None  # type: ignore[attr-defined]
    assert (await create(api, "job2"))["name"] == "job2"


async def test_an_error_of_ours_is_a_problem_too(
    node: ApiNode, api: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("secret")

    node.cluster.members = broken  # type: ignore[assignment]
    assert "secret" not in await problem(await api.get("/v1/members"), 500)
    assert "secret" in caplog.text


async def test_events(node: ApiNode, api: TestClient) -> None:
    async with api.get("/v1/events") as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        stream = events(response)
        assert (await anext(stream))[0] == "ready"
        made = await create(api)
        event, data, id = await anext(stream)
        assert (event, data) == ("job", {"change": "created", "name": "job1", "job": made})
        assert int(id) == node.mirror.revision
        await api.post("/v1/jobs/job1/toggle")
        assert (await anext(stream))[1]["job"]["disabled"]
        await node.fly(Execution("job1", NOW, 1, NODE, State.RUNNING))
        event, data, _ = await anext(stream)
        assert (event, data["state"], "output" in data) == ("execution", "running", False)
        await node.state("job1", success_count=1)
        assert (await anext(stream))[1]["job"]["success_count"] == 1
        await node.write(Put(node.keys.epoch, encode(Epoch(3, NODE, NOW))))
        assert (await anext(stream))[:2] == ("leader", {"leader": NODE, "epoch": 3})
        await api.post("/v1/pause", json={"reason": "r"})
        assert (await anext(stream))[:2] == ("pause", {"paused": True, "reason": "r"})
        await api.delete("/v1/jobs/job1")
        assert (await anext(stream))[:2] == ("job", {"change": "deleted", "name": "job1", "job": None})


async def test_streams_keep_alive_and_end_with_the_node(
    node: ApiNode, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dkronpy.api.streams.KEEP_ALIVE", 0.01)
    async with api.get("/v1/events") as response:
        while (await response.content.readline()) != b": keep-alive\n":
            pass
        async with asyncio.timeout(60):
            await node.app.shutdown()
            while await response.content.readline():
                pass


async def test_a_reader_that_does_not_read_is_dropped(
    node: ApiNode, api: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dkronpy.api.streams.MAX_WAITING", 200_000)
    assert api.server.port is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", api.server.port, limit=1000)
    writer.write(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"ready")
    async with asyncio.timeout(60):
        while "too slow" not in caplog.text:
            await create(api, metadata={str(n): "x" * 1000 for n in range(100)})
            await api.delete("/v1/jobs/job1")
    with contextlib.suppress(ConnectionResetError):  # an end is as good
        while await reader.read(100_000):
            pass
    writer.close()
    async with api.get("/v1/events") as response:  # others are served
        assert (await anext(events(response)))[0] == "ready"


async def test_too_many_streams(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dkronpy.api.streams.MAX_STREAMS", 1)
    async with api.get("/v1/events") as response:
        assert response.status == 200
        await problem(await api.get("/v1/events"), 503)
