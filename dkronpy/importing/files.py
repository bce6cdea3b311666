"""Files of a Dkron: the database of its version 1, and JSON as its API answers it."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import Final

import msgspec

from dkronpy.importing import bolt
from dkronpy.importing.dump import Dump, DumpError, from_documents, from_pairs

LOCK_WAIT: Final = 10.0
"""Seconds to wait for a Dkron that writes the file: it locks it for each of its writes."""
_INDEX: Final = 8
"""Bytes before each value: how often Dkron has written."""


def read_boltdb(path: Path, keyspace: str) -> Dump:
    """The database file of a Dkron 1.x, which may be running. Raises OSError and DumpError."""
    data = _locked(path)
    found: list[tuple[str, bytes]] = []
    buckets: set[str] = set()
    try:
        for (bucket, *rest), value in bolt.entries(data):
            buckets.add(bucket.decode("utf-8", "replace"))
            if len(rest) == 1 and bucket == keyspace.encode():
                found.append((rest[0].decode(), value[_INDEX:]))
        return from_pairs(found, keyspace)
    except (bolt.BoltError, UnicodeDecodeError) as error:
        raise DumpError(f"{path}: {error}") from error
    except DumpError as error:
        named = f" (it has {', '.join(sorted(buckets))})" if buckets - {keyspace} else ""
        raise DumpError(f"{path}: {error}{named}") from error


def read_json(path: Path, executions: Path | None) -> Dump:
    """A list of jobs in a file, with the executions of another. Raises OSError and DumpError."""
    documents = [_decoded(place) for place in (path, executions) if place is not None]
    try:
        return from_documents(*documents)
    except DumpError as error:
        raise DumpError(f"{path}: {error}") from error


def _locked(path: Path) -> bytes:
    """A file's bytes, read while nobody writes it."""
    with path.open("rb") as file:
        end = time.monotonic() + LOCK_WAIT
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return file.read()
            except BlockingIOError:
                if time.monotonic() > end:
                    raise DumpError(f"{path} is locked by another program: stop the Dkron that has it open") from None
                time.sleep(0.05)


def _decoded(path: Path) -> object:
    try:
        return msgspec.json.decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DumpError(f"{path} is not JSON: {error}") from error
