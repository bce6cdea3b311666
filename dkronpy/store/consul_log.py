"""The log of changes that commits leave in Consul, for those who watch.

Consul can tell that keys under a prefix have changed, but then answers all of them. So each commit adds an entry to the
current *segment*, a prefix of a few dozen entries on which watchers wait. A full segment is sealed and the next one
begun in one transaction, which also deletes the oldest. Commits check that their segment is still the current one:
hence no entry of a segment has a smaller revision than any of the segment before.

Keys, all under `dkronpy/`:

    head                     written by each commit: its revision is the store's newest
    segment                  the number of the current segment, written when that begins
    log/NUMBER/start         the first key of a segment; its revision is smaller than that of all entries
    log/NUMBER/ENTRY         what one commit changed, in msgpack; empty if that lies in `large/`
    log/NUMBER/sealed        the last key of a segment: there is a next one
    large/NUMBER/ENTRY       what does not fit into a commit
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from dkronpy.store.consul_machines import CallFailed, kv_path
from dkronpy.store.consul_transactions import ROOT, Op, Pair, Refused, encode, read, write
from dkronpy.store.contract import Compacted, Event, StoreError, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from dkronpy.store.changes import Commit
    from dkronpy.store.consul_machines import Machines

HEAD: Final = f"{ROOT}head"
_SEGMENT: Final = f"{ROOT}segment"
_START, _SEALED = "start", "sealed"

FULL_ENTRIES: Final = 128
FULL_BYTES: Final = 128 * 1024
"""A segment with so many entries, or bytes in them, is sealed: each change lets watchers read all of it."""
KEPT: Final = 64
"""Segments: those who watch may be behind by about 8,000 commits."""
_TRIES: Final = 5
WAIT: Final = 1.0
"""Seconds after which a query for changes is answered in any case."""


class Change(msgspec.Struct, array_like=True, omit_defaults=True):
    """Of a key, in an entry: its new value, or None if it was deleted. `seen` is the revision that the key had when it
    was looked at before its deletion, where the commit did not check that it still had it."""

    key: str
    value: bytes | None
    seen: int = 0


class Segment(msgspec.Struct, frozen=True):
    """A segment that is the current one while the key `segment` has the revision `start`."""

    number: int
    start: int

    def check(self) -> Op:
        """Holds while the segment is the current one."""
        return Op("check-index", _SEGMENT, index=self.start)

    def entry(self, name: str, value: bytes) -> Op:
        """Adds an entry."""
        return Op("set", f"{_log(self.number)}{name}", value)


class _Reading:
    """What was read of one segment, entry by entry in order of revisions."""

    def __init__(self) -> None:
        self.commits: dict[int, Commit] = {}
        self.sealed = False
        self.start: int | None = None
        self._deleted: dict[str, int] = {}

    @property
    def newest(self) -> int:
        return max(self.commits, default=self.start or 0)

    async def add(self, machines: Machines, number: int, pairs: Sequence[Pair]) -> None:
        """Take in those of the segment's keys that are new. Raises Compacted and Unavailable."""
        for pair in sorted(pairs, key=lambda pair: pair.modify_index):
            name, revision = pair.key.removeprefix(_log(number)), pair.modify_index
            if name == _START:
                self.start = revision
            elif name == _SEALED:
                self.sealed = True
            elif revision not in self.commits:
                data = pair.value or await _large(machines, number, name)
                self.commits[revision] = self._commit(revision, _decode_changes(data))

    def _commit(self, revision: int, changes: Sequence[Change]) -> Commit:
        """A key that was deleted by two commits at once, each of which had seen it, was so by the first. Both are in
        this segment, which was the current one when the second looked, and when it was written."""
        events: list[Event] = []
        for change in changes:
            if change.value is None:
                if change.seen and self._deleted.get(change.key, 0) > change.seen:
                    continue
                self._deleted[change.key] = revision
            events.append(Event(change.key, change.value, revision))
        return tuple(events)


