"""Who is let in: hosts, pages of other sites, tokens."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from dkronpy.config import Scope, Token
from tests.integration.api.conftest import create, job, problem
from tests.support.api_node import ApiNode, api_node

Open = Callable[..., AbstractAsyncContextManager[tuple[ApiNode, TestClient]]]
TOKENS = (
    Token(Scope.READ, "dashboard", hashlib.sha256(b"read-secret").digest()),
    Token(Scope.WRITE, "deploy", hashlib.sha256(b"write-secret").digest()),
)


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncGenerator[tuple[ApiNode, TestClient]]:
        async with api_node(tmp_path, **settings) as node, TestClient(TestServer(node.app)) as client:
            yield node, client

    return opened


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"},
    ],
)
async def test_pages_of_other_sites_are_refused(node: ApiNode, api: TestClient, headers: dict[str, str]) -> None:
    for method, path in (("POST", "/v1/jobs"), ("GET", "/v1/jobs"), ("POST", "/v1/leave"), ("GET", "/nothing")):
        response = await api.request(method, path, json=job(), headers=headers)
        assert "--cors-origin" in await problem(response, 403)
        assert not [name for name in response.headers if name.lower().startswith("access-control-")]
    assert not node.mirror.jobs
    assert not node.cluster.left
    preflight = {**headers, "Access-Control-Request-Method": "POST"}
    assert (await api.options("/v1/jobs", headers=preflight)).status == 403


async def test_own_pages_are_let_in(api: TestClient) -> None:
    own = {"Origin": f"http://127.0.0.1:{api.port}", "Sec-Fetch-Site": "same-origin"}
    async with api.post("/v1/jobs", json=job(), headers=own) as response:
        assert response.status == 201
    for site in ("same-origin", "same-site", "none"):
        async with api.get("/v1/jobs", headers={"Sec-Fetch-Site": site}) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("LOCALHOST:8080", 200), ("localhost.", 200), ("127.0.0.1:8080", 200), ("[::1]:8080", 200),
        ("192.168.1.5", 200), ("node1", 200), ("Node1:80", 200), ("api.internal:8080", 200),
        ("evil.example", 421), ("evil.example:8080", 421), ("localhost.evil.example", 421), ("node1.evil.example", 421),
        ("127.0.0.1.evil.example", 421), ("localhost@evil.example", 421), ("[::1", 421), ("a:b:c", 421),
        ("localhost/x", 421), ("\u00ff", 421),
    ],
)  # fmt: skip
async def test_hosts(opened: Open, host: str, status: int) -> None:
    async with opened(http_addr="api.internal:8080", allow_unauthenticated=True) as (_, api):
        response = await api.get("/v1/jobs", headers={"Host": host})
        assert response.status == status
        if status != 200:
            await problem(response, status)


async def test_shared_with_an_origin(opened: Open) -> None:
    async with opened(cors_origin=["https://ui.example"]) as (_, api):
        origin = {"Origin": "https://ui.example", "Sec-Fetch-Site": "cross-site"}
        async with api.post("/v1/jobs", json=job(), headers=origin) as response:
            assert response.status == 201
            assert response.headers["Access-Control-Allow-Origin"] == "https://ui.example"
            assert "X-Total-Count" in response.headers["Access-Control-Expose-Headers"]
            assert response.headers["Vary"] == "Origin"
        preflight = {**origin, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
        async with api.options("/v1/jobs/job1", headers=preflight) as response:
            assert response.status == 204
            assert "PUT" in response.headers["Access-Control-Allow-Methods"]
            assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
        await problem(await api.get("/v1/jobs", headers={"Origin": "https://evil.example"}), 403)
        async with api.get("/v1/jobs") as response:
            assert "Access-Control-Allow-Origin" not in response.headers
    async with (
        opened(cors_origin=["*"]) as (_, api),
        api.get("/v1", headers={"Origin": "https://any.example"}) as response,
    ):
        assert response.headers["Access-Control-Allow-Origin"] == "https://any.example"


async def test_tokens(opened: Open) -> None:
    async with opened(tokens=TOKENS) as (node, api):
        read = {"Authorization": "Bearer read-secret"}
        write = {"Authorization": "bearer  write-secret"}
        assert (await api.get("/health")).status == 200
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic cmVhZC1zZWNyZXQ="},
                        {"Authorization": "Bearer"}, {"Authorization": "read-secret"},
                        {"Authorization": "Bearer \u00ff"}):  # fmt: skip
            for path in ("/v1/jobs", "/metrics", "/v1/openapi.yaml", "/nothing", "/"):
                response = await api.get(path, headers=headers)
                assert response.headers["WWW-Authenticate"].startswith("Bearer")
                await problem(response, 401)
        async with api.get("/v1/jobs", headers=read) as response:
            assert response.status == 200
        async with api.post("/v1/schedule/preview", json={"schedule": "@every 1s"}, headers=read) as response:
            assert response.status == 200
        for method, path in (
            ("POST", "/v1/jobs"),
            ("DELETE", "/v1/jobs/x"),
            ("POST", "/v1/leave"),
            ("POST", "/v1/pause"),
        ):
            await problem(await api.request(method, path, json=job(), headers=read), 403)
        assert not node.cluster.left
        async with api.post("/v1/jobs", json=job(), headers={**write, "Host": "any.example"}) as response:
            assert response.status == 201
        (edit,) = await node.jobs.edits("job1")
        assert edit.by == "deploy"


async def test_new_settings_hold_at_once(node: ApiNode, api: TestClient) -> None:
    await create(api)
    node.settings = node.settings.model_copy(update={"tokens": TOKENS})
    await problem(await api.get("/v1/jobs"), 401)
    node.settings = node.settings.model_copy(update={"tokens": (), "node_name": "other"})
    assert (await api.get("/v1/jobs", headers={"Host": "other"})).status == 200


async def test_header_and_line_limits(api: TestClient) -> None:
    for path, headers in (("/v1/jobs", {"X-Long": "x" * 20_000}), ("/v1/jobs?q=" + "x" * 20_000, {})):
        async with api.get(path, headers=headers) as response:
            assert 400 <= response.status < 500
