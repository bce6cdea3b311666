"""Trigger files in a real directory: each is carried out once, whoever dies when, however many servers look."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dkronpy.catalog.jobs import Jobs
from dkronpy.catalog.keys import KINDS, Keys
from dkronpy.catalog.mirror import Mirror
from dkronpy.catalog.requests import Requests
from dkronpy.dsari import trigger_files
from dkronpy.dsari.trigger_claims import Claim, TriggerClaims, Waiting
from dkronpy.dsari.trigger_files import TriggerFiles
from dkronpy.model.execution import Trigger
from dkronpy.model.job import Job
from dkronpy.model.parameter import Parameter, ParameterType
from dkronpy.model.records import TriggerRecord
from dkronpy.store.contract import Guard, Operation
from tests.support.memory_store import MemoryData, MemoryStore


class Died(Exception):
    """The server died."""


class Fate:
    """Counts what a server does to files and store, and lets it die before or after the one that is `last`."""

    def __init__(self, last: int = 0, *, after: bool = False) -> None:
        self.last, self.after, self.done = last, after, 0

    def before(self) -> None:
        self.done += 1
        if self.done == self.last and not self.after:
            raise Died

    def afterwards(self) -> None:
        if self.done == self.last and self.after:
            raise Died


class MortalClaims(TriggerClaims):
    def __init__(self, directory: Path, fate: Fate) -> None:
        super().__init__(directory)
        self.fate = fate

    def claim(self, file: Waiting, node: str, number: int) -> Claim | None:
        self.fate.before()
        found = super().claim(file, node, number)
        self.fate.afterwards()
        return found

    def drop(self, claim: Claim) -> None:
        self.fate.before()
        super().drop(claim)
        self.fate.afterwards()

    def set_aside(self, claim: Claim, error: str) -> str:
        self.fate.before()
        place = super().set_aside(claim, error)
        self.fate.afterwards()
        return place


class MortalStore(MemoryStore):
    def __init__(self, data: MemoryData) -> None:
        super().__init__(data)
        self.fate = Fate()

    async def commit(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        self.fate.before()
        revision = await super().commit(guards, operations)
        self.fate.afterwards()
        return revision


class Cluster:
    """Servers on one store and one directory; jobs a, b and, with a parameter, c."""

    def __init__(self, directory: Path, stack: AsyncExitStack) -> None:
        self.directory = directory
        self.data = MemoryData()
        self.keys = Keys("dkron")
        self._stack = stack

    async def server(self, name: str, fate: Fate | None = None) -> TriggerFiles:
        store = MortalStore(self.data)
        await store.open()
        self.mirror = mirror = Mirror(store, self.keys)
        following = asyncio.create_task(mirror.run())
        self._stack.callback(following.cancel)
        await mirror.loaded.wait()
        if not mirror.jobs:
            jobs = Jobs(store, mirror, self.keys, time.time_ns)
            for job in ("a", "b"):
                await jobs.put(Job(job, 0, schedule="@manually"), by="test")
            parameters = (Parameter("N", ParameterType.INTEGER),)
            await jobs.put(Job("c", 0, schedule="@manually", parameters=parameters), by="test")
        store.fate = fate or Fate()
        claims = MortalClaims(self.directory, store.fate)
        requests = Requests(store, mirror, self.keys, time.time_ns)
        return TriggerFiles(claims, name, store, mirror, self.keys, requests, time.time_ns)

    def write(self, job: str, content: Any = None, name: str = "trigger.json") -> None:
        """A file that was written a while ago."""
        path = self.directory / job / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content or {}).encode())
        age(path, 5)

    @property
    def asked(self) -> dict[tuple[str, int], TriggerRecord]:
        return {key: held.value for key, held in self.mirror.triggers.items()}

    def left(self) -> list[str]:
        """What is in the directory, but for the jobs' own."""
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.rglob("*") if path.is_file())


