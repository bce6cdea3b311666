"""`dkron config` and `dkron import dsari`: directories of jobs as dsari has them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dkronpy.cli.documents import read_documents
from tests.unit.cli.conftest import Dkron, FakeServer

CONFIG = """
jobs:
  Nightly Report: {command: [report, "a b"], schedule: H H * * *, concurrency_groups: [db]}
  long: {command: sleep 300, tiemout: 5}
concurrency_groups: {db: {max: 2}}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "dsari.yaml").write_text(CONFIG)
    return tmp_path


def test_check(dkron: Dkron, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = dkron("config", "check", str(directory))
    assert (told.code, told.out) == (0, "files: 1, jobs: 2, concurrency groups: 1\n")
    assert "dsari.yaml: jobs.long.tiemout: is not known" in told.err
    assert json.loads(dkron("config", "check", str(directory), "--format", "json").out)["jobs"] == 2
    told = dkron("config", "check", str(directory), "--strict")
    assert (told.code, told.out) == (2, "")
    monkeypatch.setenv("DSARI_HOME", str(directory))
    (directory / "etc").mkdir()
    (directory / "etc/dsari.json").write_text('{"jobs": {"a": {}, "b": {"command": "b", "schedule": "x"}}}')
    told = dkron("config", "check")
    assert (told.code, told.out) == (2, "")
    assert "dsari.json: jobs.a.command: is missing" in told.err


def test_dump(dkron: Dkron, directory: Path) -> None:
    jobs = json.loads(dkron("config", "dump", str(directory), "--format", "json").out)
    assert [job["name"] for job in jobs] == ["nightly-report", "long"]
    assert jobs[0]["executor_config"]["command"] == "report 'a b'"
    (nightly, _) = read_documents(dkron("config", "dump", str(directory)).out, "dump")
    assert nightly.value["concurrency"] == "queue_newest"
    assert "tiemout: 5" in dkron("config", "dump", "--raw", str(directory)).out
    told = dkron("config", "dump", str(directory / "nowhere"))
    assert (told.code, told.out) == (2, "")
    assert "is refused" in told.err


def test_import(dkron: Dkron, server: FakeServer, directory: Path) -> None:
    server.on("GET", "/v1/jobs", [])
    server.on("POST", "/v1/schedule/preview", {"description": "", "fires": []})
    server.on("POST", "/v1/restore", [])
    server.on("GET", "/v1/groups", [])
    server.on("PUT", "/v1/groups/db", {})
    told = dkron("import", "dsari", str(directory), "--dry-run", "--format", "json")
    assert {job["name"]: [change["kind"] for change in job["changes"]] for job in json.loads(told.out)} == {
        "nightly-report": ["name", "target"],
        "long": ["target"],
    }
    assert "jobs.long.tiemout: is not known" in told.err
    assert {request.method for request in server.requests if request.path != "/v1/schedule/preview"} == {"GET"}
    assert dkron("import", "dsari", str(directory), "--tag", "role=batch:1").code == 0
    restored = next(request.body for request in server.requests if request.path == "/v1/restore")
    assert [(job["name"], job["tags"], job.get("hash_id")) for job in restored] == [
        ("nightly-report", {"role": "batch:1"}, "Nightly Report"),
        ("long", {"role": "batch:1"}, None),
    ]
    assert (server.requests[-1].path, server.requests[-1].body) == ("/v1/groups/db", {"max": 2, "description": ""})
    server.on("GET", "/v1/groups", [{"name": "db", "defined": True}])
    assert "'db' is there already" in dkron("import", "dsari", str(directory)).err
    (directory / "dsari.yaml").write_text("jobs: {a: {}}")
    told = dkron("import", "dsari", str(directory))
    assert (told.code, "nothing was changed" in told.err) == (2, True)
