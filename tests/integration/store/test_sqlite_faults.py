"""The embedded store on a full disk, on a failing one, and after `kill -9`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from dkronpy.store.contract import Conflict, Delete, Guard, OutcomeUnknown, Put, StoreError, StoreFull, Unavailable
from dkronpy.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from dkronpy.store.contract import Operation

CHILD = Path(__file__).with_name("crash_child.py")


async def listed(store: SqliteStore, prefix: str) -> list[str]:
    return [entry.key for entry in (await store.list(prefix, limit=100_000)).entries]


class SmallDisk:
    """A file system in memory of a few MB."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self.filler = folder / "filler"
        self._mount("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs")

    def _mount(self, *arguments: str) -> None:
        done = subprocess.run(["mount", *arguments, self.folder], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"NOT TESTED on a full disk: this user may not mount a tmpfs ({done.stderr.strip()})")

    def resize(self, megabytes: int) -> None:
        self._mount("-o", f"remount,size={megabytes}m")

    def fill(self) -> None:
        """With a file of somebody else."""
        with self.filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", self.folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Generator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    small = SmallDisk(folder, 4)
    yield small
    small.unmount()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[SqliteStore]:
    opened = SqliteStore(tmp_path / "store.db")
    await opened.open()
    yield opened
    await opened.close()


class TestFullDisk:
    async def test_goes_on_when_there_is_room(self, disk: SmallDisk) -> None:
        store = SqliteStore(disk.folder / "store.db")
        await store.open()
        start = await store.commit([], [Put("a/before", b"")])
        told: list[str] = []

        async def follow() -> None:
            async for batch in store.watch("", start):
                told.extend(event.key for event in batch)

        following = asyncio.create_task(follow())
        kept: list[str] = []

        async def write(prefix: str) -> int:
            """Until the disk is full; how many commits were refused."""
            commits = [[Put(f"{prefix}/{n:04}/{part}", os.urandom(2000)) for part in "ab"] for n in range(2000)]
            results = await asyncio.gather(*(store.commit([], puts) for puts in commits), return_exceptions=True)
            for puts, result in zip(commits, results, strict=True):
                assert isinstance(result, int | StoreFull), result
                kept.extend(put.key for put in puts if isinstance(result, int))
            return sum(isinstance(result, StoreFull) for result in results)

        disk.fill()
        assert await write("full") > 0
        with pytest.raises(StoreFull, match="free some on its disk"):
            await store.commit([], [Put("one more", os.urandom(200_000))])
        assert await store.get("a/before") is not None  # reading goes on
        assert await listed(store, "full") == sorted(kept)
        disk.filler.unlink()
        disk.resize(64)
        assert await write("room") == 0
        with pytest.raises(Conflict):
            await store.commit([Guard("a/before", start + 1)], [])
        contents = await listed(store, "")
        assert contents == ["a/before", *sorted(kept)]
        await store.close()
        with pytest.raises(Unavailable):
            await following
        assert sorted(told) == sorted(kept)
        await store.open()
        assert await listed(store, "") == contents
        await store.close()

    async def test_what_is_rewritten_does_not_fill_a_small_disk(self, disk: SmallDisk) -> None:
        """The log of changes must not grow until there is no room left to take it in."""
        disk.resize(2)
        store = SqliteStore(disk.folder / "store.db")
        await store.open()
        for n in range(1500):
            await store.commit([], [Put(f"key{n % 20}", bytes(1000))])
        await store.close()

    async def test_records_are_updated_and_deleted_on_a_full_disk(self, disk: SmallDisk) -> None:
        """As long as the file need not grow."""
        store = SqliteStore(disk.folder / "store.db")
        await store.open()
        await asyncio.gather(*(store.commit([], [Put(f"key{n}", bytes(1000))]) for n in range(200)))
        await store.commit([], [Put("cursor", b"%010d" % 0)])
        disk.fill()
        for n in range(500):
            await store.commit([], [Put("cursor", b"%010d" % n), Put(f"key{n % 200}", b"%010d" % n * 100)])
        for n in range(200):
            await store.commit([], [Delete(f"key{n}")])
        assert await listed(store, "") == ["cursor"]
        await store.close()

    async def test_survives_being_closed_and_opened(self, disk: SmallDisk) -> None:
        store = SqliteStore(disk.folder / "store.db")
        await store.open()
        kept: list[str] = []
        with contextlib.suppress(StoreFull):
            while True:
                await store.commit([], [Put(f"key{len(kept):05}", os.urandom(3000))])
                kept.append(f"key{len(kept):05}")
        await store.close()
        disk.resize(8)
        await store.open()
        assert await listed(store, "") == kept
        await store.commit([], [Put("more", b"")])
        await store.close()

    async def test_opening_says_so(self, disk: SmallDisk) -> None:
        disk.fill()
        store = SqliteStore(disk.folder / "store.db")
        with pytest.raises(StoreFull, match="no room is left"):
            await store.open()
        disk.filler.unlink()
        await store.open()
        await store.commit([], [Put("a", b"")])
        await store.close()

    async def test_an_error_that_does_not_say_so(self, disk: SmallDisk, failing: type[Failing]) -> None:
        """Where the disk refuses at another step, SQLite tells of an input or output error only."""
        store = SqliteStore(disk.folder / "store.db")
        await store.open()
        disk.fill()
        failing.plan = [("INSERT", sqlite3.SQLITE_IOERR_SHMSIZE)] * 2
        with pytest.raises(StoreFull):
            await store.commit([], [Put("a", b"")])
        disk.filler.unlink()
        failing.plan = [("INSERT", sqlite3.SQLITE_IOERR_SHMSIZE)]
        with pytest.raises(Unavailable, match="made to fail"):
            await store.commit([], [Put("a", b"")])
        await store.commit([], [Put("a", b"")])
        await store.close()


