"""Output in the spool: what is kept, at which offsets, and what a full disk costs."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkronpy.runner.spool import INLINE, Output, Spool, SpoolHeldError, read_output, run_id, segments


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    os.close(reader)


def whole(directory: Path, offset: int = 0) -> tuple[int, bytes]:
    first, data = read_output(directory, offset, 1 << 30)
    while True:
        start, more = read_output(directory, first + len(data), 1 << 30)
        if not more:
            return first, data
        assert start == first + len(data)
        data += more


def test_nothing_is_made_without_output(directory: Path):
    output = Output(directory)
    assert (output.size, output.head, output.sha256()) == (0, b"", hashlib.sha256().hexdigest())
    output.remove()
    assert not directory.exists()
    assert read_output(directory, 0, 10) == (0, b"")


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.booleans(), st.binary(max_size=300)), max_size=20),
    st.integers(1, 200),
    st.integers(0, 20),
    st.integers(0, 3000),
)
def test_the_newest_bytes_are_kept_across_takeovers(
    tmp_path_factory: pytest.TempPathFactory, writes, cap: int, takeover: int, offset: int
):
    """Model: the output is all bytes; at least the newest `cap` and at most twice as many are kept."""
    directory = tmp_path_factory.mktemp("out") / "run"
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    output, everything = Output(directory, cap), b""
    for number, (piped, data) in enumerate(writes):
        if number == takeover:
            output.close()
            output = Output.resume(directory, cap)
        if piped:
            os.write(writer, data)
            assert output.drain(reader)
        else:
            output.append(data)
        everything += data
    output.close()
    os.close(reader)
    os.close(writer)
    assert output.size == len(everything)
    first, kept = whole(directory)
    assert kept == everything[first:]
    assert min(cap, len(everything)) <= len(kept) <= 2 * cap
    start, data = read_output(directory, offset, 10)
    if offset < len(everything):
        assert start == max(offset, first)
        assert data
        assert everything[start:].startswith(data)
    else:
        assert (start, data) == (offset, b"")
    complete = first == 0 or takeover >= len(writes)
    assert output.sha256() == hashlib.sha256(everything).hexdigest() or (not complete and output.sha256() == "")
    if len(everything) <= INLINE and complete:
        assert output.head == everything
    output.remove()
    assert not directory.exists()


def test_draining_says_when_nobody_can_write_any_more(directory: Path, pipe: tuple[int, int]):
    reader, writer = pipe
    output = Output(directory)
    assert output.drain(reader)
    assert not directory.exists()
    os.write(writer, b"abc")
    os.close(writer)
    assert not output.drain(reader)
    assert output.head == b"abc"
    output.close()


def test_draining_stops_at_its_limit(directory: Path, pipe: tuple[int, int]):
    reader, writer = pipe
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20)
    os.write(writer, bytes(1 << 20))
    os.close(writer)
    output = Output(directory)
    assert output.drain(reader, 1 << 16)
    assert output.size == 1 << 16
    assert not output.drain(reader, 1 << 20)
    assert output.size == 1 << 20
    output.close()


def test_a_full_disk_costs_the_oldest_output_first(directory: Path, pipe, monkeypatch: pytest.MonkeyPatch):
    reader, writer = pipe
    output = Output(directory, cap=100)
    output.append(bytes(100) + b"a" * 50)
    splice, refusals = os.splice, [1]

    def full(*args, **options):
        if refusals:
            refusals.pop()
            raise OSError(errno.ENOSPC, "No space left on device")
        return splice(*args, **options)

    monkeypatch.setattr(os, "splice", full)
    os.write(writer, b"b" * 30)
    output.drain(reader)
    assert (output.size, output.cut) == (180, "")
    assert segments(directory) == [100, 150]
    refusals += [1, 1]
    os.write(writer, b"c" * 30)
    output.drain(reader)
    assert output.size == 210
    refusals += [1] * 10
    os.write(writer, b"d" * 30)
    output.drain(reader)
    assert output.size == 240
    assert "from byte 210 on" in output.cut
    refusals.clear()
    os.write(writer, b"e" * 30)
    os.close(writer)
    assert not output.drain(reader)
    output.close()
    assert read_output(directory, 215, 100) == (240, b"e" * 30)
    everything = bytes(100) + b"a" * 50 + b"b" * 30 + b"c" * 30 + b"d" * 30 + b"e" * 30
    assert output.sha256() == hashlib.sha256(everything).hexdigest()


def test_one_runner_a_spool_and_its_id_stays(tmp_path: Path):
    path = tmp_path / "spool"
    spool = Spool(path)
    assert path.stat().st_mode & 0o777 == 0o700
    with pytest.raises(SpoolHeldError, match=str(path)):
        Spool(path)
    (path / "journal").touch()
    first = spool.id
    spool.close()
    again = Spool(path)
    assert again.id == first
    again.close()
    (path / "journal").unlink()
    emptied = Spool(path)
    assert emptied.id != first
    emptied.close()


def test_runs_have_different_ids():
    keys = [("a", 1, 1, "n"), ("a", 1, 1, "m"), ("a", 1, 2, "n"), ("a", 11, 1, "n"), ("a1", 1, 1, "n")]
    assert len({run_id(key) for key in keys}) == len(keys)
