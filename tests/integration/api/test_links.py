"""Signed links: what they let do, for how long, and what nobody learns."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from dkronpy.config import Scope, Token
from dkronpy.dispatch.purge import purge_job
from dkronpy.model.execution import Trigger
from dkronpy.model.times import rfc3339
from tests.integration.api.conftest import NOW, SECOND, create, job, problem
from tests.support.api_node import ApiNode, api_node
from tests.support.memory_store import MemoryData, MemoryStore


async def link(api: TestClient, name: str = "job1", **fields: Any) -> dict[str, Any]:
    async with api.post(f"/v1/jobs/{name}/links", json=fields) as response:
        assert response.status == 201, await response.text()
        assert response.headers["Cache-Control"] == "no-store"
        return await response.json()


async def test_a_link_runs_its_job_as_it_was_made(node: ApiNode, api: TestClient) -> None:
    await create(api, schedule="@manually", parameters=[{"name": "V"}])
    await problem(await api.post("/v1/jobs/job1/links"), 400, "parameters.V")
    made = await link(api, parameters={"V": "1.2"}, env={"X": "y"}, type="deploy", description="of 1.2")
    assert made["expires_at"] == rfc3339(NOW + 7 * 86_400 * SECOND)
    async with api.post(made["path"], json={"env": {"X": "z"}}) as response:
        assert (response.status, await response.json()) == (200, {"job_name": "job1", "run": {"group": NOW}})
    await api.post(made["path"])
    records = [held.value for held in node.mirror.triggers.values()]
    assert len(records) == 2
    assert {(r.kind, r.by, r.type, r.description) for r in records} == {(Trigger.LINK, made["id"], "deploy", "of 1.2")}
    assert records[0].env == {"V": "1.2", "X": "y"}
    async with api.get("/v1/jobs/job1/links") as response:
        (listed,) = await response.json()
    assert (listed["uses"], listed["used_at"], listed["fault"]) == (2, rfc3339(NOW), None)
    assert "path" not in listed
    async with api.get("/v1/links") as response:
        assert await response.json() == [listed]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"valid_for": 5}, "valid_for"),
        ({"valid_for": "1ms"}, ""),
        ({"once": "yes"}, "once"),
        ({"at": rfc3339(NOW + SECOND)}, ""),
        ({"env": {"A B": "1"}}, "env.A B"),
        ({"parameters": {"N": 1}}, "parameters.N"),
    ],
)
async def test_a_link_that_is_refused(api: TestClient, node: ApiNode, body: Any, field: str) -> None:
    await create(api)
    await problem(await api.post("/v1/jobs/job1/links", json=body), 400, field)
    assert not node.mirror.links


async def test_what_is_not_the_link_runs_nothing(node: ApiNode, api: TestClient) -> None:
    await create(api)
    await create(api, "job2")
    path, other = (await link(api))["path"], (await link(api))["path"]
    for wrong in (
        path[:-1] + ("A" if path[-1] != "A" else "B"),
        path + "A",
        path.rpartition(".")[0] + "." + other.rpartition(".")[2],
        path.replace("job1", "job2"),
        path.rpartition(".")[0],
        "/v1/links/nobody/x.y",
        "/v1/links/job1/..x",
        "/v1/links/job1/%ff.%00",
    ):
        for method in (api.get, api.post):
            assert "no such link" in await problem(await method(wrong), 404)
    assert not node.mirror.triggers


async def test_it_expires(node: ApiNode, api: TestClient) -> None:
    await create(api)
    made = await link(api, valid_for="1h")
    node.now = NOW + 3600 * SECOND - 1
    assert (await api.post(made["path"])).status == 200
    node.now = NOW + 3600 * SECOND
    assert "expired" in await problem(await api.post(made["path"]), 410)
    await link(api)
    assert len(node.mirror.links["job1"]) == 1, "expired links go when others are made"


async def test_it_is_revoked(node: ApiNode, api: TestClient) -> None:
    await create(api)
    made = await link(api)
    async with api.delete(f"/v1/jobs/job1/links/{made['id']}") as response:
        assert (await response.json())["id"] == made["id"]
    await problem(await api.post(made["path"]), 404)
    await problem(await api.delete(f"/v1/jobs/job1/links/{made['id']}"), 404)
    assert not node.mirror.triggers


async def test_it_ends_with_its_job(node: ApiNode, api: TestClient) -> None:
    await create(api)
    made = await link(api)
    await api.delete("/v1/jobs/job1")
    await problem(await api.post(made["path"]), 404)
    deleted = node.now = NOW + SECOND
    await create(api)
    await problem(await api.post(made["path"]), 404)
    new = await link(api)
    await purge_job(node.store, node.keys, "job1", deleted - 1)
    (kept,) = node.mirror.links["job1"]
    assert kept == new["id"]


async def test_one_use_is_one_run_on_however_many_servers(tmp_path: Path) -> None:
    data = MemoryData()
    async with (
        api_node(tmp_path / "a", store=MemoryStore(data)) as a,
        api_node(tmp_path / "b", store=MemoryStore(data)) as b,
        TestClient(TestServer(a.app)) as one,
        TestClient(TestServer(b.app)) as other,
    ):
        await create(one)
        made = await link(one, once=True)
        await b.mirror.reached(a.mirror.revision)
        answers = await asyncio.gather(*(client.post(made["path"]) for client in (one, other) * 20))
        assert sorted(response.status for response in answers) == [200] + [410] * 39
        assert len(a.mirror.triggers) == 1
        async with one.get("/v1/jobs/job1/links") as response:
            (listed,) = await response.json()
        assert listed["fault"] == "the link is for one use, and has been used"


async def test_as_many_as_a_job_may_have(api: TestClient) -> None:
    await create(api)
    for _ in range(100):
        await link(api)
    assert "100 links" in await problem(await api.post("/v1/jobs/job1/links"), 400)


async def test_no_token_is_needed_for_this_job_only(node: ApiNode) -> None:
    tokens = (
        Token(Scope.WRITE, "ann", hashlib.sha256(b"w" * 20).digest()),
        Token(Scope.READ, "bob", hashlib.sha256(b"r" * 20).digest()),
    )
    node.settings = node.settings.model_copy(update={"tokens": tokens})
    async with TestClient(TestServer(node.app)) as api:
        ann, bob = ({"Authorization": f"Bearer {token * 20}"} for token in "wr")
        await api.post("/v1/jobs", json=job(), headers=ann)
        assert (await api.post("/v1/jobs/job1/links", headers=bob)).status == 403
        assert (await api.post("/v1/jobs/job1/links")).status == 401
        async with api.post("/v1/jobs/job1/links", headers=ann) as response:
            made = await response.json()
        assert made["created_by"] == "ann"
        assert (await api.get(made["path"])).status == 200
        assert not node.mirror.triggers, "looking at it runs nothing"
        assert (await api.post(made["path"])).status == 200
        assert (await api.get("/v1/links")).status == 401
        assert (await api.post("/v1/jobs/job1/run")).status == 401
        async with api.get("/v1/links", headers=bob) as response:
            assert made["path"].rpartition(".")[2] not in await response.text()


async def test_the_page(api: TestClient) -> None:
    await create(api)
    made = await link(api, description="<script>x</script>")
    navigate = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    async with api.get(made["path"], headers=navigate) as response:
        text = await response.text()
        assert response.content_type == "text/html"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert response.headers["Referrer-Policy"] == "same-origin"
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert (await api.post(made["path"], headers=navigate)).status == 403
    assert (await api.post(made["path"], headers={"Origin": "https://evil.example"})).status == 403


async def test_it_is_in_no_log(
    node: ApiNode, api: TestClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(api)
    made = await link(api)

    async def fail(*_: object) -> int:
        raise RuntimeError("a fault in the server")

    with caplog.at_level(logging.DEBUG):
        await api.post(made["path"])
        monkeypatch.setattr("dkronpy.catalog.links.Links.use", fail)
        await problem(await api.post(made["path"]), 500)
    logged = [f"{record.getMessage()} {vars(record)}" for record in caplog.records if record.name.startswith("dkronpy")]
    assert [line for line in logged if "a link asks for a run" in line and made["id"] in line]
    assert [line for line in logged if "a request failed" in line]
    assert not [line for line in logged if made["path"].rpartition(".")[2] in line]