class Failing(sqlite3.Connection):
    """Fails as planned: the next statement that begins with the word, with the result code (or any other exception)."""

    plan: ClassVar[list[tuple[str, int | Exception]]] = []

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if self.plan and sql.startswith(self.plan[0][0]):
            _, failure = self.plan.pop(0)
            if isinstance(failure, Exception):
                raise failure
            error = sqlite3.OperationalError("made to fail")
            error.sqlite_errorcode = failure
            raise error
        return super().execute(sql, parameters)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Generator[type[Failing]]:
    """Stores opened from now on fail as `Failing.plan` says."""
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Failing))
    yield Failing
    assert not Failing.plan
    Failing.plan = []


class TestFailingDisk:
    @pytest.mark.parametrize(
        ("plan", "expected"),
        [
            ([("BEGIN", sqlite3.SQLITE_IOERR_READ)], Unavailable),
            ([("INSERT", sqlite3.SQLITE_IOERR_WRITE)], Unavailable),
            ([("INSERT", sqlite3.SQLITE_IOERR_WRITE), ("PRAGMA wal_checkpoint", sqlite3.SQLITE_IOERR)], Unavailable),
            ([("UPDATE", sqlite3.SQLITE_CORRUPT)], Unavailable),
            ([("INSERT", ValueError("a mistake of ours"))], Unavailable),
            ([("COMMIT", sqlite3.SQLITE_IOERR_FSYNC)], Unavailable),
            (
                [("COMMIT", sqlite3.SQLITE_IOERR_FSYNC), ("PRAGMA wal_checkpoint", sqlite3.SQLITE_IOERR_WRITE)],
                OutcomeUnknown,
            ),
            ([("COMMIT", sqlite3.SQLITE_IOERR_FSYNC), ("ROLLBACK", sqlite3.SQLITE_IOERR_WRITE)], OutcomeUnknown),
            ([("COMMIT", sqlite3.SQLITE_FULL), ("PRAGMA wal_checkpoint", sqlite3.SQLITE_FULL)], StoreFull),
            ([("COMMIT", sqlite3.SQLITE_FULL), ("COMMIT", sqlite3.SQLITE_FULL)], StoreFull),
            ([("COMMIT", sqlite3.SQLITE_FULL)], None),
        ],
    )
    async def test_all_that_waited_hear_of_it_and_the_next_goes_on(
        self,
        tmp_path: Path,
        failing: type[Failing],
        plan: list[tuple[str, int | Exception]],
        expected: type[StoreError] | None,
    ) -> None:
        store = SqliteStore(tmp_path / "store.db")
        await store.open()
        first = await store.commit([], [Put("a", b"1")])
        failing.plan = plan
        operations: list[Operation] = [Put("a", b"2"), Put("b", b"2")]
        (result,) = await asyncio.gather(store.commit([Guard("a", first)], operations), return_exceptions=True)
        watch = store.watch("", first)
        if expected is None:
            assert isinstance(result, int)
            assert [event.key for event in await anext(watch)] == ["a", "b"]
        else:
            assert isinstance(result, StoreError)
            assert type(result) is expected
            assert result.__cause__ is not None
            if not plan:  # a rollback that failed is made up for by the next batch
                assert await listed(store, "") == ["a"]
        last, *_ = await asyncio.gather(store.commit([], [Put("c", b"")]), return_exceptions=True)
        if isinstance(last, StoreError):
            last = await store.commit([], [Put("c", b"")])
        assert isinstance(last, int)
        assert last > first
        assert await listed(store, "") == (["a", "c"] if expected else ["a", "b", "c"])
        assert [(event.key, event.revision) for event in await anext(watch)] == [("c", last)]
        await store.close()
        await store.open()
        assert await listed(store, "") == (["a", "c"] if expected else ["a", "b", "c"])
        await store.close()

    async def test_each_waiting_commit_gets_its_own_error(self, tmp_path: Path, failing: type[Failing]) -> None:
        store = SqliteStore(tmp_path / "store.db")
        await store.open()
        lock = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        tasks = [asyncio.create_task(store.commit([], [Put(f"{n}", b"")])) for n in range(3)]
        await asyncio.sleep(0.05)
        failing.plan = [("COMMIT", sqlite3.SQLITE_IOERR_FSYNC)] * 2  # the first may have gone alone
        lock.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        failing.plan = []
        assert [type(result) for result in results] == [Unavailable] * 3
        assert len({id(result) for result in results}) == 3
        assert await listed(store, "") == []
        await store.close()

    async def test_reads_fail_clearly(self, tmp_path: Path, failing: type[Failing]) -> None:
        store = SqliteStore(tmp_path / "store.db")
        await store.open()
        for _ in range(2):
            failing.plan = [("SELECT NULL", sqlite3.SQLITE_IOERR_READ)]
            with pytest.raises(Unavailable, match="made to fail"):
                await store.list("")
            failing.plan = [("SELECT value", sqlite3.SQLITE_CORRUPT)]
            with pytest.raises(Unavailable, match="damaged"):
                await store.get("a")
        assert await listed(store, "") == []
        await store.close()

    async def test_a_limit_on_the_size_of_files(self, store: SqliteStore, tmp_path: Path) -> None:
        """A real refusal by the kernel that is no want of room."""
        await store.commit([], [Put("a", b"")])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "store.db-wal").stat().st_size, hard))
        try:
            with pytest.raises(Unavailable, match="disk I/O error"):
                await store.commit([], [Put("b", bytes(200_000))])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await store.commit([Guard("b", 0)], [Put("c", bytes(200_000))])
        assert await listed(store, "") == ["a", "c"]


