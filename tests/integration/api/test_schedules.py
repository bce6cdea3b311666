"""Coming fires, previews, and explanations."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from dkronpy.catalog.keys import encode
from dkronpy.model.execution import Execution, State
from dkronpy.model.records import Cursor, Sweep
from dkronpy.store.contract import Put
from tests.integration.api.conftest import NOW, SECOND, create, problem
from tests.integration.api.test_executions import ran
from tests.support.api_node import NODE, ApiNode


async def test_next(api: TestClient) -> None:
    await create(api, schedule="0 30 2 * * *", timezone="Europe/Berlin", expires_at="2026-11-20T12:00:00Z")
    async with api.get("/v1/jobs/job1/next?count=5") as response:
        assert await response.json() == {
            "description": "At 02:30",
            "fires": [
                {"time": "2026-11-19T01:30:00Z", "local": "2026-11-19T02:30:00+01:00", "dst": None},
                {"time": "2026-11-20T01:30:00Z", "local": "2026-11-20T02:30:00+01:00", "dst": None},
            ],
        }
    await create(api, "child", schedule="@every 1s", parent_job="job1")
    for path in ("/v1/jobs/child/next", "/v1/jobs/job1/next"):
        await api.post("/v1/jobs/job1/toggle") if "job1/" in path else None
        async with api.get(path) as response:
            assert (await response.json())["fires"] == []
    for count in ("0", "1001", "x"):
        await problem(await api.get(f"/v1/jobs/job1/next?count={count}"), 400, "count")
    await problem(await api.get("/v1/jobs/nobody/next"), 404)


async def test_preview_marks_day_light_saving(node: ApiNode, api: TestClient) -> None:
    node.now = 1_774_652_400 * SECOND  # 2026-03-28T00:00+01:00
    body = {"schedule": "30 2 * * *", "timezone": "Europe/Berlin", "name": "x", "count": 3}
    async with api.post("/v1/schedule/preview", json=body) as response:
        assert await response.json() == {
            "description": "At 02:30",
            "fires": [
                {"time": "2026-03-28T01:30:00Z", "local": "2026-03-28T02:30:00+01:00", "dst": None},
                {"time": "2026-03-29T01:00:00Z", "local": "2026-03-29T03:00:00+02:00", "dst": "after_gap"},
                {"time": "2026-03-30T00:30:00Z", "local": "2026-03-30T02:30:00+02:00", "dst": None},
            ],
        }


async def test_preview_of_several_schedules(node: ApiNode, api: TestClient) -> None:
    node.now = 1_774_652_400 * SECOND
    body = {
        "name": "x",
        "schedules": [
            {"schedule": "0 9 * * *", "timezone": "Asia/Tokyo", "env": {"A": "1"}},
            {"schedule": "0 0 * * *", "timezone": "UTC"},
        ],
        "spread": "10m",
    }
    async with api.post("/v1/schedule/preview", json=body) as response:
        answer = await response.json()
    assert answer["description"] == (
        "At 09:00, on the clock of Asia/Tokyo; and At 00:00, on the clock of UTC;"
        " later by a part of 10m that is drawn from the name"
    )
    assert [fire["local"][:11] + fire["local"][-6:] for fire in answer["fires"][:2]] == [
        "2026-03-28T+09:00",
        "2026-03-29T+09:00",
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"schedules": []}, "schedule"),
        ({"schedules": [{"schedule": "* * * *"}]}, "schedules.0.schedule"),
        ({"schedules": [{"schedule": "@daily", "timezone": "Nowhere"}]}, "schedules.0.timezone"),
        ({"schedules": [{"schedule": "@daily", "env": {"A B": "1"}}]}, "schedules.0.env.A B"),
        ({"schedules": [{"schedule": "@daily", "env": {"A": 1}}]}, "schedules.0.env.A"),
        ({"schedules": [{}]}, "schedules.0.schedule"),
        ({"schedules": ["@daily"]}, "schedules.0"),
        ({"schedule": "@daily", "schedules": [{"schedule": "@after 2027-01-01T00:00:00Z <PT1H"}]}, "schedules"),
        ({"schedule": "@daily", "spread": "1.5s"}, "spread"),
        ({}, "schedule"),
        ({"schedule": ""}, "schedule"),
        ({"schedule": 5}, "schedule"),
        ({"schedule": "@every 1s", "timezone": "Nowhere"}, "timezone"),
        ({"schedule": "@every 1s", "timezone": 5}, "timezone"),
        ({"schedule": "@every 1s", "count": 0}, "count"),
        ({"schedule": "@every 1s", "count": True}, "count"),
        ({"schedule": "@every 1s", "count": "5"}, "count"),
        ([], ""),
    ],
)
async def test_bad_previews(api: TestClient, body: Any, field: str) -> None:
    await problem(await api.post("/v1/schedule/preview", json=body), 400, field)


async def explain(api: TestClient, at: str = "") -> dict[str, Any]:
    async with api.get("/v1/jobs/job1/explain", params={"at": at} if at else {}) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_what_is_to_come(node: ApiNode, api: TestClient) -> None:
    await create(api)
    found = await explain(api)
    assert (found["verdict"], found["fire_time"]) == ("will_run", "2026-11-18T11:06:50Z")
    assert NODE in found["explanation"]
    assert (found["definition"]["schedule"], found["definition_by"]) == ("@every 10s", "api")
    found = await explain(api, "2026-11-18T11:06:55Z")
    assert (found["verdict"], found["fire_time"], found["next"]) == ("no_fire", None, "2026-11-18T11:07:00Z")
    await api.post("/v1/pause", json={"reason": "moving house"})
    found = await explain(api)
    assert (found["verdict"], "moving house" in found["explanation"]) == ("will_not_run", True)
    await api.post("/v1/unpause")
    await create(api, tags={"role": "web"})
    found = await explain(api)
    assert (found["verdict"], "tags" in found["explanation"]) == ("will_not_run", True)
    await create(api, concurrency="forbid")
    await node.fly(ran(NOW, State.RUNNING))
    node.cluster.leader_name = None
    found = await explain(api)
    assert found["verdict"] == "will_run"
    assert "it will be skipped" in found["explanation"]
    assert "leader" in found["explanation"]
    await node.state("job1", spent=True)
    assert (await explain(api))["verdict"] == "will_not_run"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"disabled": True}, "disabled"),
        ({"schedule": "", "parent_job": "p"}, "after every success of p"),
        ({"starts_at": "2026-11-18T12:00:00Z"}, "starts at"),
        ({"expires_at": "2026-11-18T11:06:45Z"}, "expired"),
        ({"schedule": "@every 7s"}, "no fire in that second"),
    ],
)
async def test_why_there_is_no_fire(api: TestClient, fields: dict[str, Any], says: str) -> None:
    await create(api, "p")
    await create(api, **fields)
    found = await explain(api, "2026-11-18T11:06:50Z")
    assert (found["verdict"], says in found["explanation"]) == ("no_fire", True), found


async def test_what_was(node: ApiNode, api: TestClient) -> None:
    await create(api)
    assert (await explain(api, "2026-11-18T11:06:30Z"))["verdict"] == "no_job"
    node.now = NOW + 65 * SECOND
    assert (await explain(api, "2026-11-18T11:06:50Z"))["verdict"] == "undecided"
    await node.finish(ran(NOW + 10 * SECOND, State.FAILED), b"x")
    await node.fly(ran(NOW + 20 * SECOND, State.RUNNING))
    await node.finish(_idle(NOW + 30 * SECOND, State.SKIPPED, "overlap"))
    await node.finish(_idle(NOW + 40 * SECOND, State.MISSED, "outside_window", last=NOW + 50 * SECOND, count=2))
    found = await explain(api, "2026-11-18T11:06:50.5Z")
    assert (found["verdict"], found["fire_time"]) == ("ran", "2026-11-18T11:06:50Z")
    assert "failed" in found["explanation"]
    assert [e["state"] for e in found["executions"]] == ["failed"]
    assert (await explain(api, "2026-11-18T11:07:00Z"))["verdict"] == "in_flight"
    found = await explain(api, "2026-11-18T11:07:10Z")
    assert (found["verdict"], "overlap" in found["explanation"]) == ("skipped", True)
    for at in ("2026-11-18T11:07:20Z", "2026-11-18T11:07:30Z"):
        found = await explain(api, at)
        assert (found["verdict"], "2 such fires" in found["explanation"]) == ("missed", True)
    assert (await explain(api, "2026-11-18T11:07:25Z"))["verdict"] == "no_fire"


async def test_decided_but_no_longer_kept(node: ApiNode, api: TestClient) -> None:
    await create(api)
    node.now = NOW + 25 * SECOND
    await node.state("job1", adopted=NOW)
    at = "2026-11-18T11:06:50Z"
    for cursor, verdict in (
        (Cursor(NOW + 15 * SECOND), "forgotten"),
        (Cursor(NOW + 5 * SECOND), "undecided"),
        (Cursor(NOW + 15 * SECOND, sweeps=(Sweep(NOW, "", NOW + 12 * SECOND),)), "undecided"),
    ):
        await node.write(Put(node.keys.cursor, encode(cursor)))
        assert (await explain(api, at))["verdict"] == verdict
    await node.state("job1", decided=NOW + 11 * SECOND)
    assert (await explain(api, at))["verdict"] == "forgotten"


async def test_the_definition_of_then_is_asked(node: ApiNode, api: TestClient) -> None:
    await create(api, schedule="@every 10s")
    node.now = NOW + 30 * SECOND
    await create(api, schedule="@every 1h")
    assert (await explain(api, "2026-11-18T11:06:50Z"))["definition"]["schedule"] == "@every 10s"
    assert (await explain(api, "2026-11-18T11:07:20Z"))["verdict"] == "no_fire"


async def test_a_fire_in_the_second_of_an_edit_follows_the_definition_before_it(node: ApiNode, api: TestClient) -> None:
    await create(api, schedule="@every 10s")
    node.now = NOW + 10 * SECOND + SECOND // 2
    await create(api, schedule="@every 5s")
    found = await explain(api, "2026-11-18T11:06:50.9Z")
    assert (found["fire_time"], found["definition"]["schedule"]) == ("2026-11-18T11:06:50Z", "@every 10s")
    node.now = NOW + 15 * SECOND + SECOND // 2
    await create(api, schedule="@every 1h")
    found = await explain(api, "2026-11-18T11:06:55.9Z")
    assert (found["fire_time"], found["definition"]["schedule"]) == ("2026-11-18T11:06:55Z", "@every 5s")
    await create(api, "made-later", schedule="@every 5s")
    async with api.get("/v1/jobs/made-later/explain?at=2026-11-18T11:06:55.9Z") as response:
        assert (await response.json())["verdict"] == "no_fire"


async def test_bad_times(api: TestClient) -> None:
    await create(api)
    await problem(await api.get("/v1/jobs/job1/explain?at=yesterday"), 400, "at")
    await problem(await api.get("/v1/jobs/nobody/explain"), 404)
    assert (await explain(api, "2026-11-18T12:06:50+01:00"))["verdict"] == "will_run"


def _idle(group: int, state: State, reason: str, **fields: Any) -> Execution:
    return Execution("job1", group, state=state, reason=reason, fire=group, decided=group, **fields)
