"""Jobs kept as a directory says: what is written and deleted, what stays when it is broken, several servers with it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from dkronpy.catalog.sources import Sources
from dkronpy.dsari import directory as module
from dkronpy.dsari.directory import JobDirectory
from dkronpy.model.source import SourceReport, SourceState
from dkronpy.store.contract import Unavailable
from tests.integration.api.conftest import problem
from tests.support.api_node import ApiNode, api_node
from tests.support.memory_store import MemoryStore

TWO: dict[str, Any] = {
    "jobs": {"Report": {"command": "report", "schedule": "H H * * *"}, "b": {"command": "b"}},
    "concurrency_groups": {"db": {"max": 2}},
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK", 0.01)
    monkeypatch.setattr(module, "AGAIN", 0.01)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ApiNode]:
    async with api_node(tmp_path / "data") as node:
        yield node


def directory(node: ApiNode, path: Path, name: str = "n1", source: str = "") -> JobDirectory:
    now: Callable[[], int] = time.time_ns
    made = JobDirectory(path, name, node.mirror, node.jobs, Sources(node.store, node.mirror, node.keys, now), now)
    if source:  # the same path on another machine
        made.report = SourceReport(source)
    return made


@asynccontextmanager
async def running(*directories: JobDirectory) -> AsyncGenerator[None]:
    tasks = [asyncio.create_task(one.run()) for one in directories]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with pytest.raises(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def write(path: Path, config: object, name: str = "dsari.json") -> None:
    """As an editor does: at once, and never with the time of what was there."""
    path.mkdir(exist_ok=True, parents=True)
    text = config if isinstance(config, str) else json.dumps(config)
    (path / "new").write_text(text)
    os.replace(path / "new", path / name)
    os.utime(path / name, ns=(0, next(times)))


def _times() -> Iterator[int]:
    yield from range(2_000_000_000_000_000_000, 2_100_000_000_000_000_000, 1_000_000_000)


times = _times()


def held(node: ApiNode) -> dict[str, str]:
    return {name: held.value.executor_config["command"] for name, held in node.mirror.jobs.items()}


async def test_jobs_follow_the_directory(node: ApiNode, tmp_path: Path) -> None:
    path = tmp_path / "etc"
    write(path, TWO)
    one = directory(node, path)
    async with running(one):
        await until(lambda: one.report.state is SourceState.APPLIED)
        assert held(node) == {"report": "report", "b": "b"}
        assert {job.value.source for job in node.mirror.jobs.values()} == {str(path)}
        assert node.mirror.limits["db"].value.max == 2
        assert one.report.jobs == ("b", "report")
        revisions = {name: job.revision for name, job in node.mirror.jobs.items()}
        write(path, TWO)
        one.reload()
        before = one.report.at
        await until(lambda: one.report.at > before)
        assert {name: job.revision for name, job in node.mirror.jobs.items()} == revisions, "nothing had changed"
        write(path, {"jobs": {"b": {"command": "changed"}, "c": {"command": "c"}}})
        await until(lambda: held(node) == {"b": "changed", "c": "c"})
        await until(lambda: "db" not in node.mirror.limits)
        edits = await node.jobs.edits("b")
        assert [edit.by for edit in edits] == [f"directory {path}"] * 2


async def test_what_is_broken_changes_nothing(node: ApiNode, tmp_path: Path) -> None:
    path = tmp_path / "etc"
    write(path, TWO)
    one = directory(node, path)
    async with running(one):
        await until(lambda: held(node))
        await until(lambda: one.report.state is SourceState.APPLIED)
        for content, told in (
            ("{", "dsari.json: line 1, column 2"),
            ({"jobs": {"b": {"command": "b", "schedule": "never"}}}, "dsari.json: jobs.b: schedule: "),
            ({"jobs": {"b": {}}}, "dsari.json: jobs.b.command: is missing"),
        ):
            write(path, content)
            await until(lambda told=told: one.report.state is SourceState.REFUSED and told in one.report.problems[0])
            assert held(node) == {"report": "report", "b": "b"}
            assert one.report.jobs == ("b", "report")
        os.remove(path / "dsari.json")
        await until(lambda: "holds no dsari.yaml" in one.report.problems[0])
        assert len(node.mirror.jobs) == 2
        write(path, {"jobs": {"b": {"command": "b"}}})
        await until(lambda: one.report.state is SourceState.APPLIED)
        assert held(node) == {"b": "b"}
        assert one.report.problems == ()


async def test_parents_before_children_and_the_other_way_round(node: ApiNode, tmp_path: Path) -> None:
    path = tmp_path / "etc"
    chain = {"a": "b", "b": "c", "c": "d"}
    jobs = {name: {"command": name, "dkron": {"parent_job": parent}} for name, parent in chain.items()}
    write(path, {"jobs": jobs | {"d": {"command": "d"}, "e": {"command": "e", "dkron": {"parent_job": "nobody"}}}})
    one = directory(node, path)
    async with running(one):
        await until(lambda: one.report.state is SourceState.APPLIED)
        assert set(held(node)) == {"a", "b", "c", "d"}
        assert len(one.report.problems) == 1
        assert "job e: " in one.report.problems[0]
        write(path, {"jobs": {}})
        await until(lambda: not node.mirror.jobs)


async def test_only_the_directory_changes_its_jobs(node: ApiNode, tmp_path: Path) -> None:
    path = tmp_path / "etc"
    write(path, TWO)
    one = directory(node, path)
    async with running(one), TestClient(TestServer(node.app)) as api:
        await until(lambda: one.report.state is SourceState.APPLIED)
        async with api.get("/v1/jobs/b") as response:
            document = await response.json()
        assert document["source"] == str(path)
        for method, route, body in (
            ("PUT", "/v1/jobs/b", document | {"owner": "me"}),
            ("POST", "/v1/jobs", document | {"owner": "me"}),
            ("PATCH", "/v1/jobs/b", {"owner": "me"}),
            ("PATCH", "/v1/jobs", {"name": "b", "owner": "me"}),
            ("POST", "/v1/jobs/b/toggle", None),
            ("DELETE", "/v1/jobs/b", None),
            ("POST", "/v1/restore", [document]),
        ):
            told = await problem(await api.request(method, route, json=body), 409, "source")
            assert f"comes from the directory {path} on the servers: change it there" in told
        async with api.post("/v1/jobs/b/run") as response:
            assert response.status == 200
        async with api.patch("/v1/jobs/b?take", json={"owner": "me"}) as response:
            assert ((await response.json())["source"], response.status) == ("", 200)
        async with api.delete("/v1/jobs/report?take=true") as response:
            assert response.status == 200
        before = one.report.at
        one.reload()
        await until(lambda: one.report.at > before)
        assert node.mirror.jobs["b"].value.owner == "me", "it is a user's now"
        assert [told[:6] for told in one.report.problems] == ["job b:"]
        assert "does not come from this directory" in one.report.problems[0]
        assert "report" in node.mirror.jobs, "it is made again"


async def test_only_the_directory_changes_its_groups(node: ApiNode, tmp_path: Path) -> None:
    path = tmp_path / "etc"
    write(path, TWO)
    one = directory(node, path)

    async def reloaded() -> None:
        before = one.report.at
        one.reload()
        await until(lambda: one.report.at > before)

    async with running(one), TestClient(TestServer(node.app)) as api:
        await until(lambda: one.report.state is SourceState.APPLIED)
        async with api.get("/v1/groups/db") as response:
            assert (await response.json())["source"] == str(path)
        for method, body in (("PUT", {"max": 7}), ("DELETE", None)):
            told = await problem(await api.request(method, "/v1/groups/db", json=body), 409, "source")
            assert f"comes from the directory {path} on the servers: change it there" in told
        assert node.mirror.limits["db"].value.max == 2
        async with api.put("/v1/groups/db?take", json={"max": 7}) as response:
            assert ((await response.json())["source"], response.status) == ("", 200)
        await reloaded()
        assert node.mirror.limits["db"].value.max == 7, "it is a user's now"
        assert [told[:21] for told in one.report.problems] == ["concurrency group db:"]
        async with api.put("/v1/groups/db", json={"max": 2}) as response:
            assert response.status == 200
        await reloaded()
        assert (node.mirror.limits["db"].value.source, one.report.problems) == (str(path), ()), "it is alike"
        async with api.delete("/v1/groups/db?take=true") as response:
            assert response.status == 200
        await reloaded()
        assert node.mirror.limits["db"].value.max == 2, "it is made again"


async def test_a_job_that_is_there_alike_is_adopted(node: ApiNode, tmp_path: Path) -> None:
    path = tmp_path / "etc"
    write(path, TWO)
    one = directory(node, path)
    async with running(one):
        await until(lambda: one.report.state is SourceState.APPLIED)
    await node.jobs.change("b", lambda job: job, by="me", take=True)
    assert node.mirror.jobs["b"].value.source == ""
    other = directory(node, path)
    async with running(other):
        await until(lambda: other.report.state is SourceState.APPLIED)
    assert (node.mirror.jobs["b"].value.source, other.report.problems) == (str(path), ())


async def test_of_several_servers_the_one_with_the_newest_files_holds(node: ApiNode, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write(old, {"jobs": {"a": {"command": "old"}}})
    write(new, {"jobs": {"a": {"command": "new"}}})
    first = directory(node, old, "n1", "/etc/dsari")
    second = directory(node, new, "n2", "/etc/dsari")
    async with running(first, second):
        await until(lambda: second.report.state is SourceState.APPLIED)
        await until(lambda: held(node) == {"a": "new"})
        first.reload()  # whoever is told lets its own hold
        await until(lambda: held(node) == {"a": "old"})
        second.reload()
        await until(lambda: held(node) == {"a": "new"})
    again = directory(node, old, "n1", "/etc/dsari")
    async with running(again):
        await until(lambda: again.report.state is SourceState.OUTDATED)
        assert "n2 has newer files" in again.report.problems[0]
        assert held(node) == {"a": "new"}
        write(old, {"jobs": {"a": {"command": "new"}}})  # it is brought up to date
        await until(lambda: again.report.state is SourceState.APPLIED)
        assert held(node) == {"a": "new"}


async def test_a_store_that_is_away_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([True, True, False, True])

    class Flaky(MemoryStore):
        async def commit(self, guards: Any, operations: Any) -> int:
            if next(failures, False):
                raise Unavailable("away")
            return await super().commit(guards, operations)

    async with api_node(tmp_path / "data", store=Flaky()) as node:
        path = tmp_path / "etc"
        write(path, TWO)
        one = directory(node, path)
        async with running(one):
            await until(lambda: one.report.state is SourceState.PENDING and one.report.problems)
            await until(lambda: one.report.state is SourceState.APPLIED)
            assert held(node) == {"report": "report", "b": "b"}


async def test_what_a_server_tells_of_its_directory(node: ApiNode) -> None:
    node.sources.append(SourceReport("/etc/dsari", SourceState.REFUSED, 5, "d", ("f",), ("a",), ("broken",), ("odd",)))
    async with TestClient(TestServer(node.app)) as api, api.get("/v1/sources") as response:
        assert await response.json() == [
            {
                "directory": "/etc/dsari",
                "state": "refused",
                "looked_at": "1970-01-01T00:00:00.000000005Z",
                "digest": "d",
                "files": ["f"],
                "jobs": ["a"],
                "problems": ["broken"],
                "warnings": ["odd"],
            }
        ]


async def test_no_content_ends_the_server(node: ApiNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "etc"
    write(path, TWO)
    one = directory(node, path)
    async with running(one):
        with monkeypatch.context() as broken:
            broken.setattr(module, "parse", lambda merged: merged.nothing)
            await until(lambda: one.report.state is SourceState.REFUSED)
        assert "has no attribute 'nothing'" in one.report.problems[0]
        one.reload()
        await until(lambda: one.report.state is SourceState.APPLIED)


async def test_files_of_another_directory_are_followed_too(node: ApiNode, tmp_path: Path) -> None:
    path, more = tmp_path / "etc", tmp_path / "more"
    write(path, {"config_d": str(more)})
    write(more, {"jobs": {"a": {"command": "a"}}}, "a.json")
    async with running(directory(node, path)):
        await until(lambda: held(node) == {"a": "a"})
        write(more, {"jobs": {"a": {"command": "b"}}}, "a.json")
        await until(lambda: held(node) == {"a": "b"})


async def test_servers_that_act_at_once_are_of_one_mind(node: ApiNode, tmp_path: Path) -> None:
    path = tmp_path / "etc"
    servers = [directory(node, path, f"n{number}") for number in range(3)]
    config = {"jobs": {f"j{number}": {"command": "a"} for number in range(30)}}
    write(path, config)
    async with running(*servers):
        await until(lambda: all(one.report.state is SourceState.APPLIED for one in servers))
        assert len(node.mirror.jobs) == 30
        assert {len(await node.jobs.edits(name)) for name in node.mirror.jobs} == {1}, "each is written once"
        before = {one: one.report.digest for one in servers}
        write(path, {"jobs": {"j0": {"command": "b"}}})
        await until(lambda: all(one.report.digest != before[one] for one in servers))
    assert held(node) == {"j0": "b"}
    assert [one.report.problems for one in servers] == [()] * 3
