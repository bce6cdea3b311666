"""Everything that users can get wrong gets a 4xx that names the field, never a 5xx; nothing bad is stored."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.api.conftest import create, job, problem
from tests.support.api_node import ApiNode


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"name": None}, "name", "missing"),
        ({"name": ""}, "name", "empty"),
        ({"name": 5}, "name", "not a number"),
        ({"name": "Nightly Report!"}, "name", "illegal character 'N'"),
        ({"name": "a b"}, "name", "illegal character ' '"),
        ({"name": "a/b"}, "name", "illegal character '/'"),
        ({"name": "a\nb"}, "name", "illegal character '\\n'"),
        ({"name": "x" * 65}, "name", "at most 64"),
        ({"name": "x" * 1_000_000}, "name", "at most 64"),
        ({"schedule": ""}, "schedule", "missing"),
        ({"schedule": 5}, "schedule", "must be a string"),
        ({"schedule": "not-a-schedule"}, "schedule", "fields"),
        ({"schedule": "* * * *"}, "schedule", "4 fields"),
        ({"schedule": "@every 500ms"}, "schedule", "whole seconds"),
        ({"schedule": "x" * 5000}, "schedule", "1000"),
        ({"schedule": "0 0 31 2 *"}, "schedule", "never fires"),
        ({"timezone": "Mars/Phobos"}, "timezone", "Mars/Phobos"),
        ({"timezone": "../../etc/passwd"}, "timezone", "not known"),
        ({"timezone": "Mars/Phobos", "schedule": "", "parent_job": "p"}, "timezone", "Mars/Phobos"),
        ({"disabled": "yes"}, "disabled", "true or false, not a string"),
        ({"disabled": 0}, "disabled", "true or false, not a number"),
        ({"tags": ["a"]}, "tags", "object, not a list"),
        ({"tags": {"role": 5}}, "tags.role", "string"),
        ({"tags": {"role": "web:x"}}, "tags.role", "whole number"),
        ({"tags": {"role": "web:0"}}, "tags.role", "whole number"),
        ({"tags": {"": "x"}}, "tags.", "empty"),
        ({"tags": {f"k{n}": "x" for n in range(101)}}, "tags", "at most 100"),
        ({"metadata": {"a": True}}, "metadata.a", "string"),
        ({"metadata": {"a": None}}, "metadata.a", "string"),
        ({"processors": {"log": {"forward": True}}}, "processors.log.forward", "string"),
        ({"processors": {"log": "x"}}, "processors.log", "object"),
        ({"retries": -1}, "retries", "at least 0"),
        ({"retries": 101}, "retries", "at most 100"),
        ({"retries": "3"}, "retries", "whole number"),
        ({"retries": 1.5}, "retries", "whole number"),
        ({"retries": True}, "retries", "whole number"),
        ({"retries": 10**30}, "retries", "at most 100"),
        ({"retry": {"initial": "fast"}}, "retry.initial", "fast"),
        ({"retry": {"initial": 5}}, "retry.initial", "string"),
        ({"retry": {"factor": 0.5}}, "retry.factor", "at least 1"),
        ({"retry": {"maximum": "99999d"}}, "retry.maximum", "too long"),
        ({"retry": {"on": "other"}}, "retry.on", "'same' or 'any'"),
        ({"catchup": {"policy": "some"}}, "catchup.policy", "'all', 'latest' or 'none'"),
        ({"catchup": {"window": "-1s"}}, "catchup.window", "negative"),
        ({"catchup": "60s"}, "catchup", "object"),
        ({"concurrency": "Allow"}, "concurrency", "'allow', 'forbid', 'queue_one', 'queue_newest'"),
        ({"queue_limit": 0}, "queue_limit", "at least 1"),
        ({"concurrency_groups": "db"}, "concurrency_groups", "list"),
        ({"concurrency_groups": ["a", "b/c"]}, "concurrency_groups.1", "no name of a group"),
        ({"priority": 101}, "priority", "at most 100"),
        ({"wait_for_target": 10}, "wait_for_target", "string"),
        ({"retention": {"count": 0}}, "retention.count", "at least 1"),
        ({"retention": {"size": "5 lines"}}, "retention.size", "is not a size"),
        ({"executor": None}, "executor", "shell"),
        ({"executor": "bash"}, "executor", "shell"),
        ({"executor_config": {}}, "executor_config.command", "command"),
        ({"executor_config": {"command": "date", "timeout": 5}}, "executor_config.timeout", "string"),
        ({"executor_config": {"command": "date", "timeout": "5"}}, "executor_config.timeout", "5"),
        ({"starts_at": "tomorrow"}, "starts_at", "tomorrow"),
        ({"starts_at": 1795000000}, "starts_at", "string"),
        ({"expires_at": "2026-13-01T00:00:00Z"}, "expires_at", "2026-13-01"),
        ({"starts_at": "2027-01-01T00:00:00Z", "expires_at": "2027-01-01T00:00:00Z"}, "expires_at", "later"),
        ({"parent_job": "job1", "schedule": ""}, "parent_job", "own parent"),
        ({"parent_job": "nobody", "schedule": ""}, "parent_job", "does not exist"),
        ({"displayname": "x" * 1001}, "displayname", "at most 1000"),
    ],
)
async def test_bad_field(node: ApiNode, api: TestClient, fields: dict[str, Any], field: str, says: str) -> None:
    message = await problem(await api.post("/v1/jobs", json={**job(), **fields}), 400, field)
    assert says in message
    assert not node.mirror.jobs


async def test_all_errors_are_named_at_once(api: TestClient) -> None:
    async with api.post("/v1/jobs", json={"name": "X", "disabled": 1, "tags": {"a": 1}}) as response:
        fields = [error["field"] for error in (await response.json())["errors"]]
    assert fields == ["name", "disabled", "tags.a"]
    async with api.post("/v1/jobs", json=job(schedule="x", tags={"a": "b:0"})) as response:
        assert [error["field"] for error in (await response.json())["errors"]] == ["schedule", "tags.a"]


@pytest.mark.parametrize("name", ["a", "grün", "ёж", "0", "_-_", "x" * 64])
async def test_good_names(api: TestClient, name: str) -> None:
    made = await create(api, name)
    async with api.get(f"/v1/jobs/{name}") as response:
        assert (await response.json()) == made
    async with api.delete(f"/v1/jobs/{name}") as response:
        assert response.status == 200


async def test_loop_of_parents_is_refused(api: TestClient) -> None:
    await create(api, "a")
    await create(api, "b", schedule="", parent_job="a")
    await create(api, "c", schedule="", parent_job="b")
    await problem(await api.post("/v1/jobs", json=job("a", schedule="", parent_job="c")), 400, "parent_job")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b"null",
        b'"text"',
        b"{'a':1}",
        b"\xff\xfe",
        b'{"name":"\xff"}',
        b'{"name":"\\ud800"}',
        b"a=b",
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/jobs"), ("PUT", "/v1/jobs/a"), ("PATCH", "/v1/jobs")])
async def test_malformed_bodies(api: TestClient, method: str, path: str, body: bytes) -> None:
    response = await api.request(method, path, data=body)
    assert response.status == 400, await response.text()
    assert (await response.json(content_type="application/problem+json"))["detail"]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/restore", "/v1/schedule/preview", "/v1/pause"])
@pytest.mark.parametrize("opened", ['{"a":', "["])
async def test_deep_json(api: TestClient, path: str, opened: str) -> None:
    await problem(await api.post(path, data=opened * 200_000), 400)


async def test_body_too_large(api: TestClient) -> None:
    assert "1048576" in await problem(await api.post("/v1/jobs", data=io.BytesIO(b" " * (1 << 20) + b"{}")), 413)

    async def endless():
        for _ in range(17):
            yield b" " * (1 << 16)

    await problem(await api.post("/v1/jobs", data=endless()), 413)


async def test_compressed_bodies(node: ApiNode, api: TestClient) -> None:
    packed = gzip.compress(json.dumps(job()).encode())
    for body, status in ((packed, 201), (packed[:40], 400), (b"{}", 400)):
        async with api.post("/v1/jobs", data=body, headers={"Content-Encoding": "gzip"}) as response:
            assert response.status == status, await response.text()
    assert set(node.mirror.jobs) == {"job1"}


async def test_huge_numbers_and_keys(api: TestClient) -> None:
    for body in (b'{"retries":%s}' % (b"9" * 10_000), b'{"retries":1e999}', b'{"x":-1e-999}', b'{"retries":NaN}'):
        async with api.post("/v1/jobs", data=body) as response:
            assert response.status == 400
    async with api.post("/v1/jobs", json={**job(), "tags": {"k" * 100_000: 5}}) as response:
        assert response.status == 400
        assert len(await response.read()) < 1000


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/%ff",
        "/v1/jobs/a%2Fb",
        "/v1/jobs/%00",
        "/v1/jobs/a/executions/1-1-%ff",
        "/v1/jobs/" + "x" * 5000,
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
async def test_odd_paths(api: TestClient, method: str, path: str) -> None:
    async with api.request(method, path) as response:
        assert 400 <= response.status < 500, await response.text()
        json.loads(await response.read())


@pytest.mark.parametrize(
    "query", ["q=%ff", "status=%ff", "_sort=%ed%a0%80", "tags[%ff]=%ff", "_start=%D9%A3", "disabled=%ff"]
)
async def test_odd_queries(api: TestClient, query: str) -> None:
    async with api.get(f"/v1/jobs?{query}") as response:
        assert response.status in (200, 400), await response.text()
        json.loads(await response.read())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
TEXTS = st.text(max_size=30) | st.sampled_from(
    [
        "@every 1s",
        "* * * * *",
        "0 0 29 2 *",
        "@at 2027-01-01T00:00:00Z",
        "@manually",
        "UTC",
        "1h",
        "allow",
        "shell",
        "a:1",
        "job1",
    ]
)
FIELDS = [
    "name", "displayname", "timezone", "schedule", "owner", "disabled", "tags", "metadata", "retries", "retry",
    "parent_job", "processors", "concurrency", "executor", "executor_config", "ephemeral", "starts_at", "expires_at",
    "catchup", "id", "next", "status",
]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON | TEXTS, max_size=6))
async def test_whatever_is_posted_is_stored_and_readable_or_refused(api: TestClient, fields: dict[str, Any]) -> None:
    async with api.post("/v1/jobs", data=json.dumps({**job(), **fields})) as response:
        assert response.status in (201, 400), await response.text()
        body = await response.json(content_type=None)
    if response.status == 400:
        assert body["detail"]
        return
    async with api.get(response.headers["Location"]) as response:
        assert await response.json() == body
    async with api.post("/v1/jobs", json=body) as response:
        assert response.status == 201
        assert (await response.json())["schedule"] == body["schedule"]
