"""What the dashboard is told in few bytes: the overview, the last runs, a job's history, the nodes, chosen events."""

from __future__ import annotations

import time

from aiohttp.test_utils import TestClient

from dkronpy.catalog.keys import encode
from dkronpy.history.contract import HistoryError
from dkronpy.model.backfill import Backfill, BackfillPolicy
from dkronpy.model.execution import Execution, Reason, State
from dkronpy.model.member import Member, MemberStatus
from dkronpy.model.records import Drain
from dkronpy.store.contract import Delete, Put
from tests.integration.api.conftest import NOW, SECOND, create, events, problem
from tests.support.api_node import NODE, ApiNode

MINUTE = 60 * SECOND


def run(name: str, ago: int, state: State = State.SUCCESS, late: int = 0, node: str = NODE) -> Execution:
    """A run that was due so many ns ago, took a second and began `late` ns late."""
    due = NOW - ago
    if not state.ran:
        return Execution(name, due, 0, "", state, Reason.OVERLAP, fire=due, decided=due)
    end = due + late + SECOND if state.final else None
    return Execution(name, due, 1, node, state, fire=due, decided=due, started=due + late, finished=end)


async def test_overview_counts_what_was_before_and_what_is_now(node: ApiNode, api: TestClient) -> None:
    began = node.now = time.time_ns()  # counting begins when a server starts
    await create(api)
    await create(api, "off", disabled=True)
    await node.history.write(
        [
            run("job1", NOW - began + 10 * MINUTE, State.FAILED, late=3 * SECOND),
            run("job1", NOW - began + 48 * 60 * MINUTE),
        ],
        [],
    )
    node.cluster.others = [
        Member("a1", "127.0.0.2", 8946, {}, MemberStatus.FAILED),
        Member("a2", "127.0.0.3", 8946, {}),
    ]
    first = await (await api.get("/v1/overview")).json()
    assert first["day"] == {"success": 0, "failed": 1, "skipped": 0, "missed": 0}
    assert first["complete"]
    assert first["jobs"] == {"total": 2, "disabled": 1, "failing": 0}
    assert first["members"] == {"alive": 2, "failed": 1, "left": 0, "servers": 1, "drained": 0}
    assert (first["leader"], first["store"], first["issues"], first["pause"]) == (NODE, "ok", [], {"paused": False})
    assert [fire["job"] for fire in first["upcoming"]] == ["job1"]
    assert [problem["job_name"] for problem in first["problems"]] == ["job1"]
    minutes = first["minutes"]
    assert {len(column) for name, column in minutes.items() if name != "start"} == {60}
    assert minutes["failed"][49:51] in ([1, 0], [0, 1])
    assert 3.0 in minutes["late"][49:51]

    flying = run("job1", NOW - began + SECOND, State.RUNNING)
    await node.fly(flying)
    await node.fly(run("off", NOW - began + 2 * SECOND, State.SKIPPED))
    second = await (await api.get("/v1/overview")).json()
    assert second["in_flight"] == {"running": 1, "dispatched": 0, "queued": 0}
    assert [found["state"] for found in second["runs"]] == ["running"]
    assert second["day"]["skipped"] == 0, "it was decided before this server started"
    node.now = began + 2 * MINUTE
    await node.fly(run("job1", NOW - began - MINUTE, State.RUNNING))
    await node.fly(run("job1", NOW - began - MINUTE, State.LOST))
    await node.fly(run("off", NOW - began - MINUTE, State.MISSED))
    third = await (await api.get("/v1/overview")).json()
    assert third["day"] == {"success": 0, "failed": 2, "skipped": 0, "missed": 1}
    assert [(found["job_name"], found["state"]) for found in third["problems"]] == [("job1", "lost"), ("off", "missed")]
    await api.delete("/v1/jobs/off")
    assert [found["job_name"] for found in (await (await api.get("/v1/overview")).json())["problems"]] == ["job1"]
    node.now = began + 25 * 60 * MINUTE
    assert (await (await api.get("/v1/overview")).json())["problems"] == [], "they are of another day"


async def test_overview_tells_how_long_fires_are_due(node: ApiNode, api: TestClient) -> None:
    await create(api)
    assert (await (await api.get("/v1/overview")).json())["lag"] == 0
    node.now = NOW + 45 * SECOND
    assert (await (await api.get("/v1/overview")).json())["lag"] == 35.0, "nobody decides: it was due after 10 s"


async def test_overview_is_asked_for_again_when_the_history_was_away(node: ApiNode, api: TestClient) -> None:
    await create(api)
    query, node.history.query = node.history.query, away  # type: ignore[method-assign]
    assert (await api.get("/v1/overview")).status == 503
    node.history.query = query  # type: ignore[method-assign]
    assert (await api.get("/v1/overview")).status == 200


async def away(*_: object, **__: object) -> None:
    raise HistoryError("away")


async def test_recent_runs_of_some_jobs(node: ApiNode, api: TestClient) -> None:
    await create(api)
    for number in range(1, 5):
        await node.history.write([run("job1", number * MINUTE, State.FAILED if number == 2 else State.SUCCESS)], [])
    await node.fly(run("job1", SECOND, State.RUNNING))
    found = await (await api.get("/v1/recent?job=job1&job=none&limit=3")).json()
    assert [tick["state"] for tick in found["job1"]] == ["running", "success", "failed"]
    assert [tick["seconds"] for tick in found["job1"]] == [None, 1.0, 1.0]
    assert found["none"] == []
    many = "&".join(f"job=j{number}" for number in range(201))
    await problem(await api.get(f"/v1/recent?{many}"), 400, "job")


