"""What the other commands print, a file for each with all formats. DKRONPY_GOLDEN=write writes them anew, to be read
before they are kept. Every command is here, in test_formats.py, or prints the same whatever the format."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from dkronpy.cli.main import build_parser
from tests.support.fake_api import FakeServer
from tests.unit.cli import test_formats
from tests.unit.cli.conftest import Dkron
from tests.unit.cli.test_commands import paths
from tests.unit.cli.test_looks import OVERVIEW, runs

OTHERS = {
    "dkron agent": "a node",
    "dkron exporter": "a node",
    "dkron backup": "works on a store: tests/unit/cli/test_backup.py",
    "dkron restore": "works on a store: tests/unit/cli/test_backup.py",
    "dkron check": "speaks as Nagios' plugins do: test_check.py",
    "dkron completion": "scripts: test_looks.py",
    "dkron config check": "dsari's: its own tests",
    "dkron config dump": "dsari's: its own tests",
    "dkron execution output": "bytes: test_commands.py",
    "dkron execution tail": "bytes: test_commands.py",
    "dkron keygen": "a new key: test_commands.py",
    "dkron link create": "with a path that depends on the server: its own tests",
    "dkron report": "a report: test_looks.py",
    "dkron shell": "Python: test_looks.py",
    "dkron job take": "test_commands.py",
    "dkron leave": "test_commands.py",
    "dkron apply": "as dkron job apply: test_apply.py",
    "dkron job apply": "test_apply.py",
}
GROUPS = [
    {
        "name": name,
        "max": places,
        "description": about,
        "defined": bool(about),
        "updated_at": None,
        "updated_by": "",
        "source": "",
        "running": [{"job": "backup", "group": 1, "since": "2026-11-21T11:00:00Z"}][:places],
        "waiting": [{"job": f"job{number}", "group": 1, "since": None} for number in range(waiting)],
    }
    for name, places, about, waiting in (("database", 3, "The old one", 5), ("gpu", 1, "", 0))
]
BACKFILL = {
    "job_name": "backup",
    "state": "cancelling",
    "total": 30,
    "started": 12,
    "in_flight": 2,
    "from": "2026-10-01T00:00:00Z",
    "to": "2026-11-01T00:00:00Z",
    "policy": "missing",
    "parallel": 2,
    "asked_at": "2026-11-21T11:00:00Z",
    "asked_by": "ann",
}
FIRES = ["2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z"]
LINK = {
    "job_name": "backup",
    "id": "k3j9",
    "created_at": "2026-11-20T12:00:00Z",
    "created_by": "ann",
    "expires_at": "2026-11-22T12:00:00Z",
    "once": True,
    "uses": 1,
    "used_at": "2026-11-21T11:00:00Z",
    "fault": "it was used",
    "type": "",
    "description": "for the partner",
    "env": {},
}
CALENDAR = {
    "name": "company",
    "description": "Closed days",
    "timezone": "Europe/Berlin",
    "all_jobs": True,
    "days": ["12-24", "2026-12-27..2026-12-31"],
    "holidays": ["DE-BY"],
    "holiday_days": ["2026-01-01", "2026-01-06"],
    "icalendar": "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VEVENT\nEND:VCALENDAR\n",
    "blackouts": [{"schedule": "0 22 * * FRI", "duration": "8h"}],
}
KEYS = {
    "complete": True,
    "members": 3,
    "answered": 3,
    "errors": {},
    "keys": {"a2V5": 3, "b2xk": 1},
    "primary": {"a2V5": 3},
}
MEMBERS = [{**member, "drained": None} for member in test_formats.MEMBERS]
MEMBERS[1]["drained"] = {"since": "2026-11-21T10:00:00Z", "by": "ops"}
SETTINGS = {"env": {"HTTPS_PROXY": "http://proxy:3128"}, "updated_at": "2026-11-21T10:00:00Z", "updated_by": "ops"}
PEERS = [{"node": "n1", "address": "10.0.0.1:6868", "state": "leader"}]
STATS = [*runs(), *runs("quick", (0.001, 0.25))]
PAUSE = {"paused": True, "since": "2026-11-21T12:00:00Z", "reason": "moving", "by": "ops"}
ID = "1795139400000000000-2-n1"
TRIGGER = {"job_name": "backup", "group": 5, "at": "2026-11-21T12:30:00Z"}
JOB = {"name": "backup", "disabled": True}  # short, so that a new field of jobs changes nothing here
COMMANDS: dict[str, tuple[tuple[str, ...], dict[tuple[str, str], Any]]] = {
    "backfill cancel": (("backup",), {("DELETE", "/v1/jobs/backup/backfill"): BACKFILL}),
    "backfill list": ((), {("GET", "/v1/backfills"): [BACKFILL]}),
    "calendar delete": (("company",), {("DELETE", "/v1/calendars/company"): CALENDAR}),
    "calendar list": ((), {("GET", "/v1/calendars"): [CALENDAR]}),
    "calendar set": (("company", "--day", "05-01"), {("PUT", "/v1/calendars/company"): CALENDAR}),
    "calendar show": (("company",), {("GET", "/v1/calendars/company"): CALENDAR}),
    "execution kill": (
        ("backup", ID),
        {("POST", f"/v1/jobs/backup/executions/{ID}/kill"): {"id": ID, "state": "running"}},
    ),
    "execution stats": ((), {("GET", "/v1/executions"): STATS}),
    "group delete": (("gpu",), {("DELETE", "/v1/groups/gpu"): GROUPS[1]}),
    "group list": ((), {("GET", "/v1/groups"): GROUPS}),
    "group set": (("database", "--max", "3"), {("PUT", "/v1/groups/database"): GROUPS[0]}),
    "group show": (("database",), {("GET", "/v1/groups/database"): GROUPS[0]}),
    "job backfill": (
        ("backup", "--from", "2026-10-01T00:00Z", "--dry-run"),
        {("POST", "/v1/jobs/backup/backfill"): {"fires": FIRES, "left_out": {"has_run": 3}, "backfill": None}},
    ),
    "job delete": (("backup",), {("DELETE", "/v1/jobs/backup"): JOB}),
    "job run": (("backup",), {("POST", "/v1/jobs/backup/run"): {"run": {"group": 5}}}),
    "job toggle": (("backup",), {("POST", "/v1/jobs/backup/toggle"): JOB}),
    "job trigger": (("backup", "--at", "2026-11-21T12:30Z"), {("POST", "/v1/jobs/backup/run"): {"run": {"group": 5}}}),
    "keyring install": (("a2V5",), {("POST", "/v1/keyring/install"): KEYS}),
    "keyring list": ((), {("GET", "/v1/keyring"): KEYS}),
    "keyring remove": (("a2V5",), {("POST", "/v1/keyring/remove"): KEYS}),
    "keyring use": (("a2V5",), {("POST", "/v1/keyring/use"): KEYS}),
    "link list": ((), {("GET", "/v1/links"): [LINK]}),
    "link revoke": (("backup", "k3j9"), {("DELETE", "/v1/jobs/backup/links/k3j9"): LINK}),
    "node drain": (("n2",), {("POST", "/v1/nodes/n2/drain"): MEMBERS[1]}),
    "node list": ((), {("GET", "/v1/members"): MEMBERS}),
    "node undrain": (("n2",), {("POST", "/v1/nodes/n2/undrain"): MEMBERS[0]}),
    "pause": (("moving",), {("POST", "/v1/pause"): PAUSE}),
    "raft list-peers": ((), {("GET", "/v1/raft/peers"): PEERS}),
    "schedule preview": (("30 2 * * *",), {("POST", "/v1/schedule/preview"): {"fires": test_formats.FIRES}}),
    "settings set": (("--env", "A=1"), {("GET", "/v1/settings"): SETTINGS, ("PUT", "/v1/settings"): SETTINGS}),
    "settings show": ((), {("GET", "/v1/settings"): SETTINGS}),
    "trigger cancel": (
        ("backup", str(TRIGGER["group"])),
        {("DELETE", f"/v1/jobs/backup/triggers/{TRIGGER['group']}"): TRIGGER},
    ),
    "unpause": ((), {("POST", "/v1/unpause"): {"paused": False}}),
    "version": ((), {}),
    "watch": ((), {("GET", "/v1/overview"): OVERVIEW, ("GET", "/v1/members"): MEMBERS}),
}


def test_no_command_is_forgotten() -> None:
    elsewhere = {" ".join(("dkron", *argv)) for argv in test_formats.COMMANDS.values()}
    for path in sorted({*paths(build_parser())}):
        here = path.removeprefix("dkron ") in COMMANDS or any(f"{found} ".startswith(f"{path} ") for found in elsewhere)
        assert here or path in OTHERS or path.startswith("dkron import "), path


@pytest.mark.parametrize("name", COMMANDS)
def test_all_formats(dkron: Dkron, server: FakeServer, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    argv, answers = COMMANDS[name]
    for (method, path), answer in answers.items():
        server.on(method, path, answer)
    monkeypatch.setenv("LINES", "24")
    printed: dict[str, str] = {}
    for form, width in (("pretty", 80), ("pretty", 200), ("tabular", 80), ("json", 80), ("yaml", 80)):
        monkeypatch.setenv("COLUMNS", str(width))
        result = dkron(*name.split(), *argv, "--format", form)
        assert (result.code, result.err) == (0, "")
        assert "\x1b" not in result.out
        if form == "pretty" and result.out.count("\n") > 1:  # no single sentence
            assert all(len(line) <= width for line in result.out.splitlines())
        printed[f"{form} {width}" if form == "pretty" else form] = result.out
    assert json.loads(printed["json"]) == yaml.safe_load(printed["yaml"])
    text = "".join(f"--- {form}\n{out}" for form, out in printed.items())
    test_formats.check(name.replace(" ", "-"), text)
