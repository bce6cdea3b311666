"""What only the embedded history promises: its file, its threads, its indexes."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from dkronpy.history.contract import HistoryError, HistoryFull, Query, Retention
from dkronpy.history.sqlite import SqliteHistory
from dkronpy.history.sqlite_schema import APPLICATION_ID, MIGRATIONS
from tests.integration.history.conftest import T0, piece, ran, sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


async def test_only_its_owner_may_read(path: Path) -> None:
    def modes() -> dict[str, int]:
        return {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}

    async with sqlite(path) as history:
        await history.write([ran("a", T0)], [])
        assert modes() == {"history.db": 0o600, "history.db-wal": 0o600, "history.db-shm": 0o600}
    os.chmod(path, 0o644)
    async with sqlite(path):
        assert modes()["history.db"] == 0o600


async def test_all_is_there_after_opening_again(path: Path) -> None:
    run = ran("a", T0)
    async with sqlite(path) as history:
        await history.write([run], [piece(run, 0, b"text")])
    async with sqlite(path) as history:
        assert await history.get(*run.key) == run
        assert (await history.output(*run.key)).data == b"text"
        assert (await history.stats(1, today="2023-11-14"))[0].success == 1


async def test_what_is_no_longer_kept_takes_no_room(path: Path) -> None:
    run = ran("a", T0)
    async with sqlite(path, output_limit=10_000) as history:
        for n in range(1000):
            await history.write([], [piece(run, n * 500, bytes(500))])
        (pieces, size) = await history._database.read(
            lambda connection: connection.execute("SELECT count(*), sum(length(data)) FROM output").fetchone()
        )
        assert pieces <= 2
        assert size <= 10_000 + 16_384


async def test_a_smaller_output_limit_holds_at_once(path: Path) -> None:
    run = ran("a", T0)
    async with sqlite(path) as history:
        await history.write([run], [piece(run, 0, b"0123456789")])
    async with sqlite(path, output_limit=4) as history:
        assert (await history.output(*run.key)).data == b"6789"


@pytest.mark.parametrize(
    "start", [b"this is a text file, not a database", b"SQLite format 3\0" + bytes(range(256)) * 40]
)
async def test_a_file_that_is_no_database(path: Path, start: bytes) -> None:
    content = start * 100
    path.write_bytes(content)  # noqa: ASYNC240
    with pytest.raises(HistoryError, match="move the file away") as error:
        await SqliteHistory(path).open()
    assert str(path) in str(error.value)
    assert isinstance(error.value.__cause__, sqlite3.Error)
    assert path.read_bytes() == content  # noqa: ASYNC240


async def test_another_programs_database(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE job (name TEXT)")
    other.close()
    with pytest.raises(HistoryError, match="another program's"):
        await SqliteHistory(path).open()


async def test_a_newer_schema(path: Path) -> None:
    async with sqlite(path):
        pass
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(HistoryError, match="schema 99"):
        await SqliteHistory(path).open()


async def test_every_earlier_schema_is_brought_to_the_newest(path: Path) -> None:
    runs = [ran("a", T0 + n, output_size=100) for n in range(4)]
    row = "INSERT INTO execution (job, grp, attempt, node, state, ended, record) VALUES (?, ?, ?, ?, ?, ?, ?)"
    for version in range(1, len(MIGRATIONS)):
        path = path.with_name(f"history-{version}.db")
        with sqlite3.connect(path) as old:
            for script in MIGRATIONS[:version]:
                old.executescript(script)
            old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            old.execute(f"PRAGMA user_version = {version}")
            old.executemany(row, [(*e.key, e.state, e.finished, msgspec.json.encode(e)) for e in runs])
            old.execute("INSERT INTO output VALUES ('a', ?, 1, 'n1', 0, X'7465')", (T0,))
            # What the software of that version wrote beside the record.
            counted = "INSERT INTO job (job, ran, idle, folded) VALUES ('a', 4, 0, -1)"
            old.execute(counted if version == 1 else "UPDATE execution SET size = 100")
        old.close()
        async with sqlite(path) as history:
            assert (await history.query(Query())).executions == tuple(reversed(runs))
            assert (await history.output(*runs[0].key)).data == b"te"
            assert not await history.prune(Retention(size=250), now=T0)
            assert await history.count(Query()) == 2


async def test_a_truncated_file(path: Path) -> None:
    async with sqlite(path) as history:
        await history.write([ran("a", T0 + n) for n in range(500)], [])
    os.truncate(path, 4096)
    with pytest.raises(HistoryError, match="restore a copy"):
        async with sqlite(path) as history:
            await history.query(Query())


async def test_a_damaged_record(path: Path) -> None:
    async with sqlite(path) as history:
        await history.write([ran("a", T0), ran("b", T0)], [])
    with sqlite3.connect(path) as other:
        other.execute("UPDATE execution SET record = 'x' WHERE job = 'a'")
    other.close()
    async with sqlite(path) as history:
        for work in (history.get("a", T0, 1, "n1"), history.query(Query()), history.write([ran("a", T0)], [])):
            with pytest.raises(HistoryError, match="a record is damaged"):
                await work
        assert await history.get("b", T0, 1, "n1")


async def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "history.db", tmp_path):
        with pytest.raises(HistoryError, match="can't open the history"):
            await SqliteHistory(path).open()


async def test_closed(path: Path) -> None:
    history = SqliteHistory(path)
    await history.close()
    with pytest.raises(HistoryError, match="not open"):
        await history.write([], [])
    await history.open()
    await history.close()
    await history.close()
    for work in (history.write([ran("a", T0)], []), history.count(Query())):
        with pytest.raises(HistoryError, match="not open"):
            await work


async def test_closing_finishes_what_was_accepted(path: Path) -> None:
    history = SqliteHistory(path)
    await history.open()
    tasks = [asyncio.ensure_future(history.write([ran("a", T0 + n)], [])) for n in range(600)]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    await history.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result for n, result in enumerate(results) if n % 3] == [None] * 400
    async with sqlite(path) as again:
        assert await again.count(Query()) == 600


async def test_a_request_that_fails_fails_alone(path: Path) -> None:
    async with sqlite(path) as history:
        writes = [history.write([ran("a", T0 + n if n != 7 else 1 << 70)], []) for n in range(20)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert [n for n, result in enumerate(results) if result is not None] == [7]
        assert await history.count(Query()) == 19


async def test_pruning_is_not_forgotten_when_a_transaction_fails(path: Path) -> None:
    async with sqlite(path) as history:
        await history.write([ran("a", T0 + n) for n in range(10)], [])
        await asyncio.gather(
            history.prune(Retention(5), now=T0),
            history.write([ran("a", 1 << 70)], []),
            return_exceptions=True,
        )
        await history.prune(Retention(5), now=T0)
        assert await history.count(Query()) == 5


async def test_one_call_looks_at_few_jobs(path: Path) -> None:
    async with sqlite(path) as history:
        assert not await history.prune(Retention(5), now=T0)
        await history.write([ran(f"job{n}", T0) for n in range(30)], [])
        more = [await history.prune(Retention(5), now=T0, batch=10) for _ in range(4)]
        assert more == [True, True, True, False]


async def test_a_reader_can_not_write(path: Path) -> None:
    async with sqlite(path) as history:
        with pytest.raises(HistoryError, match="readonly"):
            await history._database.read(lambda connection: connection.execute("DELETE FROM execution"))


async def test_slow_reads_hold_up_nobody(path: Path) -> None:
    began, go_on = threading.Semaphore(0), threading.Event()

    def slow(connection: sqlite3.Connection) -> int:
        before = connection.execute("SELECT count(*) FROM execution").fetchone()
        began.release()
        assert go_on.wait(60)
        assert connection.execute("SELECT count(*) FROM execution").fetchone() == before, "one state all along"
        return before[0]

    async with sqlite(path) as history:
        await history.write([ran("a", T0)], [])
        reads = [asyncio.ensure_future(history._database.read(slow)) for _ in range(2)]
        for _ in reads:
            assert await asyncio.to_thread(began.acquire, timeout=60)
        for n in range(50):
            await history.write([ran("b", T0 + n)], [])
            assert await history.count(Query()) == n + 2
        go_on.set()
        assert await asyncio.gather(*reads) == [1, 1]


async def test_a_foreign_lock_is_an_error_and_passes(path: Path) -> None:
    async with sqlite(path) as history:
        history._database._connection.execute("PRAGMA busy_timeout = 50")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        results = await asyncio.gather(
            *(history.write([ran("a", T0 + n)], []) for n in range(5)), return_exceptions=True
        )
        assert all(isinstance(result, HistoryError) and "locked" in str(result) for result in results)
        other.execute("ROLLBACK")
        other.close()
        await history.write([ran("a", T0)], [])


async def test_no_room(path: Path) -> None:
    async with sqlite(path) as history:
        run = ran("a", T0)
        await history.write([run], [])
        connection = history._database._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 20}")
        chunk = piece(run, 0, bytes(200_000))
        results = await asyncio.gather(
            history.write([ran("a", T0 + 1)], []),
            history.write([ran("a", T0 + 2)], [chunk]),
            history.write([ran("a", T0 + 3)], []),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [type(None), HistoryFull, type(None)]
        assert [e.group - T0 for e in (await history.query(Query())).executions] == [3, 1, 0]
        connection.execute("PRAGMA max_page_count = 1000000")
        await history.write([ran("a", T0 + 2)], [chunk])
        assert (await history.output(*run.key)).size == 200_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", tmp_path], capture_output=True)
    if mount.returncode:
        pytest.skip("not permitted to mount a small file system")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


async def test_a_full_disk(small_disk: Path) -> None:
    async with sqlite(small_disk / "history.db") as history:

        async def write(number: int) -> None:
            run = ran("a", T0 + number)
            await history.write([run], [piece(run, 0, bytes(20_000))])

        async def until_full() -> int:
            for number in range(1000):
                try:
                    await write(number)
                except HistoryFull:
                    return number
            raise AssertionError("there was room for everything")

        written = await until_full()
        assert written > 10
        assert await history.count(Query()) == written
        with pytest.raises(HistoryFull, match="free some space"):
            await write(written)
        resized = await asyncio.create_subprocess_exec("mount", "-o", "remount,size=8m", str(small_disk))
        assert await resized.wait() == 0
        await write(written)
        assert await history.count(Query()) == written + 1


WRITER = """
import asyncio, os, sys
from pathlib import Path
from dkronpy.history.sqlite import SqliteHistory
from dkronpy.history.sqlite_schema import APPLICATION_ID, MIGRATIONS
from dkronpy.model.execution import Execution, State

