"""Jobs that run after others: how they are written, refused, deleted and shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from dkronpy.model.dependency import ParentRun
from dkronpy.model.duration import SECOND
from dkronpy.model.job import Job
from dkronpy.store.contract import Delete, Guard, Operation
from tests.integration.api.conftest import NOW, create, job, problem
from tests.support.api_node import ApiNode


async def tree(api: TestClient) -> None:
    for name in ("load", "check"):
        await create(api, name)
    parents = ["load", {"job": "check", "on": "completion"}]
    await create(api, "report", schedule="", depends_on={"parents": parents, "window": "2h"})
    await create(api, "archive", schedule="", parent_job="report")
    await create(api, "alone")


async def get(api: TestClient, path: str) -> Any:
    async with api.get(path) as response:
        assert response.status == 200
        return await response.json()


async def test_a_job_with_several_parents(api: TestClient) -> None:
    await tree(api)
    found = await get(api, "/v1/jobs/report")
    assert (found["parent_job"], found["next"]) == ("", None)
    assert found["depends_on"] == {
        "parents": [{"job": "load", "on": "success"}, {"job": "check", "on": "completion"}],
        "require": "all",
        "window": "2h",
    }
    for name in ("load", "check"):
        assert (await get(api, f"/v1/jobs/{name}"))["dependent_jobs"] == ["report"]
    description = "After a success of load and a run of check that end within 2h of each other"
    assert await get(api, "/v1/jobs/report/next") == {"description": description, "fires": []}
    async with api.patch("/v1/jobs/report", json={"depends_on": {"parents": ["check"]}}) as response:
        assert response.status == 200
    assert (await get(api, "/v1/jobs/load"))["dependent_jobs"] is None
    assert (await get(api, "/v1/jobs/report"))["depends_on"]["window"] == "2h"


@pytest.mark.parametrize(
    ("depends_on", "field", "says"),
    [
        ({"parents": []}, "depends_on", "names no parent"),
        ({}, "depends_on.parents", "is missing"),
        (["load"], "depends_on", "object"),
        ({"parents": "load"}, "depends_on.parents", "list"),
        ({"parents": [""]}, "depends_on.parents.0.job", "empty"),
        ({"parents": ["load", "load"]}, "depends_on", "names load twice"),
        ({"parents": [{"job": "load", "on": "maybe"}]}, "depends_on.parents.0.on", "'success', 'failure'"),
        ({"parents": ["load"], "require": "two"}, "depends_on.require", "'all' or 'any'"),
        ({"parents": ["load"], "window": "0s"}, "depends_on", "at least 1s"),
        ({"parents": ["load"], "window": 5}, "depends_on.window", "string"),
        ({"parents": ["load", "nobody"]}, "depends_on.parents.1.job", "'nobody' does not exist"),
        ({"parents": ["load", "new"]}, "depends_on", "new → new"),
    ],
)
async def test_bad_parents(api: TestClient, depends_on: Any, field: str, says: str) -> None:
    await create(api, "load")
    refused = await api.post("/v1/jobs", json={**job("new"), "schedule": "", "depends_on": depends_on})
    assert says in await problem(refused, 400, field)
    assert "new" not in {found["name"] for found in await get(api, "/v1/jobs")}


async def test_parents_are_named_in_one_way(api: TestClient) -> None:
    await create(api, "load")
    both = {**job("new"), "parent_job": "load", "depends_on": {"parents": ["load"]}}
    assert "beside parent_job" in await problem(await api.post("/v1/jobs", json=both), 400, "depends_on")


async def test_a_loop_is_refused_and_named_however_it_is_written(api: TestClient) -> None:
    await tree(api)
    loop = "load → report → archive → load"
    body = {"depends_on": {"parents": ["alone", "archive"]}, "schedule": ""}
    assert loop in await problem(await api.patch("/v1/jobs/load", json=body), 400, "depends_on")
    put = await api.put("/v1/jobs/load", json={**job("load"), **body})
    assert loop in await problem(put, 400, "depends_on")
    assert loop in await problem(await api.patch("/v1/jobs/load", json={"parent_job": "archive"}), 400, "parent_job")
    backup = [{**job(name), "parent_job": parent} for name, parent in (("x", "z"), ("y", "x"), ("z", "y"))]
    told = await problem(await api.post("/v1/restore", json=backup), 400)
    assert "x → y → z → x" in told or "y → z → x → y" in told or "z → x → y → z" in told
    across = [{**job("load"), "parent_job": "archive"}]
    assert loop in await problem(await api.post("/v1/restore", json=across), 400, "load.parent_job")


async def test_a_parent_is_deleted_last(api: TestClient) -> None:
    await tree(api)
    told = await problem(await api.delete("/v1/jobs/check"), 409, "dependent_jobs")
    assert "the parent of report: delete those first, or take it out of their parents" in told
    async with api.patch("/v1/jobs/report", json={"depends_on": {"parents": ["load"]}}) as response:
        assert response.status == 200
    assert (await api.delete("/v1/jobs/check")).status == 200


async def test_the_graph(node: ApiNode, api: TestClient) -> None:
    await tree(api)
    late = ParentRun("check", 3, NOW - 7201 * SECOND)
    await node.state("report", met=(late, ParentRun("check", 5, NOW - 60 * SECOND)))
    jobs = {found["name"]: found for found in (await get(api, "/v1/graph"))["jobs"]}
    assert list(jobs) == ["archive", "check", "load", "report"]
    assert jobs["load"]["children"] == ["report"]
    assert (jobs["load"]["parents"], jobs["load"]["require"], jobs["load"]["window"]) == ([], None, None)
    report = jobs["report"]
    assert (report["require"], report["window"], report["children"]) == ("all", "2h", ["archive"])
    assert report["parents"] == [
        {"job": "load", "on": "success", "exists": True, "met": []},
        {
            "job": "check",
            "on": "completion",
            "exists": True,
            "met": [{"job": "check", "group": 5, "finished_at": "2026-11-18T11:05:40Z"}],
        },
    ]
    around = await get(api, "/v1/jobs/load/graph")
    assert [found["name"] for found in around["jobs"]] == ["archive", "load", "report"]
    assert [found["name"] for found in (await get(api, "/v1/jobs/alone/graph"))["jobs"]] == ["alone"]
    await problem(await api.get("/v1/jobs/nobody/graph"), 404)
    told = (await get(api, "/v1/jobs/report/explain"))["explanation"]
    assert told.startswith("the job runs after a success of load and a run of check that end within 2h of each other")
    assert told.endswith("met so far: check by group 5, at 2026-11-18T11:05:40Z; still to come: load")


async def test_a_job_has_so_many_children(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dkronpy.catalog.jobs.MAX_CHILDREN", 2)
    monkeypatch.setattr("dkronpy.api.restore.MAX_CHILDREN", 2)
    await create(api, "load")
    for name in ("a", "b"):
        await create(api, name, schedule="", parent_job="load")
    more = {**job("c"), "parent_job": "load"}
    assert "the parent of 2 jobs already" in await problem(await api.post("/v1/jobs", json=more), 400, "parent_job")
    told = await problem(await api.post("/v1/restore", json=[more]), 400, "load.dependent_jobs")
    assert "at most 2 others" in told
    async with api.patch("/v1/jobs/b", json={"owner": "me"}) as response:
        assert response.status == 200


async def test_a_parent_is_not_deleted_while_a_child_comes(
    node: ApiNode, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child is written by another server, when this one has already looked for children of its parent."""
    await create(api, "load")
    commit, adding = node.store.commit, [Job("report", 0, parent_job="load")]

    async def meanwhile(guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        if adding and any(isinstance(operation, Delete) for operation in operations):
            await node.jobs.put(adding.pop(), by="another server")
        return await commit(guards, operations)

    monkeypatch.setattr(node.store, "commit", meanwhile)
    told = await problem(await api.delete("/v1/jobs/load"), 409, "dependent_jobs")
    assert "'load' is the parent of report" in told
    assert not adding
    assert set(node.mirror.jobs) == {"load", "report"}


async def test_a_child_is_refused_while_its_parent_is_deleted(
    node: ApiNode, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(api, "load")
    commit, deleting = node.store.commit, ["load"]

    async def meanwhile(guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        if deleting:
            await node.jobs.delete(deleting.pop(), by="another server")
        return await commit(guards, operations)

    monkeypatch.setattr(node.store, "commit", meanwhile)
    told = await problem(await api.post("/v1/jobs", json={**job("report"), "parent_job": "load"}), 400, "parent_job")
    assert "the parent 'load' does not exist" in told
    assert not node.mirror.jobs
