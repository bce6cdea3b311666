"""A server's way to the lead and out of it: elections permit, the store's epoch decides, the lease shows who is there.

With an embedded store there is nobody to compete with: the one server claims at once and needs no lease.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from dkronpy.catalog.keys import KINDS, Keys, encode
from dkronpy.catalog.mirror import Change, Held, Mirror
from dkronpy.leadership.claim import Deposed, claim
from dkronpy.leadership.claims import RENEWAL, STEP_DOWN, Claims
from dkronpy.leadership.election import TICK, BadMessage, Election
from dkronpy.leadership.lanes import ElectionLanes, Message
from dkronpy.model.member import Member, Peer, PeerState
from dkronpy.model.records import Epoch, Lease
from dkronpy.store.contract import Conflict, Guard, Put, Store, StoreError

log = logging.getLogger(__name__)

RECLAIM = 1.0
"""Seconds before another claim after one that failed for the store."""
HANDOVER = 5.0
"""Seconds that a leader which stops waits to see another claim."""


class Term(Protocol):
    """What leading is, for one epoch."""

    async def run(self) -> None:
        """Lead until `stop`, or until an exception says that the lead is lost."""
        ...

    def stop(self) -> None:
        """Decide nothing more, and let `run` return."""
        ...


class Leadership:
    """One server's part. `servers` gives the servers known (this one among them), `begin` makes what leading is;
    `able` tells why this server may not lead at the moment, in words, or nothing."""

    def __init__(
        self,
        name: str,
        store: Store,
        keys: Keys,
        mirror: Mirror,
        *,
        lanes: ElectionLanes | None,
        servers: Callable[[], Sequence[Member]],
        expect: int,
        unable: Callable[[], str | None],
        begin: Callable[[Held[Epoch]], Term],
        claims: Claims,
    ) -> None:
        self._name = name
        self._store = store
        self._keys = keys
        self._mirror = mirror
        self._lanes = lanes
        self._servers = servers
        self._expect = expect
        self._unable = unable
        self._begin = begin
        self._claims = claims
        self._election: Election | None = None
        self._stopping = asyncio.Event()
        self._superseded = asyncio.Event()
        self._term: Term | None = None
        self.epoch = 0
        """The epoch this server leads; 0 while it does not."""
        self._lease: Lease | None = None
        """The newest that the mirror showed."""
        self._renewed = 0.0
        """When (on the monotonic clock) the newest claim or renewal that succeeded was begun."""

    # ---- election

    def received(self, peer: str, message: Message) -> None:
        """An election message of a peer."""
        if self._election is None:
            return
        try:
            self._election.receive(peer, message)
        except BadMessage as error:
            log.warning("a bad election message: %s", error, extra={"node": peer})

    def lane_changed(self, peer: str, up: bool) -> None:
        """Messages reach a peer, or no longer do."""
        if self._election is not None:
            (self._election.connected if up else self._election.disconnected)(peer)

    @property
    def elected(self) -> str | None:
        """Whom Raft has elected, as far as this server knows."""
        return None if self._election is None else self._election.leader

    def peers(self) -> list[Peer]:
        """The servers that take part in the election, by name, as this one sees them. With an embedded store this one
        is alone, and leads."""
        reached = {self._name, *(() if self._lanes is None else self._lanes.connected())}
        elected = self._name if self._lanes is None else self.elected

        def state(name: str) -> PeerState:
            if name not in reached:
                return PeerState.UNREACHABLE
            return PeerState.LEADER if name == elected else PeerState.FOLLOWER

        servers = sorted(self._servers(), key=lambda member: member.name)
        return [Peer(member.name, member.tags["rpc_addr"], state(member.name)) for member in servers]

    @property
    def holds(self) -> bool:
        """Whether this server leads and has renewed its lease within `STEP_DOWN`, hung or not meanwhile."""
        return self.epoch > 0 and (self._lanes is None or time.monotonic() - self._renewed < STEP_DOWN)

    # ---- running

    async def run(self) -> None:
        """Take part until `stop`, then hand over; returns when that is done."""
        unsubscribe = self._mirror.subscribe(self._watch)
        try:
            async with asyncio.TaskGroup() as group:
                ticking = None if self._lanes is None else group.create_task(self._tick(group, self._lanes))
                while not self._stopping.is_set():
                    await self._claim_and_lead()
                await self._hand_over()
                if ticking is not None:
                    ticking.cancel()
                if self._lanes is not None:
                    self._lanes.keep(group, {})
        finally:
            unsubscribe()

    def stop(self) -> None:
        """Stop deciding and give the lead away; `run` returns then."""
        self._stopping.set()
        if self._term is not None:
            self._term.stop()

    def _watch(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.kind == "lease":
                self._lease = change.new
            if change.kind == "lease" and change.new is not None and change.new.released:
                self._claims.released()
            elif change.kind in ("leader", "lease"):
                self._claims.saw(time.monotonic())
                if change.kind == "leader":
                    self._superseded.set()

    async def _tick(self, group: asyncio.TaskGroup, lanes: ElectionLanes) -> None:
        seen = self._expect == 0
        while True:
            servers = {member.name: member.tags["rpc_addr"] for member in self._servers() if member.name != self._name}
            seen = seen or len(servers) + 1 >= self._expect
            if seen:
                self._renew_election(servers.keys(), lanes)
            lanes.keep(group, servers)
            if self._election is not None:
                self._election.eligible = self._unable() is None and not self._stopping.is_set()
                self._election.tick()
            await asyncio.sleep(TICK)

    def _renew_election(self, others: Collection[str], lanes: ElectionLanes) -> None:
        """Another set of servers is another election."""
        if self._election is not None:
            if self._election.others == others:
                return
            self._election.close()
        log.info("election among %s", ", ".join(sorted([self._name, *others])), extra={"node": self._name})
        self._election = Election(self._name, others, lanes.send)
        for peer in lanes.connected():
            self._election.connected(peer)

    async def _claim_and_lead(self) -> None:
        election = None
        if self._lanes is not None:
            await asyncio.sleep(TICK)
            if self._election is None or self._unable() is not None:
                return
            election = self._election.term if self._election.elected else None
            if not self._claims.due(time.monotonic(), election):
                return
        permitted = self._lanes is None or self._claims.permits(election)
        self._claims.claimed(begun := time.monotonic(), election)
        try:
            guards = () if permitted else await self._unrenewed()
            if guards is None:
                return
            epoch = await claim(self._store, self._keys, self._name, time.time_ns, guards)
        except Conflict:
            log.info("another server claimed the lead first", extra={"node": self._name})
            return
        except StoreError as error:
            log.warning("the lead can't be claimed: %s", error, extra={"node": self._name})
            self._claims.failed()
            await asyncio.sleep(RECLAIM)
            return
        self._renewed = begun
        await self._lead(epoch)

    async def _unrenewed(self) -> Sequence[Guard] | None:
        """What guards a claim because the lease is over; None where it was renewed after all: this server was paused,
        and has yet to read what came meanwhile. Raises the store's errors."""
        entry = await self._store.get(self._keys.lease)
        lease = None if entry is None else KINDS["lease"].decode(entry.value)
        if lease != self._lease:
            self._lease = lease
            return None
        return (Guard(self._keys.lease, 0 if entry is None else entry.revision),)

    async def _lead(self, epoch: Held[Epoch]) -> None:
        self._term = term = self._begin(epoch)
        self.epoch = epoch.value.epoch
        try:
            async with asyncio.TaskGroup() as group:
                holding = None if self._lanes is None else group.create_task(self._hold_lease(epoch))
                if self._stopping.is_set():
                    term.stop()
                await term.run()
                if holding is not None:
                    holding.cancel()
        except* Deposed as errors:
            log.warning("no longer leading: %s", _first(errors), extra={"epoch": epoch.value.epoch})
        finally:
            self._term = None
            self.epoch = 0

    async def _hold_lease(self, epoch: Held[Epoch]) -> None:
        """Renew the lease while leading. Raises Deposed."""
        guards = [Guard(self._keys.epoch, epoch.revision)]
        number = 0
        while True:
            number += 1
            record = Put(self._keys.lease, encode(Lease(epoch.value.epoch, number)))
            begun = time.monotonic()
            try:
                async with asyncio.timeout(max(self._renewed + STEP_DOWN - begun, 0)):
                    await self._store.commit(guards, [record])
                self._renewed = begun
            except Conflict:
                raise Deposed(f"epoch {epoch.value.epoch} is over") from None
            except (StoreError, TimeoutError) as error:
                if time.monotonic() - self._renewed >= STEP_DOWN:
                    why = str(error) or "the store does not answer"
                    raise Deposed(f"the lease could not be renewed for {STEP_DOWN:.0f} s: {why}") from error
                await asyncio.sleep(RENEWAL / 5)
                continue
            await asyncio.sleep(RENEWAL)

    async def _hand_over(self) -> None:
        """Let another server claim now instead of after the lease; wait until one has, or for `HANDOVER`."""
        if self._lanes is None or self._election is None or not self._election.others:
            return
        held = self._mirror.epoch
        if held is None or held.value.node != self._name:
            return
        self._superseded.clear()
        self._election.hand_over()
        try:
            async with asyncio.timeout(HANDOVER):
                record = Put(self._keys.lease, encode(Lease(held.value.epoch, 0, released=True)))
                await self._store.commit([Guard(self._keys.epoch, held.revision)], [record])
                await self._superseded.wait()
        except Conflict:
            return
        except (StoreError, TimeoutError) as error:
            log.warning(
                "nobody has taken the lead over: %s", error or "no other server claimed", extra={"node": self._name}
            )


def _first(errors: BaseExceptionGroup[Deposed]) -> BaseException:
    """The first leaf of a group of exceptions."""
    inner = errors.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