async def client(history, number):
    group = 0
    while True:
        group += 1
        await history.write([Execution(f"job{number}", group, 1, "n", State.SUCCESS, finished=group)], [])
        os.write(1, b"%d %d\\n" % (number, group))  # a line is whole or absent, also when it is the last

async def main():
    history = SqliteHistory(Path(sys.argv[1]))
    await history.open()
    await asyncio.gather(*(client(history, number) for number in range(8)))

asyncio.run(main())
"""


def killed_after(path: Path, seconds: float) -> list[tuple[int, int]]:
    """What a process that writes to `path` was answered before it was killed: pairs of client and group."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        first = "".join(writer.stdout.readline() for _ in range(8))
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
        lines = (first + writer.stdout.read()).splitlines()
    return [(int(client), int(group)) for client, group in map(str.split, lines)]


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.4])
async def test_kill_loses_nothing_that_was_answered(path: Path, seconds: float) -> None:
    answered = killed_after(path, seconds)
    assert len(answered) >= 8
    async with sqlite(path) as history:
        for number in range(8):
            page = await history.query(Query(job=f"job{number}"), limit=100_000)
            stored = {e.group for e in page.executions}
            assert stored >= {group for client, group in answered if client == number}
            assert stored == set(range(1, len(stored) + 1))
