"""The spool directory: its identity, and the output of runs.

    id           random, made with an empty disk: what was promised on another spool means nothing here
    lock         held by the one runner of the spool
    journal      see `dkronpy.runner.journal`
    runner.sock  where the runner listens
    runner.log   what it logs
    out/<run>/<offset>   a run's output from that byte on

A run's output is kept in at most two files, so that at least the newest `cap` bytes of it are there; offsets count from
the run's first byte.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import select
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from dkronpy.model.run import Key

log = logging.getLogger(__name__)

CAP: Final = 1 << 20
"""Bytes of output in a file, and the least that is kept of a longer output."""

INLINE: Final = 8 << 10
"""The most bytes of output that come with the end of a run."""

_TURN: Final = 256 << 10  # bytes taken from one run before others have their turn


class SpoolHeldError(RuntimeError):
    """Another runner has the spool."""


def run_id(key: Key) -> str:
    """A run's name in the spool: a hash of its key, 32 hex digits."""
    return hashlib.blake2b(msgspec.msgpack.encode(key), digest_size=16).hexdigest()


def output_directory(spool: Path, run: str) -> Path:
    """Where the output of the run with this id is, once there is any."""
    return spool / "out" / run


class Spool:
    """The spool directory, taken by this process until it ends."""

    def __init__(self, path: Path) -> None:
        """Make or open it. Raises: SpoolHeldError, OSError."""
        self.path = path
        for directory in (path, path / "out"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise SpoolHeldError(f"another runner has the spool {path}") from None
        self.id = self._identity()

    def outputs(self) -> list[str]:
        """The ids of the runs that have output here."""
        return os.listdir(self.path / "out")

    def output(self, run: str) -> Output:
        """The output of a new run."""
        return Output(output_directory(self.path, run))

    def resume(self, run: str) -> Output:
        """The output of a run that another runner has begun."""
        return Output.resume(output_directory(self.path, run))

    def close(self) -> None:
        """Leave it to others."""
        os.close(self._lock)

    def _identity(self) -> str:
        path = self.path / "id"
        if path.exists() and (self.path / "journal").exists():
            return path.read_text(encoding="ascii").strip()
        identity = os.urandom(8).hex()
        draft = path.with_suffix(".new")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(identity + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        return identity


class Output:
    """The output of one run, as it is written. Nothing is made on the disk before the first byte."""

    def __init__(self, directory: Path, cap: int = CAP) -> None:
        self._directory = directory
        self._cap = cap
        self._fd = -1
        self._start = 0
        self._hash = hashlib.sha256()
        self._whole = True
        self.size = 0
        """Bytes written in all."""
        self.head = b""
        """The whole output while it is at most `INLINE` bytes long, else empty."""
        self.cut = ""
        """Why some of the newest bytes are not kept, if so."""
        self._segments: list[int] = []

    @classmethod
    def resume(cls, directory: Path, cap: int = CAP) -> Output:
        """Go on where another runner stopped."""
        output = cls(directory, cap)
        output._segments = segments(directory)
        if output._segments:
            output._take_over(output._segments[0], output._segments[-1])
        return output

    def drain(self, pipe: int, limit: int = _TURN) -> bool:
        """Move what `pipe` holds into the spool, at most `limit` bytes. False if nobody can write to it any more.

        The kernel moves the bytes, so that not even the runner's death between reading and writing loses any.
        """
        poller = select.poll()
        poller.register(pipe, select.POLLIN)
        end = self.size + limit
        while self.size < end:
            events = poller.poll(0)
            if not events or not events[0][1] & select.POLLIN:
                return not events
            self._move(pipe, end - self.size)
        return True

    def append(self, data: bytes) -> None:
        """Write `data`."""
        view = memoryview(data)
        while view:
            try:
                written = os.pwrite(self._file(), view[: self._room], self.size - self._start)
            except OSError as error:
                if self._give_way(error):
                    continue
                written = len(view)
            self._count(bytes(view[:written]))
            view = view[written:]

    def sha256(self) -> str:
        """Of all bytes written, in hex; empty where a part of them was never seen by this runner and is gone."""
        return self._hash.hexdigest() if self._whole else ""

    def close(self) -> None:
        """Nothing more will be written."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def remove(self) -> None:
        """Delete it from the disk."""
        self.close()
        if not self._segments:
            return
        for start in self._segments:
            (self._directory / str(start)).unlink(missing_ok=True)
        self._segments = []
        self._directory.rmdir()

    @property
    def _room(self) -> int:
        return self._start + self._cap - self.size

    def _move(self, pipe: int, most: int) -> None:
        try:
            moved = os.splice(pipe, self._file(), min(self._room, most), offset_dst=self.size - self._start)
        except BlockingIOError:
            return  # another process reads from it too
        except OSError as error:
            if not self._give_way(error):
                self._count(os.read(pipe, most))
            return
        self._count(os.pread(self._fd, moved, self.size - self._start))

    def _file(self) -> int:
        """The file that the next byte goes to."""
        if self._fd >= 0 and self._room > 0:
            return self._fd
        self.close()
        if not self._segments:
            self._directory.mkdir(mode=0o700, exist_ok=True)
        path = self._directory / str(self.size)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._start = self.size
        if self.size not in self._segments:
            self._segments.append(self.size)
        if len(self._segments) > 2:
            self._drop_oldest()
        return self._fd

    def _give_way(self, error: OSError) -> bool:
        """After a failed write: whether to try again, older output having made room. If not, the bytes are lost."""
        self.close()
        if error.errno in {errno.ENOSPC, errno.EDQUOT} and len(self._segments) > 1:
            self._drop_oldest()
            return True
        if not self.cut:
            log.error("output of run %s is not kept: %s", self._directory.name, error)
            self.cut = f"output from byte {self.size} on was not kept in full: {error.strerror}"
        return False

    def _drop_oldest(self) -> None:
        (self._directory / str(self._segments.pop(0))).unlink(missing_ok=True)

    def _count(self, data: bytes) -> None:
        self.size += len(data)
        self._hash.update(data)
        self.head = self.head + data if self.size <= INLINE else b""

    def _take_over(self, first: int, last: int) -> None:
        for start in self._segments:
            data = (self._directory / str(start)).read_bytes()
            if start != self.size:
                self._whole = False
                self.size = start
            self._count(data)
        if first:
            self.head = b""
        if self._cap > self.size - last:
            self._fd = os.open(self._directory / str(last), os.O_RDWR | os.O_CLOEXEC)
            self._start = last


def segments(directory: Path) -> list[int]:
    """The offsets at which the files of an output begin, ascending."""
    try:
        return sorted(int(name) for name in os.listdir(directory))
    except FileNotFoundError:
        return []


def read_output(directory: Path, offset: int, limit: int) -> tuple[int, bytes]:
    """Read at most `limit` bytes of an output: (where they begin, they).

    They begin at `offset` or, where that is not kept, at the first byte behind it that is; (`offset`, nothing) if there
    is none. The runner may be writing meanwhile.
    """
    while True:
        for start in segments(directory):
            try:
                with open(directory / str(start), "rb", buffering=0) as file:
                    if start + os.fstat(file.fileno()).st_size <= offset:
                        continue
                    begin = max(start, offset)
                    return begin, os.pread(file.fileno(), limit, begin - start)
            except FileNotFoundError:
                break  # the runner dropped it just now
        else:
            return offset, b""
