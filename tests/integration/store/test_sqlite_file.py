"""What the embedded store accepts as its file, and how it leaves it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from typing import TYPE_CHECKING

import pytest

from dkronpy.store.contract import Compacted, Conflict, Delete, Entry, Guard, Put, Unavailable
from dkronpy.store.feed import MAX_BEHIND
from dkronpy.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path


async def filled(path: Path, count: int = 2000) -> None:
    """A store of `count` keys, closed."""
    store = SqliteStore(path)
    await store.open()
    await asyncio.gather(*(store.commit([], [Put(f"key{n:05}", b"value" * 40)]) for n in range(count)))
    await store.close()


def modes(folder: Path) -> dict[str, int]:
    """The folder's files and their permissions."""
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


async def refused(path: Path) -> str:
    with pytest.raises(Unavailable) as caught:
        await SqliteStore(path).open()
    return str(caught.value)


async def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    before = os.umask(0)
    try:
        store = SqliteStore(path)
        await store.open()
        await store.commit([], [Put("a", b"secret")])
        assert modes(tmp_path) == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}
        await store.close()
        path.chmod(0o644)
        await store.open()
        assert set(modes(tmp_path).values()) == {0o600}
        await store.close()
    finally:
        os.umask(before)


async def test_closing_leaves_one_file(tmp_path: Path) -> None:
    await filled(tmp_path / "store.db")
    assert list(modes(tmp_path)) == ["store.db"]


async def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    await filled(tmp_path / "store.db", 1)


@pytest.mark.parametrize("content", [b"key: value\n", b"x" * 10_000, b"SQLite format 3\0" + b"\xff" * 8000])
async def test_what_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(content)
    path.chmod(0o644)
    message = await refused(path)
    assert "is not a database: move it away" in message
    assert str(path) in message
    assert path.read_bytes() == content
    assert modes(tmp_path) == {"store.db": 0o644}


async def test_a_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE kv (key, value)")
    db.close()
    content = path.read_bytes()
    assert "another program" in await refused(path)
    assert path.read_bytes() == content


async def test_a_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await filled(path, 1)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    assert "newer version" in await refused(path)


async def test_damage(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await filled(path)
    with path.open("r+b") as file:
        file.seek(20 * 4096)
        file.write(os.urandom(4096))
    message = await refused(path)
    assert "is damaged" in message
    assert "restore it from a backup" in message


async def test_a_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await filled(path)
    os.truncate(path, path.stat().st_size // 2)
    assert "is damaged" in await refused(path)


async def test_a_folder_and_a_missing_folder(tmp_path: Path) -> None:
    assert str(tmp_path) in await refused(tmp_path)
    assert "No such file or directory" in await refused(tmp_path / "missing" / "store.db")


async def test_a_refused_file_can_be_opened_once_mended(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"nonsense")
    store = SqliteStore(path)
    with pytest.raises(Unavailable):
        await store.open()
    path.unlink()
    await store.open()
    await store.commit([], [Put("a", b"")])
    await store.close()


async def test_a_file_taken_away_is_not_written_on(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    await store.open()
    await store.commit([], [Put("a", b"")])
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(Unavailable, match="No such file"):
        await store.commit([], [Put("b", b"")])
    (tmp_path / "elsewhere").rename(path)
    await store.commit([], [Put("c", b"")])
    assert [entry.key for entry in (await store.list("")).entries] == ["a", "c"]
    await store.close()


async def test_a_batch_decides_one_commit_after_another(tmp_path: Path) -> None:
    """Commits that wait together while the file is locked are one transaction, but each sees those before it."""
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    await store.open()
    first = await store.commit([], [Put("a", b"0")])
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    tasks = [
        asyncio.create_task(store.commit(guards, operations))
        for guards, operations in [
            ([], [Put("z", b"")]),  # may go alone
            ([Guard("a", first)], [Put("a", b"1")]),
            ([Guard("a", first)], [Put("a", b"lost"), Put("x", b"lost")]),
            ([Guard("x", 0)], [Delete("a")]),
            ([Guard("a", 0)], [Put("a", b"2"), Put("y", b"")]),
            ([], [Delete("y"), Delete("z")]),
        ]
    ]
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in tasks)
    lock.execute("ROLLBACK")
    lock.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[2], Conflict)
    assert [result for result in results if isinstance(result, int)] == [first + n for n in range(1, 6)]
    assert (await store.list("")).entries == (Entry("a", b"2", first + 4),)
    events = await anext(store.watch("", first))
    assert [(event.key, event.value, event.revision - first) for event in events] == [
        ("z", b"", 1),
        ("a", b"1", 2),
        ("a", None, 3),
        ("a", b"2", 4),
        ("y", b"", 4),
        ("y", None, 5),
        ("z", None, 5),
    ]
    await store.close()


async def test_a_lock_that_is_held_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dkronpy.store.sqlite_file.BUSY_SECONDS", 0.05)
    store = SqliteStore(tmp_path / "store.db")
    await store.open()
    lock = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        await store.commit([], [Put("a", b"")])
    lock.close()
    await store.commit([Guard("a", 0)], [Put("a", b"")])
    await store.close()


async def test_a_slow_watch_is_given_up_and_blocks_nobody(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    await store.open()
    await store.commit([], [Put("start", b"")])
    slow, quick = store.watch("", 0), store.watch("", 0)
    assert [event.key for event in await anext(slow)] == ["start"]
    seen = len(await anext(quick))
    sent = 0
    while sent <= MAX_BEHIND:
        commits = [store.commit([], [Put(f"key{n}", b"") for n in range(50)]) for _ in range(200)]
        sent += 50 * len(await asyncio.gather(*commits))
        while seen < sent + 1:
            seen += len(await anext(quick))
    with pytest.raises(Compacted):
        await anext(slow)
    await store.close()