class Log:
    """The log, for one connection."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._segment = Segment(0, 0)
        self._entries = 0
        self._bytes = 0
        self._turning = asyncio.Lock()
        """Held while the next segment is begun or found; commits wait for it, as they would fail."""

    async def open(self) -> None:
        """Find the current segment, or begin the first. Raises StoreError."""
        async with self._turning:
            await self._find()

    async def current(self) -> Segment:
        """The current segment, as far as is known."""
        async with self._turning:
            return self._segment

    async def renew(self, segment: Segment) -> None:
        """`segment` may no longer be the current one. Raises StoreError."""
        async with self._turning:
            if segment == self._segment:
                await self._find()

    async def added(self, segment: Segment, size: int) -> None:
        """An entry of so many bytes was added to a segment, which is sealed if it is full."""
        if segment != self._segment:
            return
        self._entries += 1
        self._bytes += size
        if self._entries < FULL_ENTRIES and self._bytes < FULL_BYTES:
            return
        async with self._turning:
            if segment == self._segment:
                with suppress(StoreError):  # the next commit tries again
                    await self._seal(segment)

    async def keep(self, segment: Segment, name: str, changes: bytes) -> None:
        """Put what an entry of this name has no room for. Raises Unavailable."""
        try:
            await self._machines.write(kv_path(f"{_large_log(segment.number)}{name}"), changes)
        except CallFailed as error:
            raise Unavailable(f"Consul does not take a large commit: {error.why}") from error

    async def _find(self) -> None:
        for _ in range(_TRIES):
            try:
                # The last is refused to a token that may only read; what it may not even read would be left out.
                probe = Op("check-not-exists", f"{ROOT}nothing")
                current, _ = await read(self._machines, Op("get", _SEGMENT), Op("get", HEAD), probe)
            except Refused:
                await self._begin()
                continue
            break
        else:
            raise Unavailable(f"the keys under {ROOT} in Consul are not whole: restore them, or delete them all")
        number = _number(current)
        self._segment = Segment(number, current.modify_index)
        entries = await read(self._machines, Op("get-tree", _log(number)))
        self._entries = len(entries)
        self._bytes = sum(len(pair.value or b"") for pair in entries)

    async def _begin(self) -> None:
        first = [Op("set", _SEGMENT, b"1"), Op("set", HEAD, b""), Op("set", f"{_log(1)}{_START}", b"")]
        with suppress(Refused):  # someone else was first
            await write(self._machines, encode([Op("check-not-exists", _SEGMENT), *first]))

    async def _seal(self, segment: Segment) -> None:
        """Begin the next segment, or find it if someone else did."""
        number = segment.number + 1
        ops = [
            segment.check(),
            Op("set", f"{_log(segment.number)}{_SEALED}", b""),
            Op("set", f"{_log(number)}{_START}", b""),
            Op("set", _SEGMENT, b"%d" % number),
        ]
        if number > KEPT:
            ops += [Op("delete-tree", _log(number - KEPT)), Op("delete-tree", _large_log(number - KEPT))]
        try:
            pairs = await write(self._machines, encode(ops))
        except Refused:
            await self._find()
        else:
            self._segment = Segment(number, pairs[-1].modify_index)
            self._entries = self._bytes = 0

    # ---- reading

    async def after(self, revision: int) -> Sequence[Commit]:
        """As `ChangeLog.after`: all commits."""
        commits, _, _ = await self._since(revision)
        return commits

    async def follow(self, revision: int) -> AsyncGenerator[Sequence[Commit]]:
        """As `ChangeLog.follow`."""
        commits, number, reading = await self._since(revision)
        yield commits
        position = max(revision, reading.newest)
        while True:
            if reading.sealed:
                number, reading, index = number + 1, _Reading(), 0
            else:
                index = reading.newest
            pairs = await self._wait(number, index)
            await reading.add(self._machines, number, pairs)
            if reading.start is None:
                raise Compacted(f"changes after revision {position} are no longer kept")
            yield _newer(reading, position)
            position = max(position, reading.newest)

    async def _since(self, revision: int) -> tuple[list[Commit], int, _Reading]:
        """The commits after `revision`, the number of the segment that is the current one, and what was read of it."""
        try:
            [segment] = await read(self._machines, Op("get", _SEGMENT))
        except Refused as error:
            raise Compacted("there are no changes any more") from error
        number = newest = _number(segment)
        last: _Reading | None = None
        commits: list[Commit] = []
        while True:
            reading = _Reading()
            await reading.add(self._machines, number, await read(self._machines, Op("get-tree", _log(number))))
            if reading.start is None:
                raise Compacted(f"changes after revision {revision} are no longer kept")
            last = last or reading
            if last.newest < revision:
                raise Compacted(f"Consul was set back: there is no revision {revision} any more")
            commits[:0] = _newer(reading, revision)
            if number == 1 or (reading.start or 0) <= revision:
                return commits, newest, last
            number -= 1

    async def _wait(self, number: int, index: int) -> list[Pair]:
        """The keys of a segment once anything in it is newer than `index`, or `WAIT` is over. Raises Unavailable."""
        path = f"{kv_path(_log(number))}?recurse&consistent&index={index}&wait={WAIT * 1000:.0f}ms"
        try:
            answer = await self._machines.wait(path, WAIT * 1.1)
        except CallFailed as error:
            raise Unavailable(f"Consul does not tell of changes: {error.why}") from error
        if answer.status == 404:
            return []
        try:
            return _decode_pairs(answer.body)
        except msgspec.DecodeError as error:
            raise Unavailable(f"what answers is not Consul: {error}") from error


encode_changes: Final = msgspec.msgpack.Encoder().encode
_decode_changes: Final = msgspec.msgpack.Decoder(list[Change]).decode
_decode_pairs: Final = msgspec.json.Decoder(list[Pair]).decode


async def _large(machines: Machines, number: int, name: str) -> bytes:
    try:
        [pair] = await read(machines, Op("get", f"{_large_log(number)}{name}"))
    except Refused as error:
        raise Compacted(f"changes of segment {number} are no longer kept") from error
    return pair.value or b""


def _newer(reading: _Reading, revision: int) -> list[Commit]:
    return [events for number, events in reading.commits.items() if number > revision and events]


def _number(segment: Pair) -> int:
    return int(segment.value or b"0")


def _log(number: int) -> str:
    return f"{ROOT}log/{number:010}/"


def _large_log(number: int) -> str:
    return f"{ROOT}large/{number:010}/"
