"""Who leads, as a model in seconds: renewals, the lease, claims, and what Raft says of it.

Only servers that are up and awake act. One that is paused or cut off from the store sees nothing; its clock goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from tests.model.checker import Model, Next

Steps: TypeAlias = "Iterator[Next[Cluster]]"
STEP_DOWN, LEASE, SPREAD = 2, 3, 1
ENOUGH = 4  # claims after a fault; more are not needed


class Rule(StrEnum):
    """What keeps one leader, and some leader; without any one of them the search finds a promise broken."""

    ONCE = "an election permits one claim"
    WHATEVER_RAFT_SAYS = "any server may claim once a lease has passed unrenewed"
    STEP_DOWN = "a leader that could not renew for a while, shorter than the lease, steps down"
    LOOK_FIRST = "a claim by the lease is guarded by the renewal that the server saw last"


class Promise(StrEnum):
    LEADS_ON = "a server goes on leading although its lease is over"
    UNSEATED = "a leader that renews the lease was deposed by a claim that the lease was over"
    FOREVER = "claims follow one another though nothing fails any more"


class Server(NamedTuple):
    up: bool = True
    awake: bool = True
    reaches: bool = True  # the store
    leads: bool = False
    renewed: int = 0  # seconds since it renewed the lease
    seen: int = 0  # seconds since it saw the lease renewed
    current: bool = True  # whether it has seen the newest renewal
    elected: bool = False
    claimed: bool = False  # in this election

    @property
    def acts(self) -> bool:
        return self.up and self.awake

    @property
    def writes(self) -> bool:
        return self.acts and self.reaches


class Cluster(NamedTuple):
    servers: tuple[Server, ...]
    faults: int
    holder: int = -1  # whose epoch is the newest
    elected: int = -1  # whom Raft elected last; one that was elected before may not know for a while
    claims: int = 0  # since something last failed or came back
    broken: str = ""

    def put(self, number: int, **changes: bool | int) -> Cluster:
        server = self.servers[number]._replace(**changes)  # pyright: ignore[reportArgumentType]
        return self._replace(servers=(*self.servers[:number], server, *self.servers[number + 1 :]))


@dataclass(frozen=True)
class Leading(Model[Cluster]):
    """The model, with so many servers and faults."""

    servers: int = 2
    faults: int = 2

    def initial(self) -> Cluster:
        return Cluster((Server(),) * self.servers, self.faults)

    def good(self, state: Cluster) -> bool:
        """Somebody leads, if anybody can."""
        holder = state.servers[state.holder]
        return (state.holder >= 0 and holder.leads and holder.writes) or not any(s.writes for s in state.servers)

    def steps(self, state: Cluster) -> Steps:
        waits = False
        for number, server in enumerate(state.servers):
            due = list(self._due(state, number, server)) if server.acts else []
            waits = waits or bool(due)
            yield from due
            if server.writes and not server.leads:
                yield from self._may_claim(state, number, server)
            yield from self._changes(state, number, server)
        yield from self._raft(state)
        if not waits:
            yield Next("a second passes", self._tick(state))

    def _tick(self, state: Cluster) -> Cluster:
        if any(server.acts and server.leads and server.renewed == LEASE for server in state.servers):
            state = state._replace(broken=Promise.LEADS_ON)
        for number, server in enumerate(state.servers):
            renewed = min(server.renewed + 1, LEASE) if server.leads else 0
            state = state.put(number, renewed=renewed, seen=min(server.seen + 1, LEASE + SPREAD))
        return state

    def _due(self, state: Cluster, number: int, server: Server) -> Steps:
        """What a server does before any more time passes."""
        follows = state.put(number, leads=False, renewed=0)
        if server.leads and server.reaches and state.holder != number:
            yield Next(f"server {number} sees that it is superseded", follows)
        elif server.leads and server.reaches and server.renewed:
            yield Next(f"server {number} renews the lease", self._write(state, number))
        if server.leads and server.renewed >= STEP_DOWN and self.has(Rule.STEP_DOWN):
            yield Next(f"server {number} steps down", follows)
        if server.reaches and not server.current:
            yield Next(f"server {number} sees the lease renewed", state.put(number, seen=0, current=True))
        elif server.seen >= LEASE + SPREAD and server.reaches and not server.leads:
            yield from self._may_claim(state, number, server)

    def _may_claim(self, state: Cluster, number: int, server: Server) -> Steps:
        after = self._write(state.put(number, leads=True, claimed=True), number)._replace(claims=state.claims + 1)
        if after.claims > ENOUGH:
            after = after._replace(broken=Promise.FOREVER)
        if server.elected and not (server.claimed and self.has(Rule.ONCE)):
            yield Next(f"server {number} claims, being elected", after)
        permitted = server.elected or self.has(Rule.WHATEVER_RAFT_SAYS)
        if server.seen >= LEASE and permitted and (server.current or not self.has(Rule.LOOK_FIRST)):
            holder = state.servers[state.holder]
            if state.holder >= 0 and holder.leads and holder.writes and holder.renewed < STEP_DOWN:
                after = after._replace(broken=after.broken or Promise.UNSEATED)
            yield Next(f"server {number} claims, the lease being over", after)

    def _write(self, state: Cluster, number: int) -> Cluster:
        """The server renews or claims; those that watch see it at once."""
        state = state._replace(holder=number).put(number, renewed=0, seen=0, current=True)
        for index, other in enumerate(state.servers):
            if index != number:
                state = state.put(index, seen=0, current=True) if other.writes else state.put(index, current=False)
        return state

    def _raft(self, state: Cluster) -> Steps:
        """Raft elects while a majority is awake: another when the one elected is not, or for no good reason."""
        if sum(server.acts for server in state.servers) * 2 <= self.servers:
            return
        held = state.elected >= 0 and state.servers[state.elected].acts
        for number, server in enumerate(state.servers):
            if server.elected and number != state.elected:
                yield Next(f"server {number} learns that another is elected", state.put(number, elected=False))
            elif server.acts and not server.elected and (state.faults or not held):
                after = state._replace(elected=number).put(number, elected=True, claimed=False)
                after = after._replace(faults=state.faults - 1, claims=0) if held else after
                yield Next(f"Raft elects server {number}", after, held)

    def _changes(self, state: Cluster, number: int, server: Server) -> Steps:
        """Faults, and their ends, on which nobody may count."""
        worse, better = state._replace(faults=state.faults - 1, claims=0), state._replace(claims=0)
        if state.faults and server.up:
            dead = worse.put(number, up=False, leads=False, renewed=0, elected=False)
            yield Next(f"server {number} dies", dead, fault=True)
            if server.awake:
                yield Next(f"server {number} is paused", worse.put(number, awake=False), fault=True)
            if server.reaches:
                yield Next(f"server {number} is cut off from the store", worse.put(number, reaches=False), fault=True)
        if not server.awake:
            yield Next(f"server {number} wakes", better.put(number, awake=True), fault=True)
        if not server.reaches:
            yield Next(f"server {number} reaches the store again", better.put(number, reaches=True), fault=True)
