"""Members of the cluster."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec


class MemberStatus(IntEnum):
    """Serf's member states, by serf's numbers."""

    NONE = 0
    ALIVE = 1
    LEAVING = 2
    LEFT = 3
    FAILED = 4


class Member(msgspec.Struct, frozen=True, gc=False):
    """A node as gossip knows it. `protocol`: versions of memberlist's protocol, `delegate`: of serf's."""

    name: str
    addr: str
    port: int
    tags: dict[str, str]
    status: MemberStatus = MemberStatus.ALIVE
    protocol_min: int = 1
    protocol_max: int = 5
    protocol_cur: int = 2
    delegate_min: int = 2
    delegate_max: int = 5
    delegate_cur: int = 4

    @property
    def alive(self) -> bool:
        return self.status is MemberStatus.ALIVE

    def with_status(self, status: MemberStatus) -> Member:
        """The same member in another state."""
        return msgspec.structs.replace(self, status=status)


class PeerState(StrEnum):
    """What a server is in the election."""

    LEADER = "leader"
    """Elected; the epoch in the store says who leads."""
    FOLLOWER = "follower"
    UNREACHABLE = "unreachable"
    """No election messages reach it from the server that was asked."""


class Peer(msgspec.Struct, frozen=True, gc=False):
    """A server that takes part in the election; `address` is its RPC, `host:port`."""

    node: str
    address: str
    state: PeerState