async def test_history_of_a_job_as_columns(node: ApiNode, api: TestClient) -> None:
    await create(api)
    await node.history.write([run("job1", number * MINUTE) for number in range(1, 6)], [])
    found = await (await api.get("/v1/jobs/job1/history?limit=3")).json()
    assert found["more"] is True
    assert found["state"] == ["success"] * 3
    assert found["fire"] == [(NOW - number * MINUTE) // 1_000_000 for number in (1, 2, 3)]
    assert {len(column) for name, column in found.items() if name != "more"} == {3}
    assert (await (await api.get("/v1/jobs/job1/history")).json())["more"] is False
    await problem(await api.get("/v1/jobs/none/history"), 404)


async def test_nodes_and_what_could_run_there(node: ApiNode, api: TestClient) -> None:
    await create(api, "anywhere")
    await create(api, "gpus", tags={"gpu": "yes:1"})
    gpu = Member("gpu1", "127.0.0.2", 8946, {"gpu": "yes", "version": "9"})
    node.cluster.others = [gpu, Member("gone", "127.0.0.3", 8946, {"gpu": "yes"}, MemberStatus.FAILED)]
    await node.fly(run("gpus", SECOND, State.RUNNING, node="gpu1"))
    await node.fly(run("anywhere", SECOND, State.DISPATCHED, node="gpu1"))
    found = {one["name"]: one for one in await (await api.get("/v1/nodes")).json()}
    assert list(found) == ["gone", "gpu1", NODE]
    assert (found["gpu1"]["running"], found["gpu1"]["ordered"], found["gpu1"]["version"]) == (1, 1, "9")
    assert (found[NODE]["leader"], found[NODE]["server"], found["gone"]["status"]) == (True, True, "failed")
    fitting = await (await api.get("/v1/nodes?tags[gpu]=yes:1")).json()
    assert [one["name"] for one in fitting] == ["gpu1"]
    one = await (await api.get("/v1/nodes/gpu1")).json()
    assert (one["jobs"], one["jobs_total"]) == (["anywhere", "gpus"], 2)
    assert (await (await api.get(f"/v1/nodes/{NODE}")).json())["jobs"] == ["anywhere"]
    await api.post("/v1/nodes/gpu1/drain")
    assert (await (await api.get("/v1/nodes/gpu1")).json())["jobs"] == []
    assert await (await api.get("/v1/nodes?tags[gpu]=yes")).json() == []
    await problem(await api.get("/v1/nodes/none"), 404)


async def test_events_are_chosen_by_name_and_job(node: ApiNode, api: TestClient) -> None:
    await create(api, "seen")
    await create(api, "unseen")
    async with api.get("/v1/events?only=execution&job=seen") as response:
        stream = events(response)
        assert (await anext(stream))[0] == "ready"
        await node.fly(run("unseen", SECOND, State.RUNNING))
        await node.state("seen", success_count=3)
        await node.fly(run("seen", SECOND, State.RUNNING))
        name, data, _ = await anext(stream)
        assert (name, data["job_name"]) == ("execution", "seen")
    await problem(await api.get("/v1/events?only=nothing"), 400, "only")
    many = "&".join(f"job=j{number}" for number in range(201))
    await problem(await api.get(f"/v1/events?{many}"), 400, "job")


async def test_what_people_ask_for_is_told(node: ApiNode, api: TestClient) -> None:
    await create(api, "asked")
    await create(api, "other")
    async with api.get("/v1/events?only=trigger,backfill,drain,group&job=asked") as response:
        stream = events(response)
        assert (await anext(stream))[0] == "ready"
        await api.post("/v1/jobs/other/run")
        async with api.post("/v1/jobs/asked/run") as answer:
            group = (await answer.json())["run"]["group"]
        trigger = {"job_name": "asked", "group": group}
        assert (await anext(stream))[:2] == ("trigger", {"change": "created", **trigger})
        await node.write(Delete(node.keys.trigger("asked", group)))
        assert (await anext(stream))[:2] == ("trigger", {"change": "deleted", **trigger})
        await node.write(
            Put(node.keys.backfill("asked"), encode(Backfill(NOW, "b", 1, 2, BackfillPolicy.ALL, 1, (2,))))
        )
        assert (await anext(stream))[:2] == ("backfill", {"change": "created", "job_name": "asked"})
        await node.write(Put(node.keys.drain("rack/7"), encode(Drain(NOW))))
        assert (await anext(stream))[:2] == ("drain", {"node": "rack/7", "drained": True})
        await node.write(Delete(node.keys.drain("rack/7")))
        assert (await anext(stream))[:2] == ("drain", {"node": "rack/7", "drained": False})
        for places, change in ((1, "created"), (2, "changed")):
            await api.put("/v1/groups/a%20b", json={"max": places})
            assert (await anext(stream))[:2] == ("group", {"change": change, "name": "a b"})


async def test_overview_comes_at_once_and_when_it_changes(node: ApiNode, api: TestClient) -> None:
    await create(api)
    async with api.get("/v1/events?only=overview") as response, api.get("/v1/events?only=overview,pause") as other:
        stream, second = events(response), events(other)
        for reader in (stream, second):
            assert (await anext(reader))[0] == "ready"
            name, data, _ = await anext(reader)
            assert (name, data["node"]) == ("overview", NODE)
        await node.fly(run("job1", SECOND, State.RUNNING))
        while not data["runs"]:
            name, data, _ = await anext(stream)
        assert data["runs"][0]["job_name"] == "job1"
    async with api.get("/v1/events") as response:
        stream = events(response)
        assert (await anext(stream))[0] == "ready"
        await node.jobs.pause(reason="r", by="b")
        assert (await anext(stream))[0] == "pause", "the overview is only for those who ask for it"