def age(path: Path, seconds: float) -> None:
    """Let a file have been written so long ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        yield Cluster(tmp_path, stack)


async def test_a_file_asks_for_a_run(cluster: Cluster) -> None:
    server = await cluster.server("n1")
    content = {"environment": {"V": "1.2"}, "type": "deploy", "description": "d", "commit": "f00"}
    cluster.write("a", content)
    cluster.write("b", b"schedule_time: 2100-01-01\nschedule_timezone: UTC\n", "trigger.yaml")
    cluster.write("c", {"parameters": {"N": 3}})
    await server.scan()
    found = {job: record for (job, _), record in cluster.asked.items()}
    assert found["a"] == TriggerRecord(
        found["a"].at,
        Trigger.FILE,
        "n1",
        {"V": "1.2"},
        found["a"].asked,
        "deploy",
        "d",
        '{"commit":"f00"}',
    )
    assert 4e9 < found["a"].asked - found["a"].at < 60e9, "it is due when its file was written"
    assert found["b"].at == 4_102_444_800_000_000_000
    assert found["b"].planned
    assert found["c"].env == {"N": "3"}
    assert cluster.left() == []
    await server.scan()
    assert len(cluster.asked) == 3


async def test_a_job_is_found_by_its_name_in_dsari(cluster: Cluster) -> None:
    server = await cluster.server("n1")
    jobs = Jobs(cluster.mirror._store, cluster.mirror, cluster.keys, time.time_ns)
    await jobs.put(Job("my-job", 0, schedule="@manually", hash_id="My Job"), by="test")
    await jobs.put(Job("other-job", 0, schedule="@manually"), by="test")
    for job in ("My Job", "my-job", "Other Job"):
        cluster.write(job)
    await server.scan()
    assert [job for job, _ in cluster.asked] == ["my-job", "my-job"]
    assert [name for name in cluster.left() if name.startswith("Other Job/")]


@pytest.mark.parametrize(
    ("job", "content", "error"),
    [
        ("a", b"{", "line 1"),
        ("a", b"", "line 1"),
        ("a", b"\xff", "UTF-8"),
        ("a", b"{}" + b" " * 200_000, "too large"),
        ("a", {"environment": {"A B": "1"}}, "environment.A B"),
        ("nobody", {}, "no job 'nobody'"),
        ("c", {}, "parameters.N: is missing"),
        ("c", {"parameters": {"N": "x"}}, "parameters.N: must be an integer"),
        ("c", {"environment": {"N": "x"}}, "env.N: must be an integer"),
    ],
)
async def test_a_bad_file_is_put_aside_with_its_error(cluster: Cluster, job: str, content: Any, error: str) -> None:
    server = await cluster.server("n1")
    cluster.write(job, content)
    cluster.write("b")
    written = (cluster.directory / job / "trigger.json").read_bytes()
    await server.scan()
    assert [name for name, _ in cluster.asked] == ["b"], "the others go on"
    bad, told = sorted((cluster.directory / job / "bad").iterdir(), key=lambda path: path.suffix, reverse=True)
    assert (bad.suffix, told.suffix) == (".json", ".error")
    assert bad.read_bytes() == written
    assert error in told.read_text()


async def test_what_is_no_plain_file(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    server = await cluster.server("n1")
    secret = tmp_path_factory.mktemp("secret") / "x.json"
    secret.write_text("{}")
    for job in ("link", "fifo", "directory", "linked-bad"):
        (cluster.directory / job).mkdir()
    (cluster.directory / "link/trigger.json").symlink_to(secret)
    os.mkfifo(cluster.directory / "fifo/trigger.json")
    (cluster.directory / "directory/trigger.json").mkdir()
    (cluster.directory / "linked-bad/bad").symlink_to(secret.parent)
    (cluster.directory / "linked-bad/trigger.json").write_text("{")
    os.utime(cluster.directory / "linked-bad/trigger.json", (1, 1))
    (cluster.directory / "file").write_text("{}")
    (cluster.directory / "linked-job").symlink_to(secret.parent)
    cluster.write(os.fsdecode(b"\xff"))
    cluster.write("a")
    await asyncio.sleep(0.6)  # as long as a file has to be unchanged
    await server.scan()
    await server.scan()
    assert [name for name, _ in cluster.asked] == ["a"]
    assert [path.name for path in secret.parent.iterdir()] == ["x.json"], "nothing is written outside"
    assert len(list(cluster.directory.glob("*/bad/*.error"))) == 4


async def test_a_file_that_is_being_written_is_left_alone(cluster: Cluster) -> None:
    server = await cluster.server("n1")
    cluster.write("a")
    os.utime(cluster.directory / "a/trigger.json")
    await server.scan()
    assert not cluster.asked
    age(cluster.directory / "a/trigger.json", 1)
    await server.scan()
    assert len(cluster.asked) == 1


async def test_a_server_may_die_at_every_point(tmp_path: Path) -> None:
    async def story(directory: Path, fate: Fate, next_server: str) -> Cluster:
        async with AsyncExitStack() as stack:
            cluster = Cluster(directory, stack)
            server = await cluster.server("n1", fate)
            for job in ("a", "b", "nobody"):
                cluster.write(job)
            try:
                await server.scan()
            except Died:
                server = await cluster.server(next_server)
                await server.scan()
            await server.scan()
            return cluster

    healthy = Fate()
    await story(tmp_path / "healthy", healthy, "")
    assert healthy.done == 8, "three claims, two commits, two files that go, one that is put aside"
    for last in range(1, healthy.done + 1):
        for after in (False, True):
            for heir in ("n1", "n2"):
                fate = Fate(last, after=after)
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(trigger_files, "ORPHANED", 0)
                    cluster = await story(tmp_path / f"{last}-{after}-{heir}", fate, heir)
                assert fate.done >= last
                asked = Counter(job for job, _ in cluster.asked)
                assert asked == {"a": 1, "b": 1}, (last, after, heir)
                (error, bad) = cluster.left()
                assert error.startswith("nobody/bad/")
                assert bad.startswith("nobody/bad/")


async def test_a_claim_of_a_server_that_lives_is_its_own(cluster: Cluster) -> None:
    await cluster.server("n1", fate := Fate(1, after=True))
    cluster.write("a")
    with pytest.raises(Died):
        await (await cluster.server("n1", fate)).scan()
    other = await cluster.server("n2")
    await other.scan()
    assert not cluster.asked
    await (await cluster.server("n1")).scan()
    await other.scan()
    assert len(cluster.asked) == 1


async def test_two_that_carry_out_one_claim_at_once(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trigger_files, "ORPHANED", 0)
    dead = await cluster.server("n1", Fate(1, after=True))
    cluster.write("a")
    with pytest.raises(Died):
        await dead.scan()
    both, calls, read = threading.Barrier(2, timeout=60), count(1), TriggerClaims.read

    def together(claims: TriggerClaims, claim: Claim) -> tuple[bytes, int] | None:
        found = read(claims, claim)
        if next(calls) <= 2:
            both.wait()
        return found

    monkeypatch.setattr(TriggerClaims, "read", together)
    servers = [await cluster.server("n1"), await cluster.server("n2")]
    await asyncio.gather(*(server.scan() for server in servers))
    assert len(cluster.asked) == 1
    assert cluster.left() == []


async def test_servers_share_a_directory(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where each takes the others' claims for those of the dead, and all carry out the same one."""
    monkeypatch.setattr(trigger_files, "ORPHANED", 0)
    servers = [await cluster.server(f"n{index}") for index in range(4)]
    jobs = Jobs(servers[-1]._store, cluster.mirror, cluster.keys, time.time_ns)
    names = [f"j{index}" for index in range(30)]
    for name in names:
        await jobs.put(Job(name, 0, schedule="@manually"), by="test")
    for server in servers:
        await server._mirror.reached(cluster.mirror.revision)
    for name in names:
        cluster.write(name)

    async def twice(server: TriggerFiles) -> None:
        """One scan after the other: no server runs two at a time, and its numbers rest on that."""
        for _ in range(2):
            await server.scan()

    await asyncio.gather(*map(twice, servers))
    for server in servers:
        await server.scan()
    assert Counter(job for job, _ in cluster.asked) == dict.fromkeys(names, 1)
    assert cluster.left() == []


