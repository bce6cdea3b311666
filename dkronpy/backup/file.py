"""A backup's file: lines of JSON, compressed by gzip, that end with their counts and a checksum."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self, TypeAlias, cast

import msgspec

from dkronpy.model.execution import Execution, OutputChunk
from dkronpy.model.figures import JobFigures

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT: Final = 1


class BackupError(Exception):
    """The file can't be written, or is no whole backup; the message says what to do."""


class Header(msgspec.Struct, frozen=True, tag="backup"):
    """The first line: by which version it was written, when (RFC 3339), and from where."""

    format: int
    version: str
    at: str
    backend: str
    keyspace: str
    revision: int
    """Of the store: what the values are as of."""


class Value(msgspec.Struct, frozen=True, tag="value"):
    """A key of the store, without its keyspace, and its value."""

    key: str
    value: bytes


class Run(msgspec.Struct, frozen=True, tag="execution"):
    """An execution of the history."""

    execution: Execution


class Piece(msgspec.Struct, frozen=True, tag="output"):
    """What is kept of an execution's output."""

    chunk: OutputChunk


class Counted(msgspec.Struct, frozen=True, tag="figures"):
    """The figures of a job, with its digests."""

    figures: JobFigures


class End(msgspec.Struct, frozen=True, tag="end"):
    """The last line: how many lines of each kind, and the SHA-256 (hex) of all bytes before it."""

    values: int
    executions: int
    outputs: int
    figures: int
    sha256: str


Line: TypeAlias = Header | Value | Run | Piece | Counted | End
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Line).decode


class Writer:
    """Writes a backup beside `path` and moves it there when it is whole. Readable by its owner only: jobs may hold
    secrets. Raises BackupError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._sum = hashlib.sha256()
        self._counts = Counter[str]()

    def __enter__(self) -> Self:
        try:
            self._raw = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        except OSError as error:
            raise BackupError(f"can't write {self._part}: {error.strerror}") from error
        self._file = cast("IO[bytes]", gzip.GzipFile(self._path.name, "wb", 6, self._raw))
        return self

    def write(self, line: Line) -> None:
        data = _encode(line) + b"\n"
        self._sum.update(data)
        self._counts[type(line).__name__] += 1
        try:
            self._file.write(data)
        except OSError as error:
            raise BackupError(f"can't write {self._part}: {error.strerror}") from error

    def finish(self) -> End:
        """Write the last line, and put the file in its place once it is on the disk."""
        end = _end(self._counts, self._sum.hexdigest())
        self.write(end)
        try:
            self._file.close()
            self._raw.flush()
            os.fsync(self._raw.fileno())
            self._part.replace(self._path)
        except OSError as error:
            raise BackupError(f"can't write {self._path}: {error.strerror}") from error
        return end

    def __exit__(self, *_: object) -> None:
        self._raw.close()
        self._part.unlink(missing_ok=True)


def _end(counts: Counter[str], sha256: str) -> End:
    return End(*(counts[kind.__name__] for kind in (Value, Run, Piece, Counted)), sha256=sha256)


def read(path: Path) -> Iterator[Line]:
    """A backup's lines but for the last. Raises BackupError for a file that is none, is damaged or not whole; only
    when all lines are read is that known."""
    total = hashlib.sha256()
    counts = Counter[str]()
    try:
        with gzip.open(path) as file:
            for number, data in enumerate(file):
                line = _decode(data)
                if not number and not isinstance(line, Header):
                    raise BackupError(f"{path} is no backup")
                match line:
                    case Header(format=kind) if kind > FORMAT:
                        raise BackupError(
                            f"{path} was written by version {line.version}: restore it with that, or later"
                        )
                    case End():
                        if line != _end(counts, total.hexdigest()):
                            raise BackupError(f"{path} is damaged: its checksum is another")
                        if file.read(1):  # which also looks at what gzip has at its end
                            raise BackupError(f"{path} is damaged: it goes on after its end")
                        return
                    case _:
                        total.update(data)
                        counts[type(line).__name__] += 1
                        yield line
    except OSError as error:
        raise BackupError(f"can't read {path}: {error.strerror or error}") from error
    except (EOFError, zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackupError(f"{path} is no backup, or a damaged one: {error}") from error
    raise BackupError(f"{path} is not whole: its end is missing")
