"""`dkron apply` of groups, calendars and settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_api import FakeServer, Request, problem
from tests.unit.cli.conftest import Dkron

FILE = """\
kind: group
name: database
max: 3
---
{kind: calendar, name: company, timezone: Europe/Berlin, days: [12-24], holidays: [DE-BY]}
---
{kind: settings, env: {A: "1"}}
---
{name: backup, schedule: "@daily", executor: shell, executor_config: {command: date}, calendars: [company]}
"""
GROUP = {"name": "database", "max": 1, "description": "", "defined": True, "source": "", "running": [], "waiting": []}
CALENDAR = {
    "name": "company",
    "description": "",
    "timezone": "Europe/Berlin",
    "all_jobs": False,
    "days": ["12-24"],
    "holidays": ["DE-BY"],
    "holiday_days": ["2026-01-01"],
    "icalendar": "",
    "blackouts": [],
}


@pytest.fixture(autouse=True)
def answers(server: FakeServer) -> None:
    def echo(request: Request) -> Any:
        return request.body

    for path in ("groups/database", "calendars/company", "settings", "jobs/backup"):
        server.on("PUT", f"/v1/{path}", echo)
    server.on("GET", "/v1/groups/database", {**GROUP, "defined": False})
    server.on("GET", "/v1/settings", {"env": {}, "updated_at": None, "updated_by": ""})


def apply(dkron: Dkron, tmp_path: Path, text: str, *options: str) -> Any:
    (tmp_path / "all.yml").write_text(text)
    return dkron("apply", str(tmp_path / "all.yml"), *options)


def test_all_kinds_are_written_the_jobs_last(dkron: Dkron, server: FakeServer, tmp_path: Path) -> None:
    result = apply(dkron, tmp_path, FILE)
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "name\taction\tfields\n"
        "group/database\tcreated\tmax\n"
        "calendar/company\tcreated\ttimezone,days,holidays\n"
        "settings/cluster\tchanged\tenv.A\n"
        "backup\tcreated\tschedule,calendars,executor,executor_config.command\n"
    )
    assert [request.path for request in server.seen("PUT")] == [
        *("/v1/groups/database", "/v1/calendars/company", "/v1/settings", "/v1/jobs/backup")
    ]
    bodies = [request.body for request in server.seen("PUT")]
    assert bodies[0] == {"max": 3, "description": ""}
    assert bodies[1] == {key: value for key, value in CALENDAR.items() if key not in ("name", "holiday_days")}
    assert bodies[2] == {"env": {"A": "1"}}


def test_what_is_there_already_is_left(dkron: Dkron, server: FakeServer, tmp_path: Path) -> None:
    server.on("GET", "/v1/groups/database", GROUP)
    server.on("GET", "/v1/calendars/company", CALENDAR)
    server.on("GET", "/v1/settings", {"env": {"A": "1"}})
    text = FILE.partition("{name: backup")[0].rstrip("-\n")
    rows = json.loads(apply(dkron, tmp_path, text, "--format", "json", "--dry-run").out)
    assert [(row["kind"], row["name"], row["action"]) for row in rows] == [
        ("group", "database", "changed"),
        ("calendar", "company", "unchanged"),
        ("settings", "cluster", "unchanged"),
    ]
    assert rows[0]["changes"] == [{"field": "max", "old": 1, "new": 3}]
    assert not server.seen("PUT")


@pytest.mark.parametrize("kind", ["group", "calendar"])
def test_what_show_prints_can_be_applied(dkron: Dkron, server: FakeServer, tmp_path: Path, kind: str) -> None:
    server.on("GET", "/v1/groups/database", GROUP)
    server.on("GET", "/v1/calendars/company", CALENDAR)
    shown = json.loads(dkron(kind, "show", {"group": "database", "calendar": "company"}[kind], "--format", "json").out)
    shown = shown[0] if isinstance(shown, list) else shown
    assert "\tunchanged\t" in apply(dkron, tmp_path, json.dumps({"kind": kind, **shown})).out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{kind: group, name: a}", "document 1: group/a: max: must be a whole number from 1 on"),
        ("{kind: group, name: a, max: 0}", "max: must be a whole number"),
        ("{kind: group, max: 1}", "group: name: is missing, or no text"),
        ("{kind: group, name: a/b, max: 1}", "is no name of a group"),
        ("{kind: group, name: a, max: 1, mx: 2}", "group/a: mx: there is no such field; is max meant?"),
        ("{kind: calendar, name: a, days: [2026-13-01]}", "calendar/a: days"),
        ("{kind: calendar, name: a, holidays: [XX]}", "calendar/a: holidays"),
        ("{kind: calendar, name: A, days: []}", "illegal character 'A'"),
        ("{kind: calendar, name: a, timezone: Mars/Base}", "calendar/a: timezone"),
        ("{kind: settings, env: {1A: x}}", "settings/cluster: env"),
        ("{kind: settings, name: x, env: {}}", "there is one set of settings"),
        ("[{kind: group, name: a, max: 1}, {kind: group, name: a, max: 2}]", "group/a: is given in"),
        ("{kind: queue, name: a}", "kind: 'queue' is not known"),
    ],
)
def test_nothing_is_written_when_anything_is_wrong(
    dkron: Dkron, server: FakeServer, tmp_path: Path, text: str, said: str
) -> None:
    server.on("GET", "/v1/groups/a", {**GROUP, "name": "a"})
    result = apply(dkron, tmp_path, f"{text}\n---\n{FILE}")
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert not server.seen("PUT")


def test_a_refusal_is_told(dkron: Dkron, server: FakeServer, tmp_path: Path) -> None:
    server.on("PUT", "/v1/groups/database", problem(400, "the group is wrong", max="is too large"))
    result = apply(dkron, tmp_path, "{kind: group, name: database, max: 3}", "--format", "pretty")
    assert (result.code, result.err) == (1, "dkron: group/database: max: is too large\n")
    assert result.out.startswith("refused   group/database")
