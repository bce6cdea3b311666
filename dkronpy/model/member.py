"""Members of the cluster."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class MemberStatus(IntEnum):
    """Serf's member states, by serf's numbers."""

    NONE = 0
    ALIVE = 1
    LEAVING = 2
    LEFT = 3
    FAILED = 4


class Member(msgspec.Struct, frozen=True, gc=False):
    """A node as gossip knows it."""

    name: str
    addr: str
    port: int
    tags: dict[str, str]
    status: MemberStatus = MemberStatus.ALIVE

    @property
    def alive(self) -> bool:
        return self.status is MemberStatus.ALIVE
