"""A store in Consul 1.0 or later, shared by several servers.

A commit is one transaction: checks of indexes are the guards, and the index of Consul's log at which it was applied is
the revision. Reads are consistent, that is, confirmed by a majority. `consul_log` tells how watches hear of changes.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkronpy.store.addresses import split_machine, tls_context
from dkronpy.store.changes import Changes
from dkronpy.store.consul_log import HEAD, Change, Log, Segment, encode_changes
from dkronpy.store.consul_machines import PORT, Machines
from dkronpy.store.consul_transactions import MAX_BODY, ROOT, Op, Pair, Refused, encode, read, write
from dkronpy.store.contract import (
    Conflict,
    Entry,
    Page,
    Put,
    Store,
    TooLarge,
    Unavailable,
    check_size,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from dkronpy.store.contract import Event, Guard, Operation

_KEYS: Final = f"{ROOT}keys/"
_NUMBERS: Final = 1 << 52
_TRIES: Final = 50
"""Of a commit, each of which fails for what another commit did."""


class ConsulStore(Store):
    """A connection to the Consul cluster whose servers or agents are `machines`: `host:port`, or `https://host:port`
    for TLS; `password` is a token.

    The next machine is used when one fails. A call takes at most about `timeout` seconds for each try (a commit is
    tried again only where nothing was written); a watch that can't go on for `patience` seconds ends with Unavailable.
    """

    def __init__(
        self,
        machines: Sequence[str],
        *,
        user: str = "",
        password: str = "",
        ca_file: Path | None = None,
        cert_file: Path | None = None,
        key_file: Path | None = None,
        timeout: float = 2.0,
        patience: float = 10.0,
    ) -> None:
        """Raises ValueError for machines that are none."""
        split = [split_machine(machine, "Consul", PORT) for machine in machines]
        if not split:
            raise ValueError("no machine of Consul was given: give at least one as host:port")
        if user:
            raise ValueError("Consul knows tokens, no users: give the token as backend-password, no backend-username")
        self._addresses = [address for address, _ in split]
        self._tls = any(tls for _, tls in split) or any((ca_file, cert_file, key_file))
        self._tls_files = (ca_file, cert_file, key_file)
        self._token = password
        self._timeout = timeout
        self._patience = patience
        self._opened: _Parts | None = None
        self._accepted: set[asyncio.Task[int]] = set()
        self._number = random.getrandbits(52)
        self._written = 0
        """The newest revision of this store's own commits."""

    async def open(self) -> None:
        tls = tls_context("Consul", *self._tls_files) if self._tls else None
        machines = Machines(self._addresses, tls=tls, token=self._token, seconds=self._timeout)
        log = Log(machines)
        try:
            await machines.check_version()
            await log.open()
        except BaseException:
            await machines.close()
            raise
        self._opened = _Parts(machines, log, Changes(log, self._patience))

    async def close(self) -> None:
        parts, self._opened = self._opened, None
        if parts is None:
            return
        await asyncio.gather(*self._accepted, return_exceptions=True)
        await parts.changes.close(self._written, self._timeout)
        await parts.machines.close()

    async def get(self, key: str) -> Entry | None:
        try:
            pairs = await read(self._parts().machines, Op("get", _KEYS + key))
        except Refused:  # it does not exist
            return None
        return _entry(pairs[0])

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Page:
        parts = self._parts()
        while True:
            try:
                head, *pairs = await read(parts.machines, Op("get", HEAD), Op("get-tree", _KEYS + prefix))
            except Refused:
                await parts.log.open()
                continue
            break
        # Of a prefix that ends with NUL, Consul gives the tree without that.
        first = max(bisect_right(pairs, _KEYS + after, key=_key), bisect_left(pairs, _KEYS + prefix, key=_key))
        found = pairs[first : first + limit]
        return Page(tuple(map(_entry, found)), head.modify_index, len(pairs) > first + limit)

    async def commit(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        """Once accepted it is carried out, also if the task that waits for it is cancelled. Raises ValueError for a key
        that has no UTF-8 form (a lone surrogate)."""
        check_size(guards, operations)
        task = asyncio.create_task(self._carry_out(self._parts(), guards, operations))
        self._accepted.add(task)
        task.add_done_callback(self._accepted.discard)
        return await asyncio.shield(task)

    def watch(self, prefix: str, revision: int) -> AsyncIterator[Sequence[Event]]:
        return self._parts().changes.watch(prefix, revision)

    def _parts(self) -> _Parts:
        if self._opened is None:
            raise Unavailable("the store is not open")
        return self._opened

    async def _carry_out(self, parts: _Parts, guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        guarded = {guard.key: guard.revision for guard in guards}
        unsure = [op.key for op in operations if not isinstance(op, Put) and op.key not in guarded]
        why = ""
        for _ in range(_TRIES):
            segment = await parts.log.current()
            known = guarded | await _look(parts.machines, unsure)
            self._number = (self._number + 1) % _NUMBERS
            transaction = _Transaction(self._number, guards, operations, known, frozenset(unsure))
            body, size = await transaction.body(parts.log, segment)
            try:
                pairs = await write(parts.machines, body)
            except Refused as error:
                broken = transaction.keys(problem.op_index for problem in error.problems)
                for guard in guards:
                    if guard.key in broken:
                        raise Conflict(guard.key) from None
                why = str(error)
                await parts.log.renew(segment)  # or another has deleted or made what was looked at
            else:
                revision = next(pair.modify_index for pair in pairs if pair.key == HEAD)
                if size is not None:
                    self._written = max(self._written, revision)
                    await parts.log.added(segment, size)
                return revision
        raise Unavailable(f"Consul refuses a commit again and again: {why}")


@dataclass(frozen=True, slots=True)
class _Parts:
    """What an open store consists of."""

    machines: Machines
    log: Log
    changes: Changes


class _Transaction:
    """A commit as Consul takes it. `number` is no other commit's; `known` are revisions of keys, those of `unsure` ones
    were looked up and may have changed."""

    def __init__(
        self,
        number: int,
        guards: Sequence[Guard],
        operations: Sequence[Operation],
        known: Mapping[str, int],
        unsure: Collection[str],
    ) -> None:
        self._name = f"{number:013x}"
        self._changes: list[Change] = []
        self._ops: list[Op] = []
        held: dict[str, int] = {}
        """Revisions that keys must have to be put: a guard and its put are one operation."""
        puts = {operation.key for operation in operations if isinstance(operation, Put)}
        for guard in guards:
            if guard.key not in puts or held.setdefault(guard.key, guard.revision) != guard.revision:
                self._ops.append(_check(guard.key, guard.revision))
        for operation in operations:
            key = operation.key
            if isinstance(operation, Put):
                # Consul takes no notice of a value that is put again, so that it differs in its flags.
                verb = "cas" if key in held else "set"
                self._ops.append(Op(verb, _KEYS + key, operation.value, flags=number, index=held.get(key, 0)))
                self._changes.append(Change(key, operation.value))
            elif not known[key]:
                self._ops.append(_check(key, 0))
            elif key in unsure:
                # It also succeeds where the key is gone meanwhile; watchers find out (see `Change.seen`).
                self._ops.append(Op("delete-cas", _KEYS + key, index=known[key]))
                self._changes.append(Change(key, None, known[key]))
            else:
                self._ops.append(Op("delete", _KEYS + key))
                self._changes.append(Change(key, None))

    def keys(self, numbers: Iterable[int]) -> set[str]:
        """Those that operations of these numbers are about."""
        return {self._ops[number].key.removeprefix(_KEYS) for number in numbers if number < len(self._ops)}

    async def body(self, log: Log, segment: Segment) -> tuple[bytes, int | None]:
        """The request, and the size of its entry in the log if it changes anything. An entry that is too large for it
        is put aside before. Raises TooLarge, and Unavailable where that fails."""
        if not self._changes:
            return encode([*self._ops, Op("get", HEAD)]), None
        changes = encode_changes(self._changes)
        ops = [*self._ops, segment.check(), Op("set", HEAD, self._name.encode())]
        body = encode([*ops, segment.entry(self._name, changes)])
        if len(body) > MAX_BODY:
            body = encode([*ops, segment.entry(self._name, b"")])
            if len(body) > MAX_BODY:
                raise TooLarge(f"Consul takes at most {MAX_BODY} bytes in one request, this commit has {len(body)}")
            await log.keep(segment, self._name, changes)
        return body, len(changes)


def _check(key: str, revision: int) -> Op:
    """Holds while the key has the revision."""
    return Op("check-index", _KEYS + key, index=revision) if revision else Op("check-not-exists", _KEYS + key)


async def _look(machines: Machines, keys: Sequence[str]) -> dict[str, int]:
    """The keys' revisions, 0 of those that are absent."""
    found = dict.fromkeys(keys, 0)
    present = list(keys)
    while present:
        try:
            pairs = await read(machines, *(Op("get", _KEYS + key) for key in present))
        except Refused as error:
            missing = {problem.op_index for problem in error.problems}
            present = [key for number, key in enumerate(present) if number not in missing]
        else:
            return found | {pair.key[len(_KEYS) :]: pair.modify_index for pair in pairs}
    return found


def _key(pair: Pair) -> str:
    return pair.key


def _entry(pair: Pair) -> Entry:
    return Entry(pair.key[len(_KEYS) :], pair.value or b"", pair.modify_index)
