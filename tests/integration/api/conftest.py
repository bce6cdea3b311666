"""An API over memory, and a client of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.support.api_node import ApiNode, api_node

NOW = 1_795_000_000_000_000_000
"""2026-11-18T11:06:40Z, in ns."""
SECOND = 1_000_000_000


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ApiNode]:
    async with api_node(tmp_path) as node:
        node.now = NOW
        yield node


@pytest.fixture
async def api(node: ApiNode) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(node.app)) as client:
        yield client


def job(name: str = "job1", **fields: Any) -> dict[str, Any]:
    """A job as users write it."""
    return {
        "name": name,
        "schedule": "@every 10s",
        "executor": "shell",
        "executor_config": {"command": "date"},
        **fields,
    }


async def create(api: TestClient, name: str = "job1", **fields: Any) -> dict[str, Any]:
    """The job as the node answers it."""
    async with api.post("/v1/jobs", json=job(name, **fields)) as response:
        assert response.status == 201, await response.text()
        return await response.json()


async def problem(response: Any, status: int, field: str | None = None) -> str:
    """Check that an answer is this error; return its message for the field, or its detail."""
    body = await response.json(content_type="application/problem+json")
    assert response.status == status, body
    assert (body["status"], body["type"]) == (status, "about:blank")
    assert body["title"]
    assert body["detail"]
    if field is None:
        return body["detail"]
    messages = {error["field"]: error["message"] for error in body["errors"]}
    assert field in messages, body
    return messages[field]


async def events(response: Any) -> AsyncIterator[tuple[str, Any, str]]:
    """Server-sent events as (event, data, id)."""
    fields: dict[str, str] = {}
    async for line in response.content:
        text = line.decode().rstrip("\n")
        if text:
            name, _, value = text.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields["event"], json.loads(fields["data"]), fields["id"]
            fields = {}
        else:
            fields = {}
