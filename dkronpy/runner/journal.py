"""The runner's journal: what it has promised and done, so that a successor can take over.

The file is a header, then records, then zeros. A record is its length and its CRC-32 (big-endian u32 each) and a
msgpack array. Space is allocated ahead: an order is only taken when there is also room for the records of its end, so
a disk that fills up later cannot keep a run from ending. A record that was cut short by a crash ends the journal; it
never tells of a run that was started, for orders are durable before that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from dkronpy.model.execution import State
from dkronpy.model.run import Ended, Key
from dkronpy.runner.process import Leader

log = logging.getLogger(__name__)

_HEADER: Final = b"dkron-runner 1\n\0"
_STEP: Final = 1 << 20  # bytes that are allocated at a time
_COMPACT: Final = 4 << 20  # bytes from which on compacting is worth it
_FRAME: Final = 8

ROOM_FOR_END: Final = 4096
"""Bytes kept free for the records that follow an `Accepted`: enough for a key and twice an error of `LONGEST_ERROR`."""

LONGEST_ERROR: Final = 300
"""Characters that are kept of an error."""


class Opened(msgspec.Struct, frozen=True, tag="opened", array_like=True):
    """A runner took over. Process ids in the records that follow are of this boot of the machine."""

    boot: str
    at: int


class Accepted(msgspec.Struct, frozen=True, tag="accepted", array_like=True):
    """The run `id` will be started, once. Durations in ns; a `timeout` of 0 is none."""

    id: str
    key: Key
    at: int
    process: bool
    timeout: int
    grace: int
    memory: int
    directory: bool = False
    """Whether it has one of its own."""
    ends_with_agent: bool = False


class Spawned(msgspec.Struct, frozen=True, tag="spawned", array_like=True):
    """It was started. `leader`: its process, if it has one; `pipe`: the inode of its output. `deadline`: when it times
    out, in ns of the machine's monotonic clock; 0 is never."""

    id: str
    at: int
    leader: Leader | None = None
    pipe: int = 0
    deadline: int = 0


class Stopping(msgspec.Struct, frozen=True, tag="stopping", array_like=True):
    """It was told to end. `kill_at`: when it is killed, in ns of the machine's monotonic clock."""

    id: str
    state: State
    error: str
    kill_at: int


class Finished(msgspec.Struct, frozen=True, tag="finished", array_like=True):
    """It ended. The tail and the data it returns are left out; the spool and the run's directory have them."""

    id: str
    ended: Ended


class Acked(msgspec.Struct, frozen=True, tag="acked", array_like=True):
    """The agent has stored the ends of these."""

    at: int
    ids: list[str]


class Remembered(msgspec.Struct, frozen=True, tag="remembered", array_like=True):
    """Fingerprints of acknowledged runs, sorted, 8 bytes each, in this machine's order; the last is of `newest` ns."""

    newest: int
    prints: bytes


Record: TypeAlias = Opened | Accepted | Spawned | Stopping | Finished | Acked | Remembered

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Record)


