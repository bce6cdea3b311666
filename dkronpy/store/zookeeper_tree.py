"""How the store lies in ZooKeeper's tree, what each server remembers of it, and the transaction that changes it. Pure.

    /dkronpy/keys/SHARD/=KEY   a key, percent-encoded, in one of 64 folders by its checksum: its revision, a line break,
                               its value
    /dkronpy/log/FIRST         a batch of commits whose revisions are FIRST, FIRST + 1, ...: what they changed
    /dkronpy/turn              touched by who asks for a turn, see zookeeper_turns.py

ZooKeeper can compare versions of nodes, which begin anew when a node is deleted and made again, and there is no
comparing that a node is absent. So guards are not compared there at all. The log is a chain: the batch after the one at
FIRST with n commits is the one at FIRST + n, and a transaction that adds a batch

1. checks that the node of the batch before it exists,
2. creates its own node, which fails where that exists,
3. writes the keys, and
4. deletes the oldest batches when there are too many, never the newest.

Of a chain whose oldest links are cut off, exactly the last one exists without its successor. So the transaction happens
only if its batch follows the newest one, that is, if the keys are what the log up to there made of them: what the
guards were compared with. A revision is never given twice, for numbers of batches only grow and a link that was cut off
can't come back: its predecessor, which is older, is gone too. Nothing depends on versions, so none can repeat.
The same holds for a transaction that was sent and not answered: sent again, at most one of the two can happen, and the
batch that is found in its place tells which.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote
from zlib import crc32

import msgspec
from kazoo.protocol import serialization as zk

from dkronpy.store.contract import Event, Put

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kazoo.security import ACL

    from dkronpy.store.contract import Guard, Operation

ROOT: Final = "/dkronpy"
KEYS: Final = f"{ROOT}/keys"
LOG: Final = f"{ROOT}/log"
TURN: Final = f"{ROOT}/turn"
SHARDS: Final = tuple(f"{KEYS}/{number:02x}" for number in range(64))
"""Enough of them that no listing of one exceeds 1 MB, ZooKeeper's limit of a packet, before a million keys."""

LOG_NODES: Final = 2_000
LOG_BYTES: Final = 4 << 20
"""What the log keeps, for watches that resume."""
MAX_REQUEST: Final = 1_000_000
"""Bytes of a transaction that ZooKeeper takes (jute.maxbuffer is 1,048,575)."""
_MAX_BATCH: Final = 500_000
"""Bytes of a transaction beyond which no more commits join it."""
_MAX_TRIMMED: Final = 20
"""Batches that one transaction deletes: more than it adds, and few."""
_OVERHEAD: Final = 150
"""Bytes of a change in a transaction, twice its value, its key and its path aside: at most that."""
_ANY: Final = -1
"""Whatever version a node has."""
_UNKNOWN: Final = -1
"""A revision that was not read yet."""

Change = tuple[str, bytes | None]
"""A key and its new value, or None when it is deleted."""


class Batch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A node of the log. `nonce` tells whose it is, `oldest` is the first batch kept after it, `commits` what each one
    changed: at least one, and each at least one change."""

    nonce: bytes
    oldest: int
    commits: list[list[Change]]

    def events(self, first: int) -> list[tuple[Event, ...]]:
        """Of each commit, where the first has this revision."""
        return [
            tuple(Event(key, value, revision) for key, value in changes)
            for revision, changes in enumerate(self.commits, first)
        ]


_encode: Final = msgspec.msgpack.Encoder().encode
decode_batch: Final = msgspec.msgpack.Decoder(Batch).decode


@lru_cache(1 << 12)
def key_path(key: str) -> str:
    """A key's node. No name is empty, `.` or `..`."""
    return f"{SHARDS[crc32(key.encode()) % len(SHARDS)]}/={quote(key, safe='')}"


def key_named(name: str) -> str:
    """The key of the node with this name."""
    return unquote(name[1:])


def log_path(first: int) -> str:
    """A batch's node."""
    return f"{LOG}/{first:020d}"


def read_node(data: bytes) -> tuple[int, bytes]:
    """(revision, value) of a key's node."""
    revision, _, value = data.partition(b"\n")
    return int(revision), value


def weight(operations: Iterable[Operation]) -> int:
    """Bytes that these take in a transaction, at most."""
    return sum(
        _OVERHEAD + len(op.key.encode()) + len(key_path(op.key)) + (2 * len(op.value) if isinstance(op, Put) else 0)
        for op in operations
    )


def founding(acl: Sequence[ACL], *, root: bool) -> list[zk.Create]:
    """What makes an empty store; `root`: with its top."""
    first = _encode(Batch(b"", 1, [[]]))
    nodes = [(path, b"") for path in (*([ROOT] if root else []), KEYS, *SHARDS, LOG, TURN)]
    return [zk.Create(path, data, acl, 0) for path, data in [*nodes, (log_path(1), first)]]


