"""Gossip as the agent sees it: members with tags, joining, leaving, keys."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from dkronpy.gossip.codec.keyring import Keyring
from dkronpy.gossip.codec.messages import Address
from dkronpy.gossip.codec.msgpack import CodecError
from dkronpy.gossip.codec.serf_messages import KeyRequest, KeyResponse, decode_as, encode_serf
from dkronpy.gossip.driver import Driver, bind, resolve
from dkronpy.gossip.effects import (
    Effect,
    EventHeard,
    KeyringChanged,
    LeaveDone,
    MembersChanged,
    NameLost,
    QueryAcked,
    QueryAnswered,
    QueryClosed,
)
from dkronpy.gossip.errors import GossipError, NameTakenError, UnreachableError
from dkronpy.gossip.files import Files, Remembered
from dkronpy.gossip.profile import LAN, Profile
from dkronpy.gossip.serf.internal import InternalName
from dkronpy.gossip.serf.serf import Serf
from dkronpy.gossip.serf.tags import TagsError
from dkronpy.model.duration import SECOND
from dkronpy.model.member import Member, MemberStatus

log = logging.getLogger(__name__)

_SAVE_INTERVAL: Final = 0.25
"""Seconds between two writings of the members; changes in between are gathered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GossipSettings:
    """What a node's gossip needs to know. `directory` holds its files; `key` encrypts."""

    name: str
    bind: Address
    advertise: Address
    directory: Path
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    profile: Profile = LAN
    key: bytes | None = None


@dataclass(slots=True)
class QueryResult:
    """Who has a query, and who answered what."""

    acks: list[str] = field(default_factory=list[str])
    answers: dict[str, bytes] = field(default_factory=dict[str, bytes])


@dataclass(slots=True)
class KeyReport:
    """What became of an operation on all members' keyrings: keys in base64 and how many members have them."""

    members: int
    answered: int = 0
    errors: dict[str, str] = field(default_factory=dict[str, str])
    """What members say that couldn't do it, by their names."""
    keys: dict[str, int] = field(default_factory=dict[str, int])
    primary: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def complete(self) -> bool:
        """Whether every member did it."""
        return self.answered == self.members and not self.errors


@dataclass(slots=True)
class _Open:
    result: QueryResult
    enough: Callable[[QueryResult], bool]
    done: asyncio.Future[QueryResult]


