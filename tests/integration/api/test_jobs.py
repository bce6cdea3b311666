"""Jobs over HTTP: what Dkron's clients rely on, and what is put right."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from dkronpy.model.execution import Execution, State
from dkronpy.model.job import JobStatus
from dkronpy.store.contract import MAX_BYTES
from tests.integration.api.conftest import NOW, SECOND, create, job, problem
from tests.support.api_node import NODE, ApiNode

DKRON_FIELDS = [
    "id", "name", "displayname", "timezone", "schedule", "owner", "owner_email", "success_count", "error_count",
    "last_success", "last_error", "disabled", "tags", "metadata", "retries", "dependent_jobs", "parent_job",
    "processors", "concurrency", "executor", "executor_config", "status", "check", "next", "ephemeral", "starts_at",
    "expires_at",
]  # fmt: skip


async def test_first_job_by_curl(api: TestClient) -> None:
    body = (
        b'{"name":"job1","schedule":"@every 10s","timezone":"Europe/Berlin","owner":"Platform Team",'
        b'"owner_email":"platform@example.com","disabled":false,"tags":{"dkron_server":"true:1"},"concurrency":"allow",'
        b'"executor":"shell","executor_config":{"command":"date"}}'
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with api.post("/v1/jobs", data=body, headers=headers) as response:
        assert response.status == 201
        assert response.headers["Location"] == "/v1/jobs/job1"
        assert response.headers["X-Whom"] == NODE
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        made = await response.json()
    assert list(made)[: len(DKRON_FIELDS)] == DKRON_FIELDS
    sent = json.loads(body)
    assert {field: made[field] for field in sent} == sent
    assert made | {"created_at": None, "updated_at": None} == sent | {
        "id": "job1",
        "displayname": "",
        "success_count": 0,
        "error_count": 0,
        "last_success": None,
        "last_error": None,
        "metadata": None,
        "retries": 0,
        "dependent_jobs": None,
        "parent_job": "",
        "depends_on": None,
        "processors": {},
        "status": "",
        "check": "",
        "next": "2026-11-18T11:06:50Z",
        "ephemeral": False,
        "starts_at": None,
        "expires_at": None,
        "schedules": [],
        "spread": "0s",
        "calendars": [],
        "blackouts": [],
        "hash": "independent",
        "hash_id": "",
        "retry": {"initial": "1s", "factor": 2.0, "maximum": "5m", "on": "same"},
        "catchup": {"window": "1m", "policy": "all"},
        "queue_limit": 100,
        "concurrency_groups": [],
        "priority": 0,
        "wait_for_target": "0s",
        "retention": {"count": None, "age": None, "size": None, "failed_count": None, "failed_age": None},
        "parameters": [],
        "source": "",
        "created_at": None,
        "updated_at": None,
        "running": 0,
    }
    async with api.get("/v1/jobs/job1") as response:
        assert await response.json() == made


async def test_replace_keeps_counters_and_dependents_and_drops_the_rest(node: ApiNode, api: TestClient) -> None:
    await create(api, displayname="One", owner="me", retries=3)
    await create(api, "child", schedule="", parent_job="job1")
    await node.state("job1", success_count=7, error_count=2, last_success=NOW - SECOND, status=JobStatus.SUCCESS)
    made = await create(api)
    assert (made["displayname"], made["owner"], made["retries"]) == ("", "", 0)
    assert (made["success_count"], made["error_count"], made["status"]) == (7, 2, "success")
    assert (made["last_success"], made["dependent_jobs"]) == ("2026-11-18T11:06:39Z", ["child"])


async def test_whole_answer_can_be_posted_back(node: ApiNode, api: TestClient) -> None:
    await create(api, "parent")
    await create(api, starts_at="2026-12-01T00:00:00Z", tags={"role": "web:2"}, processors={"log": {"forward": "true"}})
    await create(api, "child", schedule="", parent_job="job1")
    await node.state("job1", success_count=3)
    read = await (await api.get("/v1/jobs/job1")).json()
    read |= {"next": "1970-01-01T00:00:00Z", "success_count": 99, "unknown": {"deep": [1]}}
    for method, path in (("POST", "/v1/jobs"), ("PUT", "/v1/jobs/job1"), ("PATCH", "/v1/jobs/job1")):
        async with api.request(method, path, json=read) as response:
            assert response.status in (200, 201), await response.text()
            back = await response.json()
        assert back["next"] == "2026-12-01T00:00:00Z"
        assert back["success_count"] == 3
        assert {k: v for k, v in back.items() if k not in ("next", "success_count")} == {
            k: v for k, v in read.items() if k not in ("next", "success_count", "unknown")
        }


async def test_nulls_and_zero_times_mean_not_given(api: TestClient) -> None:
    nulls: dict[str, Any] = dict.fromkeys(DKRON_FIELDS)
    zero = {"starts_at": "0001-01-01T00:00:00Z", "expires_at": "", "last_success": "0001-01-01T00:00:00Z"}
    async with api.post("/v1/jobs", json={**nulls, **job(), **zero}) as response:
        assert response.status == 201, await response.text()
        made = await response.json()
    assert (made["starts_at"], made["expires_at"], made["concurrency"], made["retries"]) == (None, None, "allow", 0)


async def test_put(api: TestClient) -> None:
    async with api.put("/v1/jobs/job1", json=job()) as response:
        assert response.status == 201
        assert response.headers["Location"] == "/v1/jobs/job1"
    unnamed = {key: value for key, value in job(owner="me").items() if key != "name"}
    async with api.put("/v1/jobs/job1", json=unnamed) as response:
        assert response.status == 200
        assert (await response.json())["owner"] == "me"
    assert "job1" in await problem(await api.put("/v1/jobs/job1", json=job("job2")), 400, "name")
    await problem(await api.put("/v1/jobs/job1", json=[1]), 400, "")


async def test_patch_merges(api: TestClient) -> None:
    await create(api, owner="me", metadata={"a": "1", "b": "2"}, retry={"initial": "2s", "factor": 3})
    patch = {"owner": None, "metadata": {"a": None, "c": "3"}, "retry": {"maximum": "1h"}, "next": "x", "id": 5}
    async with api.patch("/v1/jobs/job1", json=patch) as response:
        assert response.status == 200, await response.text()
        made = await response.json()
    assert made["owner"] == ""
    assert made["metadata"] == {"b": "2", "c": "3"}
    assert made["retry"] == {"initial": "2s", "factor": 3.0, "maximum": "1h", "on": "same"}
    await problem(await api.patch("/v1/jobs/job1", json={"name": "other"}), 400, "name")
    await problem(await api.patch("/v1/jobs/job1", json={"retries": "3"}), 400, "retries")
    await problem(await api.patch("/v1/jobs/nobody", json={}), 404)
    async with api.patch("/v1/jobs", json={"name": "job1", "owner": "you"}) as response:
        assert (response.status, (await response.json())["metadata"]) == (200, {"b": "2", "c": "3"})
    async with api.patch("/v1/jobs", json=job("job2")) as response:
        assert response.status == 201


async def test_entity_tags(api: TestClient) -> None:
    await create(api)
    async with api.get("/v1/jobs/job1") as response:
        tag = response.headers["ETag"]
    async with api.put("/v1/jobs/job1", json=job(owner="a"), headers={"If-Match": tag}) as response:
        assert response.status == 200
        newer = response.headers["ETag"]
        assert newer != tag
    stale = {"If-Match": tag}
    for method, path in (("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/toggle")):
        body = job(owner="b") if method == "PUT" else {"owner": "b"}
        await problem(await api.request(method, f"/v1/jobs/job1{path}", json=body, headers=stale), 412)
    await problem(await api.post("/v1/jobs", json=job(owner="b"), headers=stale), 412)
    await problem(await api.post("/v1/jobs", json=job("new"), headers={"If-Match": "*"}), 412)
    await problem(await api.post("/v1/jobs", json=job(), headers={"If-None-Match": "*"}), 412)
    async with api.get("/v1/jobs/job1") as response:
        assert (response.headers["ETag"], (await response.json())["owner"]) == (newer, "a")
    async with api.delete("/v1/jobs/job1", headers={"If-Match": f'"0", {newer}'}) as response:
        assert response.status == 200


async def test_of_two_writers_with_one_tag_one_is_refused(api: TestClient) -> None:
    await create(api)
    tag = (await api.get("/v1/jobs/job1")).headers["ETag"]
    answers = await asyncio.gather(
        *(api.put("/v1/jobs/job1", json=job(owner=f"o{n}"), headers={"If-Match": tag}) for n in range(8))
    )
    assert sorted(answer.status for answer in answers) == [200, *[412] * 7]


async def test_delete(api: TestClient) -> None:
    made = await create(api)
    await create(api, "child", schedule="", parent_job="job1")
    assert "child" in await problem(await api.delete("/v1/jobs/job1"), 409, "dependent_jobs")
    assert (await api.delete("/v1/jobs/child")).status == 200
    async with api.delete("/v1/jobs/job1") as response:
        assert (response.status, await response.json()) == (200, made)
    assert "'job1'" in await problem(await api.get("/v1/jobs/job1"), 404)
    await problem(await api.delete("/v1/jobs/job1"), 404)


async def test_toggle_twice(api: TestClient) -> None:
    await create(api)
    for disabled, fire in ((True, None), (False, "2026-11-18T11:06:50Z")):
        async with api.post("/v1/jobs/job1/toggle") as response:
            made = await response.json()
            assert (response.status, response.headers["Location"]) == (200, "/v1/jobs/job1")
        assert (made["disabled"], made["next"]) == (disabled, fire)
    await problem(await api.post("/v1/jobs/nobody/toggle"), 404)


async def test_run_is_durable_and_answers_at_once_without_a_leader(node: ApiNode, api: TestClient) -> None:
    node.cluster.leader_name = None
    await create(api, disabled=True)
    async with api.post("/v1/jobs/job1", data=b"") as response:
        assert (response.status, response.headers["Location"]) == (200, "/v1/jobs/job1")
        first = await response.json()
    async with api.post("/v1/jobs/job1/run", json={"env": {"A": "1"}}) as response:
        second = await response.json()
    assert (first["name"], first["run"], second["run"]) == ("job1", {"group": NOW}, {"group": NOW + 1})
    triggers = node.mirror.triggers.items()
    assert [(group, held.value.env) for (_, group), held in triggers] == [
        (NOW, {}),
        (NOW + 1, {"A": "1"}),
    ]
    await problem(await api.post("/v1/jobs/nobody/run"), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"env": ["A=1"]}, "env"),
        ({"env": {"A": 1}}, "env.A"),
        ({"env": {"A B": "1"}}, "env.A B"),
        ({"env": {"A": "\0"}}, "env.A"),
        ({"env": {"A": "x" * 64_001}}, "env"),
        ([], ""),
    ],
)
async def test_run_with_a_bad_environment(api: TestClient, body: Any, field: str) -> None:
    await create(api)
    await problem(await api.post("/v1/jobs/job1/run", json=body), 400, field)


async def test_run_on_create(node: ApiNode, api: TestClient) -> None:
    for query, group in (("?runoncreate", NOW), ("?runoncreate=", NOW + 1), ("?runoncreate=true", NOW + 2)):
        async with api.post(f"/v1/jobs{query}", json=job()) as response:
            assert (response.status, (await response.json())["run"]) == (201, {"group": group})
    async with api.post("/v1/jobs?runoncreate=false", json=job()) as response:
        assert "run" not in await response.json()
    assert {held.value.kind for held in node.mirror.triggers.values()} == {"create"}


async def test_list_filters_sorts_and_slices(node: ApiNode, api: TestClient) -> None:
    await create(api, "a", displayname="Zebra", tags={"role": "web:1"}, metadata={"team": "x"}, schedule="@every 1h")
    await create(api, "b", displayname="Back up", disabled=True, metadata={"team": "x", "tier": "1"})
    await create(api, "c", schedule="@every 20s")
    await node.state("a", success_count=1, status=JobStatus.SUCCESS, last_success=NOW)
    await node.state("c", error_count=5, status=JobStatus.PARTIALLY_FAILED)

    async def names(query: str, total: int) -> str:
        async with api.get(f"/v1/jobs?{query}") as response:
            assert response.status == 200, await response.text()
            assert response.headers["X-Total-Count"] == str(total)
            return "".join(found["name"] for found in await response.json())

    assert await names("", 3) == "abc"
    assert await names("q=zeb", 1) == "a"
    assert await names("q=b", 2) == "ab"  # in the name of one, in the display name of the other
    assert await names("status=untriggered", 1) == "b"
    assert await names("status=partially_failed", 1) == "c"
    assert await names("disabled=true", 1) == "b"
    assert await names("disabled=false", 2) == "ac"
    assert await names("tags[role]=web:1", 1) == "a"
    assert await names("tags[role]=web", 0) == ""
    assert await names("metadata[team]=x&metadata[tier]=1", 1) == "b"
    assert await names("metadata%5Bteam%5D=x", 2) == "ab"
    assert await names("_sort=displayname", 3) == "cba"
    assert await names("_sort=error_count&_order=DESC", 3) == "cab"
    assert await names("_sort=last_success&_order=desc", 3) == "abc"
    assert await names("_sort=next", 3) == "cab"  # what never fires comes last
    assert await names("_sort=id&_order=ASC&_start=1&_end=2", 3) == "b"
    assert await names("_start=1", 3) == "bc"
    assert await names("_start=7&_end=9", 3) == ""
    assert await names("_end=99", 3) == "abc"
    for query, field in (
        ("status=running", "status"), ("disabled=maybe", "disabled"), ("_sort=nothing", "_sort"),
        ("_order=up", "_order"), ("_start=-1", "_start"), ("_end=x", "_end"), ("_end=99999999999999999999", "_end"),
    ):  # fmt: skip
        await problem(await api.get(f"/v1/jobs?{query}"), 400, field)


async def test_next_follows_the_definition_and_the_clock(node: ApiNode, api: TestClient) -> None:
    async def coming(name: str) -> tuple[str | None, str | None]:
        one = (await (await api.get(f"/v1/jobs/{name}")).json())["next"]
        listed = {found["name"]: found["next"] for found in await (await api.get("/v1/jobs")).json()}
        return one, listed[name]

    await create(api)
    await create(api, "never", schedule="@manually")
    await create(api, "later", starts_at="2026-11-19T00:00:05Z")
    await create(api, "soon-over", expires_at="2026-11-18T11:06:55Z")
    await create(api, "child", schedule="@every 5s", parent_job="job1")
    await create(api, "berlin", schedule="0 30 2 * * *", timezone="Europe/Berlin")
    assert await coming("job1") == ("2026-11-18T11:06:50Z",) * 2
    assert await coming("never") == (None, None)
    assert await coming("later") == ("2026-11-19T00:00:10Z",) * 2
    assert await coming("soon-over") == ("2026-11-18T11:06:50Z",) * 2
    assert await coming("child") == (None, None)
    assert await coming("berlin") == ("2026-11-19T01:30:00Z",) * 2
    node.now = NOW + 10 * SECOND
    assert await coming("job1") == ("2026-11-18T11:07:00Z",) * 2
    assert await coming("soon-over") == (None, None)


async def test_what_a_job_shows_is_never_stale(node: ApiNode, api: TestClient) -> None:
    async def both(name: str = "job1") -> dict[str, Any]:
        one = await (await api.get(f"/v1/jobs/{name}")).json()
        assert one in await (await api.get("/v1/jobs")).json()
        return one

    await create(api)
    assert (await both())["running"] == 0
    run = Execution("job1", NOW, 1, NODE, State.RUNNING)
    await node.fly(run)
    assert (await both())["running"] == 1
    await node.fly(Execution("job1", NOW, 1, NODE, State.SUCCESS))
    assert (await both())["running"] == 0
    await node.state("job1", success_count=1)
    assert (await both())["success_count"] == 1
    await create(api, "child", schedule="", parent_job="job1")
    assert (await both())["dependent_jobs"] == ["child"]
    await create(api, "other")
    await create(api, "child", schedule="", parent_job="other")
    assert ((await both())["dependent_jobs"], (await both("other"))["dependent_jobs"]) == (None, ["child"])
    await api.delete("/v1/jobs/child")
    assert (await both("other"))["dependent_jobs"] is None
    assert [found["name"] for found in await (await api.get("/v1/jobs")).json()] == ["job1", "other"]


async def test_at_already_past_is_refused_when_written_but_not_when_it_stands(node: ApiNode, api: TestClient) -> None:
    past, coming = "@at 2026-11-18T11:06:39.999999+00:00", "@at 2026-11-18T12:06:41.000001+01:00"
    assert "past" in await problem(await api.post("/v1/jobs", json=job(schedule=past)), 400, "schedule")
    made = await create(api, schedule=coming)
    assert made["next"] == "2026-11-18T11:06:41.000001Z"
    node.now = NOW + 5 * SECOND
    assert (await create(api, schedule=coming, owner="me"))["next"] is None
    async with api.patch("/v1/jobs/job1", json={"owner": "you"}) as response:
        assert response.status == 200
    await problem(await api.post("/v1/jobs", json=job("job2", schedule=coming)), 400, "schedule")


async def test_changes(node: ApiNode, api: TestClient) -> None:
    await create(api)
    node.now = NOW + SECOND
    await create(api, owner="me", retries=2)
    await create(api, owner="me", retries=2)  # changes nothing
    await api.delete("/v1/jobs/job1")
    async with api.get("/v1/jobs/job1/changes") as response:
        changes = await response.json()
    assert [(change["action"], change["by"]) for change in changes] == [
        ("deleted", "api"),
        ("changed", "api"),
        ("created", "api"),
    ]
    assert changes[1]["changes"] == {"owner": {"old": "", "new": "me"}, "retries": {"old": 0, "new": 2}}
    assert changes[1]["at"] == "2026-11-18T11:06:41Z"
    assert (changes[0]["job"], changes[2]["job"]["schedule"]) == (None, "@every 10s")
    await problem(await api.get("/v1/jobs/nobody/changes"), 404)


@pytest.mark.parametrize("length", [20_000, 300_000])
async def test_job_too_large_for_the_store(api: TestClient, length: int) -> None:
    values = {f"k{n}": "x" * (length // 10) for n in range(10)}
    response = await api.post("/v1/jobs", json=job(executor_config={"command": "date", **values}))
    if length < MAX_BYTES // 4:
        assert response.status == 201
    else:
        await problem(response, 400, "")