class Journal:
    """Appends are seen by a successor at once, and survive a power failure once `durable` has returned."""

    def __init__(self, path: Path) -> None:
        """Raises: OSError; ValueError if the file is no journal."""
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._syncing: asyncio.Future[None] | None = None
        self._failed = ""
        header = os.pread(self._fd, len(_HEADER), 0)
        if not header.strip(b"\0"):
            os.posix_fallocate(self._fd, 0, _STEP)
            os.pwrite(self._fd, _HEADER, 0)
            os.fsync(self._fd)
            _sync_directory(path.parent)
        elif header != _HEADER:
            raise ValueError(f"{path} is not a journal that this release reads")
        self._end = len(_HEADER)
        self._appended = self._synced = 0
        self._allocated = os.fstat(self._fd).st_size
        self._compact_at = _COMPACT

    def replay(self) -> Iterator[Record]:
        """Every record, oldest first. Afterwards the journal ends behind the last good one."""
        with open(self._fd, "rb", closefd=False) as file:
            file.seek(self._end)
            while True:
                frame = file.read(_FRAME)
                length = int.from_bytes(frame[:4], "big")
                if len(frame) < _FRAME or not length:
                    break
                payload = file.read(length) if length <= self._allocated else b""
                if len(payload) < length or zlib.crc32(payload) != int.from_bytes(frame[4:], "big"):
                    log.warning("the journal was cut short at byte %d of %d", self._end, self._allocated)
                    break
                try:
                    record = _decoder.decode(payload)
                except msgspec.DecodeError as error:
                    raise ValueError(f"{self._path} was written by a later release: {error}") from error
                self._end += _FRAME + length
                yield record
        rest = os.pread(self._fd, self._allocated - self._end, self._end)
        if rest.strip(b"\0"):  # what is behind a later append must not pass for records
            _write(self._fd, bytes(len(rest)), self._end)

    def append(self, records: Iterable[Record], *, room: int = 0) -> None:
        """Append `records` if that leaves `room` bytes for later ones. Raises: OSError; then nothing is appended."""
        if self._failed:
            raise OSError(self._failed)
        data = b"".join(map(_frame, records))
        wanted = self._end + len(data) + room
        if wanted > self._allocated:
            allocated = -(-wanted // _STEP) * _STEP
            os.posix_fallocate(self._fd, self._allocated, allocated - self._allocated)
            self._allocated = allocated
        _write(self._fd, data, self._end)
        self._end += len(data)
        self._appended += 1

    async def durable(self) -> None:
        """Wait until all that was appended so far is on the disk. Callers that wait at a time share one fdatasync.

        Raises: OSError; what the disk holds is unknown from then on, so nothing more is taken.
        """
        wanted = self._appended
        while self._synced < wanted:
            if self._syncing is None:
                self._syncing = asyncio.ensure_future(self._sync())
            await asyncio.shield(self._syncing)

    async def _sync(self) -> None:
        appended = self._appended
        try:
            await asyncio.get_running_loop().run_in_executor(None, os.fdatasync, self._fd)
        except OSError as error:
            self._failed = f"the journal cannot be made durable: {error}"
            raise
        finally:
            self._syncing = None
        self._synced = appended

    @property
    def bulky(self) -> bool:
        """Whether `compact` is due."""
        return self._end > self._compact_at and self._syncing is None

    def compact(self, records: Iterable[Record], room: int) -> None:
        """Replace the journal by `records`. Where that fails it stays, and is due again when it has doubled."""
        data = _HEADER + b"".join(map(_frame, records))
        path = self._path.with_suffix(".new")
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            allocated = -(-(len(data) + room) // _STEP) * _STEP
            os.posix_fallocate(fd, 0, allocated)
            _write(fd, data, 0)
            os.fsync(fd)
            path.rename(self._path)
        except OSError as error:
            log.warning("the journal was not compacted: %s", error)
            os.close(fd)
            path.unlink(missing_ok=True)
            self._compact_at = 2 * self._end
            return
        os.close(self._fd)
        self._fd = fd
        self._end = len(data)
        self._synced = self._appended
        self._allocated = allocated
        self._compact_at = max(_COMPACT, 2 * len(data))
        _sync_directory(self._path.parent)

    def close(self) -> None:
        os.close(self._fd)


class Memory:
    """The acknowledged runs of at least the last `keep` ns, in 8 bytes each.

    Runs are named by the first 64 bits of their ids, which are hashes: with a million remembered, one new run in 10^13
    is taken for a known one.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._recent: set[int] = set()
        self._newest = 0
        self._old: list[tuple[int, array[int]]] = []

    def add(self, ids: Iterable[str], at: int) -> None:
        """Remember `ids`, acknowledged at `at` ns, and forget what is too old."""
        self._recent.update(map(_fingerprint, ids))
        self._newest = max(self._newest, at)
        if len(self._recent) >= 1 << 16:
            self._old.append((self._newest, array("Q", sorted(self._recent))))
            self._recent = set()
        self._old = [(newest, prints) for newest, prints in self._old if newest > at - self._keep]

    def restore(self, record: Remembered) -> None:
        """Take over what `records` gave."""
        self._old.append((record.newest, array("Q", record.prints)))

    def records(self) -> Iterator[Remembered]:
        """All that is remembered, for `Journal.compact`."""
        for newest, prints in self._old:
            yield Remembered(newest, prints.tobytes())
        if self._recent:
            yield Remembered(self._newest, array("Q", sorted(self._recent)).tobytes())

    def __contains__(self, run: str) -> bool:
        wanted = _fingerprint(run)
        if wanted in self._recent:
            return True
        for _, prints in self._old:
            position = bisect_left(prints, wanted)
            if position < len(prints) and prints[position] == wanted:
                return True
        return False


def _fingerprint(run: str) -> int:
    return int(run[:16], 16)


def _frame(record: Record) -> bytes:
    payload = _encoder.encode(record)
    return len(payload).to_bytes(4, "big") + zlib.crc32(payload).to_bytes(4, "big") + payload


def _write(fd: int, data: bytes, position: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, position)
        view = view[written:]
        position += written


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
