"""Restores of backups, real ones among them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestClient

from dkronpy.store.contract import Delete
from tests.integration.api.conftest import create, job, problem
from tests.support.api_node import ApiNode

DKRON_BACKUP = """[
 {"id":"child","name":"child","displayname":"","timezone":"Europe/Berlin","schedule":"","owner":"Platform Team",
  "owner_email":"platform@example.com","success_count":3,"error_count":0,"last_success":"2026-11-21T02:13:49.013455458Z",
  "last_error":null,"disabled":false,"tags":{"server":"true:1"},"metadata":null,"retries":0,"dependent_jobs":null,
  "parent_job":"job1","processors":{},"concurrency":"allow","executor":"shell","executor_config":{"command":"date"},
  "status":"success","next":"1970-01-01T00:00:00Z","ephemeral":false,"starts_at":null,"expires_at":null},
 {"id":"job1","name":"job1","displayname":"","timezone":"Europe/Berlin","schedule":"@every 5s","owner":"",
  "owner_email":"","success_count":4,"error_count":2,"last_success":"2026-11-21T02:13:49Z","last_error":"2026-11-21T02:13:44.5Z",
  "disabled":false,"tags":null,"metadata":{"team":"db"},"retries":3,"dependent_jobs":["child"],"parent_job":"",
  "processors":{"log":{"forward":"true"}},"concurrency":"forbid","executor":"shell",
  "executor_config":{"command":"exit 3","mem_limit":"512MB","shell":"true","timeout":"30s"},"status":"failed",
  "next":"2026-11-21T02:13:55Z","ephemeral":false,"starts_at":null,"expires_at":null},
 {"id":"once","name":"once","schedule":"@at 2018-01-01T00:00:00Z","executor":"shell",
  "executor_config":{"command":"date"}}
]"""


async def restored(api: TestClient, data: Any) -> list[str]:
    """The list in the string of the answer."""
    async with api.post("/v1/restore", data=data) as response:
        assert response.status == 200, await response.text()
        text = await response.json()
        assert isinstance(text, str)
        return json.loads(text)


@pytest.mark.parametrize("form", [True, False])
async def test_backup_of_a_dkron(node: ApiNode, api: TestClient, form: bool) -> None:
    data: Any = DKRON_BACKUP
    if form:
        data = FormData()
        data.add_field("file", DKRON_BACKUP.encode(), filename="backup.json")
    assert await restored(api, data) == ["success create child", "success create job1", "success create once"]
    async with api.get("/v1/jobs") as response:
        child, job1, once = await response.json()
    assert (child["parent_job"], child["success_count"], child["status"]) == ("job1", 3, "success")
    assert child["last_success"] == "2026-11-21T02:13:49.013455458Z"
    assert (job1["success_count"], job1["error_count"], job1["status"], job1["dependent_jobs"]) == (
        4,
        2,
        "failed",
        ["child"],
    )
    assert job1["last_error"] == "2026-11-21T02:13:44.5Z"
    assert (once["next"], once["success_count"]) == (None, 0)
    assert (node.mirror.jobs["job1"].value.retries, node.mirror.jobs["job1"].value.concurrency) == (3, "forbid")


async def test_our_own_backup(node: ApiNode, api: TestClient) -> None:
    await create(api, "b", schedule="0 30 2 * * *", retry={"initial": "5s"}, catchup={"policy": "latest"})
    await create(api, "a", schedule="", parent_job="b", metadata={"x": "1"})
    await node.state("b", success_count=5)
    before = await (await api.get("/v1/jobs")).text()
    for name in "ab":
        await api.delete(f"/v1/jobs/{name}")
        await node.write(Delete(node.keys.state(name)))
    assert await restored(api, before) == ["success create a", "success create b"]
    after = await (await api.get("/v1/jobs")).json()
    volatile = ("created_at", "updated_at")
    assert [{k: v for k, v in found.items() if k not in volatile} for found in after] == [
        {k: v for k, v in found.items() if k not in volatile} for found in json.loads(before)
    ]


async def test_replaces_what_is_there_and_keeps_its_counters(node: ApiNode, api: TestClient) -> None:
    await create(api, owner="me")
    await node.state("job1", success_count=9)
    assert await restored(api, json.dumps([job(success_count=1)])) == ["success create job1"]
    found = await (await api.get("/v1/jobs/job1")).json()
    assert (found["owner"], found["success_count"]) == ("", 9)


@pytest.mark.parametrize(
    ("jobs", "field"),
    [
        ([job("a"), job("B")], "B.name"),
        ([job("a"), job("b", schedule="x")], "b.schedule"),
        ([job("a"), job("b", success_count="5")], "b.success_count"),
        ([job("a"), job("b", status="fine")], "b.status"),
        ([job("a"), 5], "[1]"),
        ([job("a"), {}], "[1].name"),
        ([job("a"), job("a")], "a.name"),
        ([job("a"), job("b", parent_job="nobody")], "b.parent_job"),
        ([job("a", parent_job="b"), job("b", parent_job="a"), job("c")], "a.parent_job"),
        ([job("a", parent_job="a")], "a.parent_job"),
        ([job("j0"), *(job(f"j{n}", parent_job=f"j{n - 1}") for n in range(1, 52))], "j51.parent_job"),
    ],
)
async def test_one_bad_job_and_nothing_is_stored(node: ApiNode, api: TestClient, jobs: list[Any], field: str) -> None:
    revision = node.mirror.revision
    await problem(await api.post("/v1/restore", json=jobs), 400, field)
    assert (node.mirror.jobs, node.mirror.revision) == ({}, revision)


async def test_longest_chain_and_a_parent_that_is_stored(node: ApiNode, api: TestClient) -> None:
    await create(api, "j0")
    chain = [job(f"j{n}", parent_job=f"j{n - 1}") for n in range(1, 51)]
    assert len(await restored(api, json.dumps(chain[::-1]))) == 50
    await problem(await api.post("/v1/restore", json=[job("j51", parent_job="j50")]), 400, "j51.parent_job")


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"5", b'{"name":"a"}'])
async def test_no_backup(api: TestClient, body: bytes) -> None:
    await problem(await api.post("/v1/restore", data=body), 400)


async def test_broken_forms(api: TestClient) -> None:
    other = FormData()
    other.add_field("other", b"[]", filename="x")
    await problem(await api.post("/v1/restore", data=other), 400, "file")
    for kind, body in (
        ("multipart/form-data", b"[]"),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\n[]"),
        ("multipart/form-data; boundary=" + "x" * 500, b"--x\r\n"),
    ):
        await problem(await api.post("/v1/restore", data=body, headers={"Content-Type": kind}), 400)


async def test_many_errors_are_cut(api: TestClient) -> None:
    async with api.post("/v1/restore", json=[{"name": "X"}] * 5000) as response:
        assert response.status == 400
        assert len((await response.json())["errors"]) == 100


async def test_a_form_with_a_bad_header_is_refused(api: TestClient) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="G\x03"\r\n\r\n[]\r\n--x--\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    async with api.post("/v1/restore", data=body, headers=kind) as answer:
        assert answer.status == 400
        assert "form" in (await answer.json())["detail"]