class Gossip:
    """Call `start`, then keep `run` running; all on one event loop.

    `on_change` is called when `members` has changed, once for all that came at once; `on_event` with the name and the
    payload of events. What they raise ends `run`."""

    def __init__(
        self,
        settings: GossipSettings,
        *,
        on_change: Callable[[], None],
        on_event: Callable[[str, bytes], None] = lambda name, payload: None,
        clock: Callable[[], int] = time.monotonic_ns,
        rng: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._on_change = on_change
        self._on_event = on_event
        self._clock = clock
        self._rng = rng or random.Random()
        self._files = Files(settings.directory)
        self._queries: dict[int, _Open] = {}
        self._changed = asyncio.Event()
        self._unsaved = asyncio.Event()
        self._keys_changed = asyncio.Event()
        self._left = asyncio.Event()
        self._leaving = False
        self._lost: asyncio.Future[None] | None = None
        self._remembering = True

    # ---- life

    async def start(self) -> None:
        """Listen. Raises GossipError, which says what to mend."""
        settings = self._settings
        self._remembered = await asyncio.to_thread(self._files.load)
        self._keyring: Keyring | None = None
        if settings.key is not None:
            self._keyring = await asyncio.to_thread(self._files.keyring, settings.key)
        try:
            address = (await resolve(*settings.bind))[0]
            advertise = (await resolve(*settings.advertise))[0]
            sockets = bind(address)
        except (UnreachableError, OSError) as error:
            raise GossipError(f"gossip can't listen on {settings.bind}: {error}") from error
        try:
            self._serf = Serf(
                settings.profile,
                self._rng,
                name=settings.name,
                address=Address(advertise.host, advertise.port or sockets.port),
                tags=settings.tags,
                keyring=self._keyring,
                clocks=self._remembered.clocks,
            )
        except TagsError as error:
            sockets.close()
            raise GossipError(str(error)) from error
        self._driver = Driver(self._serf, keyring=self._keyring, clock=self._clock, tell=self._tell)
        await self._driver.open(sockets)

    async def run(self) -> None:
        """Be a member, until it is cancelled. Raises, in a group, NameTakenError if another node has this name."""
        self._lost = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._driver.run(), name="gossip")
            tasks.create_task(self._report(), name="report changes")
            tasks.create_task(self._remember(), name="remember members")
            tasks.create_task(self._keep_keys(), name="keep keys")
            tasks.create_task(self._rejoin(), name="rejoin")
            await self._lost

    def close(self) -> None:
        """Hang up, without a word to the others."""
        self._driver.close()

    async def leave(self, *, forget: bool = False) -> None:
        """Tell the others that this node goes, and wait until they know, at most some ten seconds. With `forget` it
        won't look for them when it starts again."""
        self._remembering = not forget
        if forget:
            await asyncio.to_thread(self._files.forget)
        if not self._leaving:
            self._leaving = True
            self._driver.do(self._serf.leave)
        await self._left.wait()

    # ---- members

    @property
    def address(self) -> Address:
        """Where the others reach this node."""
        return self._serf.address

    def members(self) -> list[Member]:
        """All that are known, this node among them, also those that failed or left lately; by name."""
        return self._serf.members()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Raises GossipError if they don't fit."""
        try:
            self._driver.do(lambda: self._serf.set_tags(tags))
        except TagsError as error:
            raise GossipError(str(error)) from error

    def stats(self) -> dict[str, str]:
        """Serf's figures of itself, all as text."""
        return self._serf.stats()

    async def join(self, addresses: Iterable[tuple[str, int]]) -> int:
        """Join through each of these, whose names are resolved now. Returns how many answered, this node itself
        not counted; those that did not are logged."""
        joined = 0
        for host, port in addresses:
            try:
                found = await resolve(host, port)
            except UnreachableError as error:
                log.warning("can't join: %s", error)
                continue
            for address in found:
                if address != self.address:  # all nodes may be given the same list, with themselves in it
                    joined += await self._join(address)
        if joined:
            self._driver.do(self._serf.announce_join)
        return joined

    async def _join(self, address: Address) -> bool:
        try:
            await self._driver.exchange(address, join=True)
        except UnreachableError as error:
            log.warning("can't join: %s", error)
            return False
        log.info("joined through %s", address)
        return True

    async def retry_join(self, addresses: Sequence[tuple[str, int]], interval: int, most: int = 0) -> None:
        """Try to join until one answers, waiting `interval` ns between the tries. Raises GossipError after `most`
        tries; 0 means no end."""
        tries = 0
        while not await self.join(addresses):
            tries += 1
            if tries == most:
                raise GossipError(f"no node could be joined in {tries} tries: check retry-join and the network")
            await asyncio.sleep(interval / SECOND)

    # ---- events, queries and keys

    def event(self, name: str, payload: bytes = b"") -> None:
        """Tell all members. Raises ValueError if it is too large."""
        self._driver.do(lambda: self._serf.event(name, payload))

    async def query(
        self,
        name: str,
        payload: bytes = b"",
        *,
        nodes: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        ack: bool = False,
        relays: int = 0,
        timeout: int = 0,
        enough: Callable[[QueryResult], bool] = lambda result: False,
    ) -> QueryResult:
        """Ask all members, or those whose names or tags (regular expressions) fit, until `timeout` ns or `enough`
        answers. Raises ValueError if the query is too large."""
        opened = _Open(QueryResult(), enough, asyncio.get_running_loop().create_future())

        def ask() -> None:
            number = self._serf.queries.ask(
                name, payload, nodes=nodes, tags=tags, ack=ack, relays=relays, timeout=timeout
            )
            self._queries[number] = opened

        self._driver.do(ask)
        return await opened.done

    def keys(self) -> tuple[bytes, ...]:
        """This node's keys, the primary one first; none where gossip is not encrypted."""
        return () if self._keyring is None else self._keyring.keys

    async def list_keys(self) -> KeyReport:
        """The keys of all members."""
        return await self._ask_about_keys(InternalName.LIST_KEYS, b"")

    async def install_key(self, key: bytes) -> KeyReport:
        """All members are to understand what is encrypted with it."""
        return await self._ask_about_keys(InternalName.INSTALL_KEY, key)

    async def use_key(self, key: bytes) -> KeyReport:
        """All members are to encrypt with it; it must be installed."""
        return await self._ask_about_keys(InternalName.USE_KEY, key)

    async def remove_key(self, key: bytes) -> KeyReport:
        """All members are to forget it; it must not be in use."""
        return await self._ask_about_keys(InternalName.REMOVE_KEY, key)

    async def _ask_about_keys(self, operation: InternalName, key: bytes) -> KeyReport:
        report = KeyReport(sum(member.status is MemberStatus.ALIVE for member in self.members()))
        result = await self.query(
            operation,
            encode_serf(KeyRequest(key)),
            enough=lambda result: len(result.answers) >= report.members,
        )
        for member, payload in result.answers.items():
            report.answered += 1
            try:
                answer = decode_as(KeyResponse, payload)
            except CodecError as error:
                report.errors[member] = str(error)
                continue
            if not answer.result:
                report.errors[member] = answer.message
            for held in answer.keys:
                report.keys[held] = report.keys.get(held, 0) + 1
            if answer.primary_key:
                report.primary[answer.primary_key] = report.primary.get(answer.primary_key, 0) + 1
        return report

    # ---- beside

    async def _report(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._unsaved.set()
            self._on_change()

    async def _remember(self) -> None:
        """Those that failed too: they may be there again when this node is."""
        while True:
            await self._unsaved.wait()
            self._unsaved.clear()
            members = {
                member.name: Address(member.addr, member.port)
                for member in self.members()
                if member.name != self._settings.name and member.status is not MemberStatus.LEFT
            }
            if self._remembering:
                remembered = Remembered(members, self._serf.clocks())
                await self._write(partial(self._files.save, remembered))
            await asyncio.sleep(_SAVE_INTERVAL)

    async def _keep_keys(self) -> None:
        while True:
            await self._keys_changed.wait()
            self._keys_changed.clear()
            if self._keyring is not None and self._settings.key is not None:
                await self._write(partial(self._files.save_keyring, self._keyring, self._settings.key))

    async def _write(self, save: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(save)
        except OSError as error:
            log.error("gossip can't write to %s: %s", self._settings.directory, error)

    async def _rejoin(self) -> None:
        """Look for the members of before, until one answers or another node has found this one."""
        remembered = [at for name, at in self._remembered.members.items() if name != self._settings.name]
        while remembered and not self._leaving and not self._accompanied():
            self._rng.shuffle(remembered)
            for address in remembered:
                if await self._join(address):
                    self._driver.do(self._serf.announce_join)
                    return
            await asyncio.sleep(self._settings.profile.reconnect_interval / SECOND)

    def _accompanied(self) -> bool:
        return sum(member.alive for member in self.members()) > 1

    # ---- what the state machine tells

    def _tell(self, effect: Effect) -> None:
        match effect:
            case MembersChanged():
                self._changed.set()
            case EventHeard():
                self._on_event(effect.name, effect.payload)
            case QueryAcked():
                self._answered(effect.id, lambda result: result.acks.append(effect.member))
            case QueryAnswered():
                self._answered(effect.id, lambda result: result.answers.update({effect.member: effect.payload}))
            case QueryClosed():
                opened = self._queries.pop(effect.id, None)
                if opened is not None and not opened.done.done():
                    opened.done.set_result(opened.result)
            case KeyringChanged():
                self._keys_changed.set()
            case LeaveDone():
                self._left.set()
            case NameLost():
                if self._lost is not None and not self._lost.done():
                    self._lost.set_exception(
                        NameTakenError(
                            f"the node at {effect.address} is called {self._settings.name} too: "
                            "names must be unique, choose another with --node-name"
                        )
                    )
            case _:
                raise AssertionError(f"{effect} is the driver's")

    def _answered(self, number: int, add: Callable[[QueryResult], None]) -> None:
        opened = self._queries.get(number)
        if opened is None:
            return
        add(opened.result)
        if opened.enough(opened.result):
            self._driver.do(lambda: self._serf.queries.close(number))
