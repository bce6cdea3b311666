"""`dkron job apply`: all is checked before anything is written; what is written is what differs."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_api import Answer, FakeServer, Request, make_job, problem
from tests.unit.cli.conftest import Dkron, Result

Apply = Callable[..., Result]


class Jobs:
    """A server that keeps jobs, with entity tags."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.jobs: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, int] = {}
        server.on("POST", "/v1/schedule/preview", self._preview)

    def add(self, name: str, **fields: Any) -> None:
        self.know(name)
        self.jobs[name] = make_job(name, **fields)
        self.versions[name] = 1

    def know(self, *names: str) -> None:
        for name in names:
            self.server.on("GET", f"/v1/jobs/{name}", self._get)
            self.server.on("PUT", f"/v1/jobs/{name}", self._put)

    def _get(self, request: Request) -> Answer:
        name = request.path.rpartition("/")[2]
        if name not in self.jobs:
            return problem(404, f"there is no job {name!r}")
        return Answer(self.jobs[name], headers={"ETag": f'"{self.versions[name]}"'})

    def _put(self, request: Request) -> Answer:
        name = request.path.rpartition("/")[2]
        held = self.versions.get(name)
        if request.headers.get("If-Match", f'"{held}"') != f'"{held}"' or ("If-None-Match" in request.headers and held):
            return problem(412, "the job is not as it was when it was read")
        self.jobs[name] = {**make_job(name), **request.body}
        self.versions[name] = (held or 0) + 1
        return Answer(self.jobs[name], status=200 if held else 201)

    def _preview(self, request: Request) -> Answer:
        time = f"2026-11-22T0{sum(map(ord, request.body['schedule'])) % 10}:00:00Z"
        return Answer({"fires": [{"time": time, "local": time, "dst": None}] * request.body["count"]})

    @property
    def written(self) -> list[str]:
        return [request.body["name"] for request in self.server.seen("PUT")]


@pytest.fixture
def store(server: FakeServer) -> Jobs:
    return Jobs(server)


@pytest.fixture
def apply(dkron: Dkron, tmp_path: Path) -> Apply:
    """Apply a text, with more arguments."""

    def run(text: str, *argv: str, name: str = "jobs.yml") -> Result:
        (tmp_path / name).write_text(text)
        return dkron("job", "apply", str(tmp_path / name), *argv)

    return run


JOB = "{name: a, schedule: '@every 10s', executor: shell, executor_config: {command: date}}"


def test_created_changed_unchanged(store: Jobs, apply: Apply) -> None:
    store.know("new")
    store.add("same", tags={"role": "db"})
    store.add("other", metadata={"team": "x"}, success_count=5, status="success")
    result = apply(
        "- {name: new, schedule: '@hourly', executor: shell, executor_config: {command: date}, kind: job}\n"
        "- {name: same, schedule: '@every 10s', executor: shell, executor_config: {command: date}, tags: {role: db}}\n"
        "- {name: other, schedule: '@every 10s', executor: shell, executor_config: {command: ls}, retry: {on: any}}\n"
    )

    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "name\taction\tfields\n"
        "new\tcreated\tschedule,executor,executor_config.command\n"
        "same\tunchanged\t\n"
        "other\tchanged\tretry.on,executor_config.command,metadata.team\n"
    )
    assert store.written == ["new", "other"]
    preconditions = [
        (put.headers.get("If-None-Match"), put.headers.get("If-Match")) for put in store.server.seen("PUT")
    ]
    assert preconditions == [("*", None), (None, '"1"')]
    assert store.jobs["other"]["metadata"] == {}


def test_what_show_prints_can_be_applied(store: Jobs, dkron: Dkron, apply: Apply) -> None:
    store.add("a", tags={"role": "db:1"}, starts_at="2026-11-01T00:00:00Z", error_count=3, running=1, retries=2)
    for form, name in (("yaml", "a.yml"), ("json", "a.json"), ("json", "a.yml")):
        shown = dkron("job", "show", "a", "--format", form).out
        assert apply(shown, name=name).out == "name\taction\tfields\na\tunchanged\t\n"
    assert store.written == []


def test_several_files_and_standard_input(
    store: Jobs, dkron: Dkron, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.know("a", "b")
    (tmp_path / "b.json").write_text(
        json.dumps({"name": "b", "parent_job": "a", "executor": "shell", "executor_config": {"command": "x"}})
    )
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf" + JOB.encode())))

    result = dkron("job", "apply", str(tmp_path / "b.json"), "-", "--format", "json")
    assert [(row["name"], row["action"]) for row in json.loads(result.out)] == [("a", "created"), ("b", "created")]
    assert store.written == ["a", "b"]  # the parent first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{name: A b, schedule: '@hourly'}", "document 1: A b: name: contains illegal character 'A'"),
        ("{schedule: '@hourly'}", "document 1: name: is missing"),
        ("{name: 5, schedule: '@hourly'}", "name: must be a string"),
        ("{name: a, schedule: '61 * * * *', executor: shell, executor_config: {command: x}}", "a: schedule: "),
        (
            "{name: a, schedule: '@hourly', timezone: Mars/Base, executor: shell, executor_config: {command: x}}",
            "a: timezone: ",
        ),
        ("{name: a, schedule: '@hourly', retires: 3}", "a: retires: no job has such a field; is retries meant?"),
        ("{name: a, schedule: '@hourly', qqq: 3}", "a: qqq: no job has such a field\n"),
        ("{name: a, schedule: '@hourly', tags: {role: 1}}", "a: tags.role: must be a string"),
        (
            "{name: a, schedule: '@hourly', tags: {role: 'web:x'}, executor: shell, executor_config: {command: x}}",
            "a: tags.role: ",
        ),
        (
            "{name: a, schedule: '@at 2020-01-01T00:00:00Z', executor: shell, executor_config: {command: x}}",
            "already past",
        ),
        ("{kind: acl, name: a}", "kind: 'acl' is not known; there are job, group, calendar, settings"),
        ("[[5]]", "not a job: a job is an object with a name"),
        (f"[{JOB}, {JOB}]", "item 2: a: is given in"),
        ("{name: a, parent_job: gone, executor: shell, executor_config: {command: x}}", "there is no job gone"),
        (
            (
                "[{name: a, parent_job: b, executor: shell, executor_config: {command: x}},"
                " {name: b, parent_job: a, executor: shell, executor_config: {command: x}}]"
            ),
            "a loop of parents: a → b → a",
        ),
        ("a: [", "line 2, column 1"),
        ("", "holds nothing"),
        ("# nothing\n---\n", "holds nothing"),
    ],
)
def test_nothing_is_written_when_any_job_is_wrong(store: Jobs, apply: Apply, text: str, message: str) -> None:
    store.know("a", "b", "good")
    good = "{name: good, schedule: '@hourly', executor: shell, executor_config: {command: x}}\n---\n"
    for prefix in ("", good) if "holds nothing" not in message and "line 2" not in message else ("",):
        result = apply(prefix + text)
        assert (result.code, result.out) == (2, "")
        assert message.replace("document 1", "document 2" if prefix else "document 1") in result.err
    assert store.written == []


