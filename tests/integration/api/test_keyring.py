"""The routes of the cluster's keys."""

from __future__ import annotations

import base64
import hashlib

import pytest
from aiohttp.test_utils import TestClient

from dkronpy.config import Scope, Token
from dkronpy.gossip.gossip import KeyReport
from tests.integration.api.conftest import problem
from tests.support.api_node import ApiNode, FakeKeyring

KEY = base64.b64encode(bytes(range(16))).decode()
TOKENS = (
    Token(Scope.READ, "dashboard", hashlib.sha256(b"read-secret").digest()),
    Token(Scope.WRITE, "deploy", hashlib.sha256(b"write-secret").digest()),
)


async def test_listing(node: ApiNode, api: TestClient) -> None:
    node.cluster.keys = FakeKeyring(KeyReport(3, 2, {"n2": "broken"}, {KEY: 1}, {KEY: 1}))
    async with api.get("/v1/keyring") as response:
        assert await response.json() == {
            "complete": False,
            "members": 3,
            "answered": 2,
            "errors": {"n2": "broken"},
            "keys": {KEY: 1},
            "primary": {KEY: 1},
        }


@pytest.mark.parametrize("operation", ["install", "use", "remove"])
async def test_changing(node: ApiNode, api: TestClient, caplog: pytest.LogCaptureFixture, operation: str) -> None:
    caplog.set_level("DEBUG")
    node.cluster.keys = FakeKeyring()
    async with api.post(f"/v1/keyring/{operation}", json={"key": KEY}) as response:
        assert (response.status, (await response.json())["complete"]) == (200, True)
    assert node.cluster.keys.asked == [(operation, bytes(range(16)))]
    for body in ({}, {"key": ""}, {"key": 7}, {"key": "###"}, {"key": "YWJj"}):
        message = await problem(await api.post(f"/v1/keyring/{operation}", json=body), 400, "key")
        assert "keygen" in message
    assert len(node.cluster.keys.asked) == 1
    assert KEY not in caplog.text


async def test_a_cluster_without_a_key(api: TestClient) -> None:
    for response in (await api.get("/v1/keyring"), await api.post("/v1/keyring/use", json={"key": KEY})):
        assert "--encrypt" in await problem(response, 409)


async def test_a_reader_does_not_see_keys(node: ApiNode, api: TestClient) -> None:
    node.cluster.keys = FakeKeyring()
    node.settings = node.settings.model_copy(update={"tokens": TOKENS})
    read, write = ({"Authorization": f"Bearer {word}-secret"} for word in ("read", "write"))
    await problem(await api.get("/v1/keyring", headers=read), 403)
    assert (await api.head("/v1/keyring", headers=read)).status == 403
    await problem(await api.post("/v1/keyring/install", headers=read, json={"key": KEY}), 403)
    assert node.cluster.keys.asked == []
    assert (await api.get("/v1/keyring", headers=write)).status == 200