class Image:
    """The keys as of the newest batch known: their names in order, and their revisions so far as they were read."""

    def __init__(self) -> None:
        self.position = 0
        """The newest revision."""
        self.tail = 0
        """The batch that has it."""
        self._revisions: dict[str, int] = {}
        self._names: list[str] = []
        self._log: deque[tuple[int, int]] = deque()
        self._bytes = 0

    def fill(self, keys: Iterable[str]) -> None:
        """After the log, take in the keys that there are. They may have been read later than the log: then the image is
        right once the batches until then are applied."""
        self._revisions = {key: self._revisions.get(key, _UNKNOWN) for key in keys}
        self._names = sorted(self._revisions)

    @property
    def next(self) -> int:
        """What the batch after the newest is called."""
        return self.position + 1

    def apply(self, first: int, data: bytes) -> Batch:
        """Take in the next batch."""
        batch = decode_batch(data)
        for revision, changes in enumerate(batch.commits, first):
            for key, value in changes:
                self._set(key, value, revision)
        self.tail, self.position = first, first + len(batch.commits) - 1
        self._log.append((first, len(data)))
        self._bytes += len(data)
        while self._log[0][0] < batch.oldest:
            self._bytes -= self._log.popleft()[1]
        return batch

    def learn(self, key: str, revision: int) -> None:
        """A key's node was read, with this revision. If it is newer than this image, the log will tell."""
        if self._revisions.get(key) == _UNKNOWN and revision <= self.position:
            self._revisions[key] = revision

    def unread(self, guards: Iterable[Guard]) -> list[str]:
        """Keys whose nodes must be read before these can be compared."""
        return [guard.key for guard in guards if guard.revision and self._revisions.get(guard.key) == _UNKNOWN]

    def broken(self, guards: Iterable[Guard]) -> str | None:
        """The first key whose guard does not hold."""
        return next((g.key for g in guards if self._revisions.get(g.key, 0) != g.revision), None)

    def __contains__(self, key: str) -> bool:
        return key in self._revisions

    def page(self, prefix: str, after: str, limit: int) -> tuple[list[str], bool]:
        """Up to `limit` keys with `prefix` after the key `after`, and whether more follow."""
        start = max(bisect_left(self._names, prefix), bisect_right(self._names, after))
        found = self._names[start : start + limit + 1]
        keys = [key for key in found[:limit] if key.startswith(prefix)]
        return keys, len(found) > limit and found[limit].startswith(prefix)

    def superfluous(self) -> list[int]:
        """Batches that the next transaction should delete, from the oldest."""
        found: list[int] = []
        count, size = len(self._log), self._bytes
        for first, length in self._log:
            if (count < LOG_NODES and size < LOG_BYTES) or len(found) == _MAX_TRIMMED or first == self.tail:
                break
            found.append(first)
            count, size = count - 1, size - length
        return found

    def after(self, trimmed: int) -> int:
        """The oldest batch once so many are deleted."""
        return self._log[trimmed][0]

    def _set(self, key: str, value: bytes | None, revision: int) -> None:
        if value is not None:
            if key not in self._revisions:
                insort(self._names, key)
            self._revisions[key] = revision
        elif self._revisions.pop(key, None) is not None:
            del self._names[bisect_left(self._names, key)]


class Verdict(Enum):
    """What becomes of a commit that would join a draft."""

    TAKEN = "taken"
    BROKEN = "broken"
    """A guard does not hold, as far as the image knows."""
    UNCHANGED = "unchanged"
    """Its guards hold and it changes nothing, as far as the image knows."""
    LATER = "later"
    """It depends on what is in the draft, or there is no room."""


class Draft:
    """A transaction in the making: commits that become the batch after the newest of an image."""

    LINKS: Final = 2
    """Operations at the beginning that fail where another batch came first."""

    def __init__(self, image: Image, nonce: bytes) -> None:
        self.first = image.next
        self.nonce = nonce
        self._image = image
        self._commits: list[list[Change]] = []
        self._after: dict[str, tuple[int, bytes | None]] = {}
        self._weight = 0

    def __len__(self) -> int:
        return len(self._commits)

    def add(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> Verdict:
        """Take a commit in, if it can be. Its guards' keys were read."""
        if any(guard.key in self._after for guard in guards):
            return Verdict.LATER
        if self._image.broken(guards) is not None:
            return Verdict.BROKEN
        changes: list[Change] = [
            (op.key, op.value if isinstance(op, Put) else None)
            for op in operations
            if isinstance(op, Put) or self._exists(op.key)
        ]
        if not changes:
            return Verdict.LATER if any(op.key in self._after for op in operations) else Verdict.UNCHANGED
        added = weight(operations)
        if self._commits and self._weight + added > _MAX_BATCH:
            return Verdict.LATER
        self._weight += added
        self._after |= {key: (self.first + len(self), value) for key, value in changes}
        self._commits.append(changes)
        return Verdict.TAKEN

    def batch(self) -> bytes:
        """The node of the log."""
        oldest = self._image.after(len(self._image.superfluous()))
        return _encode(Batch(self.nonce, oldest, self._commits))

    def requests(self, batch: bytes, acl: Sequence[ACL]) -> list[zk.CheckVersion | zk.Create | zk.SetData | zk.Delete]:
        """The transaction."""
        return [
            zk.CheckVersion(log_path(self._image.tail), _ANY),
            zk.Create(log_path(self.first), batch, acl, 0),
            *_writes(self._image, self._after, acl),
            *(zk.Delete(log_path(first), _ANY) for first in self._image.superfluous()),
        ]

    def _exists(self, key: str) -> bool:
        found = self._after.get(key)
        return key in self._image if found is None else found[1] is not None


def _writes(
    image: Image, after: Mapping[str, tuple[int, bytes | None]], acl: Sequence[ACL]
) -> Iterable[zk.Create | zk.SetData | zk.Delete]:
    for key, (revision, value) in after.items():
        if value is not None:
            data = b"%d\n%b" % (revision, value)
            yield zk.SetData(key_path(key), data, _ANY) if key in image else zk.Create(key_path(key), data, acl, 0)
        elif key in image:
            yield zk.Delete(key_path(key), _ANY)