def test_every_problem_is_told_at_once(store: Jobs, apply: Apply) -> None:
    store.know("a", "b")
    result = apply("[{name: a, schedule: x, retries: -1, executor: shell}, {name: b, retries: many}]")
    for field in ("a: retries", "b: retries"):
        assert field in result.err


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_files_that_cannot_be_read(dkron: Dkron, server: FakeServer, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.yml").write_bytes(content)
    result = dkron("job", "apply", str(tmp_path / "x.yml"))
    assert (result.code, server.requests) == (2, [])
    assert "x.yml" in result.err


def test_a_job_changed_meanwhile_is_left_alone(store: Jobs, apply: Apply) -> None:
    store.add("a", schedule="@hourly")
    store.know("b")
    read = store.server.answers["GET", "/v1/jobs/a"]

    def read_then_change(request: Request) -> Answer:
        answer = read(request)
        store.versions["a"] += 1
        return answer

    store.server.on("GET", "/v1/jobs/a", read_then_change)
    result = apply(f"{JOB}\n---\n{JOB.replace('a,', 'b,')}")

    assert result.code == 1
    assert result.out.splitlines()[1:] == [
        "a\tconflict\tschedule",
        "b\tcreated\tschedule,executor,executor_config.command",
    ]
    assert "dkron: a: it was changed meanwhile and is left as it is; apply again" in result.err
    assert store.jobs["a"]["schedule"] == "@hourly"


def test_what_the_server_refuses_is_told_and_the_rest_is_done(store: Jobs, apply: Apply) -> None:
    store.know("a", "b")
    store.server.on("PUT", "/v1/jobs/a", problem(400, "no", schedule="is not for this server"))
    result = apply(f"[{JOB}, {JOB.replace('a,', 'b,')}]")

    assert result.code == 1
    assert "dkron: a: schedule: is not for this server\n" in result.err
    assert store.jobs.keys() == {"b"}


def test_without_a_store_it_stops_and_tells_what_was_done(store: Jobs, apply: Apply) -> None:
    store.know("a", "b", "c")
    store.server.on("PUT", "/v1/jobs/b", problem(503, "the store can't be reached"))
    result = apply(f"[{JOB}, {JOB.replace('a,', 'b,')}, {JOB.replace('a,', 'c,')}]")

    assert result.code == 4
    assert [line.split("\t")[0] for line in result.out.splitlines()] == ["name", "a"]
    assert store.jobs.keys() == {"a"}


CHANGED = (
    "{name: a, schedule: '@every 20s', timezone: Europe/Berlin, executor: shell,"
    ' executor_config: {command: "date\\nls\\n"}, disabled: false}'
)


def test_dry_run_shows_the_difference_and_writes_nothing(
    store: Jobs, apply: Apply, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add("a", metadata={"team": "x"})
    store.know("b")
    monkeypatch.setenv("COLUMNS", "80")
    result = apply(f"{CHANGED}\n---\n{JOB.replace('a,', 'b,')}", "--dry-run", "--format", "pretty")

    assert (result.code, store.written) == (0, [])
    assert result.out == (Path(__file__).parent / "golden" / "apply-dry-run.pretty.txt").read_text()


def test_dry_run_in_colours(store: Jobs, apply: Apply, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add("a")
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = apply(CHANGED, "--dry-run", "--format", "pretty").out
    assert "\x1b[31m      - @every 10s\x1b[0m" in out
    assert "\x1b[32m      + @every 20s\x1b[0m" in out


def test_dry_run_as_objects(store: Jobs, apply: Apply) -> None:
    store.add("a")
    (row,) = json.loads(apply(CHANGED, "--dry-run", "--format", "json").out)
    assert row["action"] == "changed"
    assert {"field": "schedule", "old": "@every 10s", "new": "@every 20s"} in row["changes"]
    assert len(row["fires"]["old"]) == len(row["fires"]["new"]) == 3


def test_dry_run_of_a_job_that_is_switched_off(store: Jobs, apply: Apply) -> None:
    store.add("a")
    (row,) = json.loads(apply(JOB[:-1] + ", disabled: true}", "--dry-run", "--format", "json").out)
    assert row["fires"].keys() == {"old"}
