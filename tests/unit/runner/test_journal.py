"""The journal: what is durable, what a torn tail costs, compaction, and the memory of acknowledged runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.model.execution import State
from dkronpy.model.run import Ended
from dkronpy.runner.journal import (
    LONGEST_ERROR,
    ROOM_FOR_END,
    Accepted,
    Acked,
    Finished,
    Journal,
    Memory,
    Opened,
    Record,
    Spawned,
    Stopping,
)
from dkronpy.runner.process import Leader
from dkronpy.runner.spool import run_id

KEY = ("job", 1, 1, "node")


def accepted(number: int) -> Accepted:
    return Accepted(f"{number:032x}", ("job", number, 1, "node"), 5, True, 0, 10, 0)


def reopened(path: Path) -> list[Record]:
    journal = Journal(path)
    try:
        return list(journal.replay())
    finally:
        journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def test_what_is_appended_is_replayed(path: Path):
    ended = Ended(KEY, State.FAILED, 1, 2, 3, "why", 4, "hash", 4, b"")
    records = [
        Opened("boot", 1),
        accepted(1),
        Spawned("a", 1, Leader(2, 3, 3), 4, 5),
        Spawned("b", 1),
        Stopping("a", State.KILLED, "why", 7),
        Finished("a", ended),
        Acked(9, ["a", "b"]),
    ]
    journal = Journal(path)
    assert list(journal.replay()) == []
    for record in records:
        journal.append([record])
    journal.close()
    assert reopened(path) == records
    assert reopened(path) == records
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["cut", "flipped", "garbage"])
def test_a_torn_tail_ends_the_journal_and_what_follows_is_kept(path: Path, damage: str):
    journal = Journal(path)
    journal.append([accepted(1)])
    kept = journal._end
    journal.append([accepted(2)])
    end = journal._end
    journal.close()
    with path.open("r+b") as file:
        if damage == "cut":
            file.seek(end - 3)
            file.write(b"\0\0\0")
        elif damage == "flipped":
            file.seek(kept + 12)
            file.write(b"\xff")
        else:
            file.seek(kept)
            file.write(os.urandom(5000))
    journal = Journal(path)
    assert list(journal.replay()) == [accepted(1)]
    journal.append([accepted(3)])
    journal.close()
    assert reopened(path) == [accepted(1), accepted(3)]


@given(st.lists(st.integers(0, 50), min_size=1), st.data())
def test_a_journal_cut_anywhere_yields_a_beginning_of_it(tmp_path_factory: pytest.TempPathFactory, numbers, data):
    path = tmp_path_factory.mktemp("journal") / "journal"
    journal = Journal(path)
    journal.append(map(accepted, numbers))
    end = journal._end
    journal.close()
    cut = data.draw(st.integers(16, end))
    os.truncate(path, cut)
    records = reopened(path)
    assert records == list(map(accepted, numbers))[: len(records)]
    assert len(records) < len(numbers) or cut == end


def test_another_file_is_no_journal(path: Path):
    path.write_bytes(b"#!/bin/sh\necho hello\n")
    with pytest.raises(ValueError, match="is not a journal"):
        Journal(path)


async def test_those_who_wait_share_one_sync(path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[int] = []
    fdatasync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (synced.append(fd), fdatasync(fd)))
    journal = Journal(path)

    async def write(number: int) -> None:
        journal.append([accepted(number)])
        await journal.durable()

    await asyncio.gather(*map(write, range(50)))
    await journal.durable()
    assert 1 <= len(synced) <= 2
    journal.close()


async def test_after_a_failed_sync_nothing_more_is_taken(path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    journal = Journal(path)
    journal.append([accepted(1)])
    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        await journal.durable()
    monkeypatch.undo()
    with pytest.raises(OSError, match="cannot be made durable"):
        journal.append([accepted(2)])
    journal.close()


def test_room_for_the_end_is_allocated_with_the_order(path: Path, monkeypatch: pytest.MonkeyPatch):
    journal = Journal(path)
    journal.append(map(accepted, range(1000)), room=1000 * ROOM_FOR_END)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        journal.append([accepted(1)], room=1 << 30)
    longest = "\U0001f600" * LONGEST_ERROR
    for number in range(1000):
        key = ("x" * 64, 2**63 - 1, 1000, "n" * 255)
        run = f"{number:032x}"
        ended = Ended(key, State.TIMED_OUT, 2**63, 2**63, 255, longest, 2**60, "f" * 64, 2**60)
        for record in (
            Spawned(run, 2**63, Leader(2**22, 2**63, 2**63), 2**63, 2**63),
            Stopping(run, State.TIMED_OUT, longest, 2**63),
            Finished(run, ended),
            Acked(2**63, [run]),
        ):
            journal.append([record])
    journal.close()
    assert len(reopened(path)) == 5000


def test_compaction_shrinks_the_file(path: Path):
    journal = Journal(path)
    while not journal.bulky:
        journal.append(map(accepted, range(1000)))
    journal.compact([], room=0)
    journal.close()
    assert path.stat().st_size < 2 << 20


async def test_compaction_keeps_what_it_is_given_and_goes_on(path: Path):
    journal = Journal(path)
    assert not journal.bulky
    while not journal.bulky:
        journal.append(map(accepted, range(1000)))
    journal.compact([accepted(7)], room=ROOM_FOR_END)
    assert not journal.bulky
    journal.append([accepted(8)])
    await asyncio.wait_for(journal.durable(), 10)
    journal.close()
    assert reopened(path) == [accepted(7), accepted(8)]


def test_a_compaction_that_fails_leaves_the_journal(path: Path, monkeypatch: pytest.MonkeyPatch):
    journal = Journal(path)
    journal.append([accepted(1)])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    journal.compact([], room=0)
    journal.append([accepted(2)])
    journal.close()
    assert reopened(path) == [accepted(1), accepted(2)]
    assert not path.with_suffix(".new").exists()


def test_memory_knows_what_it_was_told_and_forgets_in_time():
    memory = Memory(keep=100)
    first = [run_id(("job", number, 1, "node")) for number in range(70_000)]
    memory.add(first, 1000)
    later = [run_id(("job", number, 2, "node")) for number in range(10)]
    memory.add(later, 1050)
    restored = Memory(keep=100)
    for record in memory.records():
        restored.restore(record)
    for known in (memory, restored):
        assert all(run in known for run in first[::1000] + later)
        assert run_id(("job", 1, 3, "node")) not in known
    memory.add([], 1101)
    assert not any(run in memory for run in first[::1000])
    assert all(run in memory for run in later)
