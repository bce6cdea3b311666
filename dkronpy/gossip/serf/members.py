"""The members: what SWIM says of them, with the difference between leaving and failing, and for longer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from dkronpy.gossip.codec.messages import Address, NodeState
from dkronpy.gossip.codec.serf_messages import JoinIntent, LeaveIntent
from dkronpy.gossip.context import Context
from dkronpy.gossip.effects import MembersChanged
from dkronpy.gossip.profile import Profile
from dkronpy.gossip.serf.lamport import LamportClock
from dkronpy.gossip.serf.tags import decode_tags
from dkronpy.gossip.swim.nodes import Node
from dkronpy.model.member import Member, MemberStatus

log = logging.getLogger(__name__)

_MAX_INTENTS: Final = 1024
"""Unknown members whose coming or going is remembered."""


@dataclass(eq=False, slots=True)
class Known:
    """A member, and when (Lamport) it last joined or left."""

    member: Member
    ltime: int = 0
    gone_at: int = 0

    @property
    def status(self) -> MemberStatus:
        return self.member.status

    @property
    def address(self) -> Address:
        return Address(self.member.addr, self.member.port)


@dataclass(frozen=True, slots=True)
class _Intent:
    leaving: bool
    ltime: int
    at: int


class Members:
    """By name. `refute` is called when it is said of this node, wrongly, that it leaves; `forgotten` with a name."""

    def __init__(
        self,
        context: Context,
        profile: Profile,
        me: str,
        clock: LamportClock,
        refute: Callable[[], None],
        forgotten: Callable[[str], None],
    ) -> None:
        self._context = context
        self._profile = profile
        self._me = me
        self._clock = clock
        self._refute = refute
        self._forgotten = forgotten
        self._known: dict[str, Known] = {}
        self._intents: dict[str, _Intent] = {}
        self.leaving = False
        """Whether this node itself leaves."""

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Known]:
        return iter(self._known.values())

    def get(self, name: str) -> Known | None:
        return self._known.get(name)

    def count(self, status: MemberStatus) -> int:
        """How many are in this state."""
        return sum(known.status is status for known in self)

    def of(self, status: MemberStatus) -> list[Known]:
        """Those in this state."""
        return [known for known in self if known.status is status]

    # ---- what SWIM says

    def joined(self, node: Node) -> None:
        """A node is there, or is back."""
        known = self._known.get(node.name)
        status, ltime = MemberStatus.ALIVE, 0
        if known is None:
            intent = self._intents.pop(node.name, None)
            if intent is not None:
                ltime = intent.ltime
                status = MemberStatus.LEAVING if intent.leaving else MemberStatus.ALIVE
            self._known[node.name] = Known(_member(node, status), ltime)
        else:
            known.member, known.gone_at = _member(node, status), 0
        log.info("member %s joined at %s", node.name, node.address)
        self._changed()

    def left(self, node: Node) -> None:
        """A node is dead or has left: failed, unless it said before that it would go."""
        known = self._known.get(node.name)
        if known is None or known.status not in (MemberStatus.ALIVE, MemberStatus.LEAVING):
            return
        meant = known.status is MemberStatus.LEAVING or node.state is NodeState.LEFT
        self._set(known, MemberStatus.LEFT if meant else MemberStatus.FAILED)
        known.gone_at = self._context.now
        log.info("member %s %s", node.name, "left" if meant else "failed")

    def updated(self, node: Node) -> None:
        """A node has other tags."""
        known = self._known.get(node.name)
        if known is not None:
            known.member = _member(node, known.status)
            self._changed()

    # ---- what members say: both return whether it was news

    def leave_intent(self, leave: LeaveIntent) -> bool:
        """A member goes, or is to be taken as one that went."""
        self._clock.witness(leave.ltime)
        known = self._known.get(leave.node)
        if known is None:
            return self._remember(leave.node, leaving=True, ltime=leave.ltime)
        if leave.ltime <= known.ltime:
            return False
        if leave.node == self._me and not self.leaving:
            self._refute()
            return False
        known.ltime = leave.ltime
        if known.status is MemberStatus.ALIVE:
            self._set(known, MemberStatus.LEAVING)
        elif known.status is MemberStatus.FAILED:
            self._set(known, MemberStatus.LEFT)
        if leave.prune:
            self._prune(known)
        return True

    def join_intent(self, join: JoinIntent) -> bool:
        """A member is there: it doesn't leave, as was said before."""
        self._clock.witness(join.ltime)
        known = self._known.get(join.node)
        if known is None:
            return self._remember(join.node, leaving=False, ltime=join.ltime)
        if join.ltime <= known.ltime:
            return False
        known.ltime = join.ltime
        if known.status is MemberStatus.LEAVING:
            self._set(known, MemberStatus.ALIVE)
        return True

    def _remember(self, name: str, *, leaving: bool, ltime: int) -> bool:
        """It may become a member later."""
        intent = self._intents.get(name)
        if intent is None and len(self._intents) >= _MAX_INTENTS:
            return False
        if intent is not None and ltime <= intent.ltime:
            return False
        self._intents[name] = _Intent(leaving, ltime, self._context.now)
        return True

    def _prune(self, known: Known) -> None:
        """Forget it; one that is still leaving, once it should have."""
        if known.status is MemberStatus.LEAVING:
            delay = self._profile.broadcast_timeout + self._profile.leave_delay
            self._context.after(delay, lambda: self._forget(known))
        else:
            self._forget(known)

    # ---- time

    def reap(self) -> None:
        """Forget those that have been gone for long."""
        now = self._context.now
        timeouts = {
            MemberStatus.FAILED: self._profile.reconnect_timeout,
            MemberStatus.LEFT: self._profile.tombstone_timeout,
        }
        for known in list(self):
            timeout = timeouts.get(known.status)
            if timeout is not None and now - known.gone_at > timeout:
                self._forget(known)
        old = now - self._profile.intent_timeout
        self._intents = {name: intent for name, intent in self._intents.items() if intent.at >= old}

    def _forget(self, known: Known) -> None:
        name = known.member.name
        if self._known.get(name) is known and name != self._me:
            del self._known[name]
            log.info("member %s is forgotten", name)
            self._forgotten(name)
            self._changed()

    def _set(self, known: Known, status: MemberStatus) -> None:
        known.member = known.member.with_status(status)
        self._changed()

    def _changed(self) -> None:
        self._context.emit(MembersChanged())


def _member(node: Node, status: MemberStatus) -> Member:
    return Member(node.name, node.address.host, node.address.port, decode_tags(node.meta), status, *node.versions)