async def test_claims_that_no_server_makes(cluster: Cluster) -> None:
    server = await cluster.server("n1")
    ahead = f".claim-{time.time_ns() + 2 * trigger_files.AHEAD:020d}-n1.json"
    for name in (ahead, ".claim-00000000000000000001-a%2fb.json", f".claim-{'9' * 20}-n1.json", ".claim-1-n1.json"):
        cluster.write("a", {}, name)
    cluster.write("b")
    await server.scan()
    assert [job for job, _ in cluster.asked] == ["b"]
    await server.scan()
    cluster.write("b")
    await server.scan()
    assert len(cluster.asked) == 2
    entry = await server._store.get(cluster.keys.file_mark("n1"))
    assert entry is not None
    assert KINDS["files"].decode(entry.value).claim <= time.time_ns(), "the mark is not spoilt"


async def test_it_looks_again_and_when_it_is_woken(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = await cluster.server("n1")
    monkeypatch.setattr(trigger_files, "EVERY", 60)
    looked = asyncio.Event()
    look = TriggerClaims.look

    def noted(claims: TriggerClaims) -> Any:
        loop.call_soon_threadsafe(looked.set)
        if not cluster.asked:
            return look(claims)
        raise OSError("the disk is gone")

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(TriggerClaims, "look", noted)
    running = asyncio.create_task(server.run())
    asked = asyncio.Event()
    cluster.mirror.subscribe(lambda _: asked.set() if cluster.asked else None)
    await looked.wait()
    cluster.write("a")
    server.wake()
    await asked.wait()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            looked.clear()
            server.wake()
            await looked.wait()
    assert not running.done()
    assert [record.getMessage() for record in caplog.records].count(
        "trigger files can't be carried out, trying until they can: 'the disk is gone'"
    ) == 1
    running.cancel()
