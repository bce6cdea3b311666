"""Two nodes of one name: the members vote which of them is meant, and the other stops."""

from __future__ import annotations

import logging
from typing import Final

from dkronpy.gossip.codec.messages import Address, ip_text
from dkronpy.gossip.codec.msgpack import CodecError
from dkronpy.gossip.codec.serf_messages import WireMember, decode_as
from dkronpy.gossip.context import Context
from dkronpy.gossip.effects import NameLost
from dkronpy.gossip.profile import Profile
from dkronpy.gossip.serf.internal import InternalName
from dkronpy.gossip.serf.queries import Queries
from dkronpy.gossip.swim.nodes import Node
from dkronpy.gossip.swim.scaling import suspicion_timeout
from dkronpy.gossip.swim.swim import Swim

log = logging.getLogger(__name__)

_ROUNDS: Final = 5
"""Of gossip, until news has reached everybody almost surely."""


class Conflicts:
    """The vote about this node's own name."""

    def __init__(self, context: Context, profile: Profile, swim: Swim, queries: Queries) -> None:
        self._context = context
        self._profile = profile
        self._swim = swim
        self._queries = queries
        self._other: Address | None = None
        """Who has this node's name, while a vote is to come."""

    def heard(self, node: Node, address: Address) -> None:
        """Somebody at `address` has the node's name."""
        if node is not self._swim.me:
            log.warning("two nodes are called %s: at %s and at %s", node.name, node.address, address)
            return
        if self._other is None:
            log.error("another node at %s has this one's name, %s: names must be unique", address, node.name)
            self._context.after(self._patience(), self._prepare)
        self._other = address

    def _patience(self) -> int:
        """The other may be this node itself before it came back at another address: then it will be found dead soon."""
        suspicion = suspicion_timeout(self._profile.suspicion_mult, len(self._swim.nodes), self._profile.probe_interval)
        return 2 * suspicion + self._profile.reclaim_after

    def _prepare(self) -> None:
        """Be known to all who don't hold the other for alive, before they are asked."""
        self._swim.announce()
        self._context.after(_ROUNDS * self._profile.gossip_interval, self._vote)

    def _vote(self) -> None:
        self._queries.ask(InternalName.CONFLICT, self._swim.me.name.encode(), collect=self._count)

    def _count(self, answers: dict[str, bytes]) -> None:
        """The majority wins; where nobody answers, nobody is disturbed."""
        other, self._other = self._other, None
        mine = sum(self._is_mine(*answer) for answer in answers.items())
        log.warning("%d of %d members know this node under its name", mine, len(answers))
        if answers and other is not None and mine <= len(answers) // 2:
            self._context.emit(NameLost(other))

    def _is_mine(self, voter: str, payload: bytes) -> bool:
        try:
            member = decode_as(WireMember, payload)
            return Address(ip_text(member.addr), member.port) == self._swim.me.address
        except CodecError as error:
            log.warning("the vote of %s can't be read: %s", voter, error)
            return False