async def test_a_listing_that_is_cancelled_frees_the_way(store: SqliteStore) -> None:
    await asyncio.gather(*(store.commit([], [Put(f"key{n:04}", b"")]) for n in range(1000)))
    listing = asyncio.create_task(store.list("", limit=1000))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    listing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listing
    assert len(await listed(store, "")) == 1000


async def test_listings_do_not_hold_up_the_loop(store: SqliteStore) -> None:
    await asyncio.gather(*(store.commit([], [Put(f"key{n:04}", b"")]) for n in range(2000)))
    turns = 0
    listing = asyncio.create_task(store.list("", limit=2000))
    while not listing.done():
        await asyncio.sleep(0)
        turns += 1
    assert len((await listing).entries) == 2000
    assert turns >= 20


async def test_kill_9_loses_no_answered_commit(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    answered: dict[str, int] = {}
    for round_number in range(5):
        child = await asyncio.create_subprocess_exec(
            sys.executable, CHILD, path, str(round_number), stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        goal = len(answered) + 300 + 211 * round_number
        while len(answered) < goal:
            line = await asyncio.wait_for(child.stdout.readline(), 90)
            assert line.endswith(b"\n")
            key, revision = line.split()
            answered[key.decode()] = int(revision)
        child.send_signal(signal.SIGKILL)
        for line in (await child.stdout.read()).splitlines(keepends=True):
            if line.endswith(b"\n"):
                key, revision = line.split()
                answered[key.decode()] = int(revision)
        await child.wait()
        store = SqliteStore(path)
        await store.open()
        page = await store.list("a/", limit=1_000_000)
        stored = {entry.key: entry.revision for entry in page.entries}
        assert {key: stored.get(key) for key in answered} == answered
        twins = {entry.key: entry.revision for entry in (await store.list("b/", limit=1_000_000)).entries}
        assert {
            key.replace("a/", "b/"): revision for key, revision in stored.items()
        } == twins  # never half of a commit
        assert len(set(stored.values())) == len(stored)
        assert page.revision == max(stored.values())
        for worker in range(16):
            numbers = [key for key in stored if key.startswith(f"a/{round_number}/{worker:02}/")]
            assert numbers == [f"a/{round_number}/{worker:02}/{n:06}" for n in range(len(numbers))]
        assert await store.commit([], []) == page.revision
        await store.close()
