"""Calendars by the API, and what they do to the fires it shows."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.integration.api.conftest import NOW, SECOND, create, problem
from tests.support.api_node import ApiNode

COMPANY = {"days": ["2026-11-19"], "holidays": ["DE"], "timezone": "Europe/Berlin"}


async def test_a_calendars_life(node: ApiNode, api: TestClient) -> None:
    async with api.put("/v1/calendars/company", json=COMPANY) as response:
        assert response.status == 201, await response.text()
        made = await response.json()
    assert made["name"] == "company"
    assert {"2026-12-25", "2045-12-25"} <= set(made["holiday_days"])
    async with api.put("/v1/calendars/company", json=made) as response:
        assert (response.status, await response.json()) == (200, made)
    for path, wanted in (("/v1/calendars/company", made), ("/v1/calendars", [made])):
        async with api.get(path) as response:
            assert await response.json() == wanted
    await create(api, schedule="0 9 * * *", timezone="Europe/Berlin", calendars=["company"])
    await problem(await api.delete("/v1/calendars/company"), 409)
    async with api.get("/v1/jobs/job1/next?count=2") as response:
        assert [fire["local"][:10] for fire in (await response.json())["fires"]] == ["2026-11-20", "2026-11-21"]
    async with api.get("/v1/jobs/job1") as response:
        assert (await response.json())["next"] == "2026-11-20T08:00:00Z"
    async with api.get("/v1/jobs/job1/explain?at=2026-11-19T08:00:00Z") as response:
        answer = await response.json()
        assert answer["verdict"] == "will_not_run"
        assert "calendar company excludes it" in answer["explanation"]
    # A change is shown at once.
    async with api.put("/v1/calendars/company", json={}) as response:
        assert response.status == 200
    async with api.get("/v1/jobs/job1") as response:
        assert (await response.json())["next"] == "2026-11-19T08:00:00Z"
    await api.delete("/v1/jobs/job1")
    async with api.delete("/v1/calendars/company") as response:
        assert response.status == 200
    await problem(await api.get("/v1/calendars/company"), 404)
    await problem(await api.delete("/v1/calendars/company"), 404)


async def test_a_calendar_for_all_jobs(node: ApiNode, api: TestClient) -> None:
    await create(api, schedule="@hourly", timezone="UTC")
    await api.put("/v1/calendars/freeze", json={"all_jobs": True, "days": ["2026-11-18..2026-11-30"]})
    async with api.get("/v1/jobs/job1") as response:
        assert (await response.json())["next"] == "2026-12-01T00:00:00Z"


async def test_earlier_revisions_are_kept_for_a_while(node: ApiNode, api: TestClient) -> None:
    for day in range(12):
        node.now = NOW + day * 86_400 * SECOND
        await api.put("/v1/calendars/c", json={"description": str(day)})
    kept = node.mirror.calendars["c"].value.revisions
    assert [revision.calendar and revision.calendar.description for revision in kept] == [
        "4",
        "5",
        "6",
        "7",
        "8",
        "9",
        "10",
        "11",
    ]


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("A", {}, "name"),
        ("c", {"days": ["someday"]}, "days"),
        ("c", {"days": "2026-12-24"}, "days"),
        ("c", {"holidays": ["XX"]}, "holidays"),
        ("c", {"timezone": "Nowhere"}, "timezone"),
        ("c", {"icalendar": "x"}, "icalendar"),
        ("c", {"blackouts": [{"schedule": "0 22 * * *"}]}, "blackouts.0"),
        ("c", {"blackouts": [{"schedule": "0 22 * *", "duration": "1h"}]}, "blackouts.0.schedule"),
        ("c", {"blackouts": [{"start": "2026-12-02T00:00:00Z", "end": "2026-12-01T00:00:00Z"}]}, "blackouts.0"),
    ],
)
async def test_bad_calendars(api: TestClient, name: str, body: Any, field: str) -> None:
    await problem(await api.put(f"/v1/calendars/{name}", json=body), 400, field)


async def test_a_job_names_only_calendars_that_exist(api: TestClient) -> None:
    body = {"name": "a", "schedule": "@daily", "executor": "shell", "executor_config": {"command": "x"}}
    await problem(await api.post("/v1/jobs", json={**body, "calendars": ["none"]}), 400, "calendars.0")
    blackout = {"schedule": "x", "duration": "1h"}
    await problem(await api.post("/v1/jobs", json={**body, "blackouts": [blackout]}), 400, "blackouts.0.schedule")


async def test_heatmap(node: ApiNode, api: TestClient) -> None:
    await create(api, "each", schedule="@every 10s", tags={"role": "web:1"})
    await create(api, "once", schedule="10 * * * *", timezone="UTC")
    await create(api, "off", schedule="@every 1s", disabled=True)
    async with api.get("/v1/schedule/heatmap?minutes=5") as response:
        answer = await response.json()
    assert answer == {
        "start": "2026-11-18T11:06:00Z",
        "minutes": 5,
        "total": [6, 6, 6, 6, 7],
        "tags": {"role=web": [6, 6, 6, 6, 6], "*": [0, 0, 0, 0, 1]},
    }
    await api.put("/v1/calendars/c", json={"all_jobs": True, "days": ["2026-11-18"]})
    async with api.get("/v1/schedule/heatmap?minutes=5") as response:
        assert (await response.json())["total"][1:] == [0] * 4  # the calendar is of the middle of the first minute
    await problem(await api.get("/v1/schedule/heatmap?minutes=0"), 400, "minutes")
