"""Messages of the work lane between the leader and a node.

A session begins when the leader attaches; the node answers with its inventory. Orders belong to the session they were
sent in, name the spool, and start only while the start lease lasts, which the node asks for again and again. So an
order that the node has not confirmed can no longer start once the node was out of contact for longer than the lease,
or once another session has begun.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from dkronpy.model.duration import SECOND
from dkronpy.model.run import Ended, Key, RunSpec, RunStatus, Started

START_LEASE = 3 * SECOND
"""How long a node starts orders after it asked for the lease that it was given, on its own monotonic clock: a lease
that was long on its way, or came to a node that hung, is over when it is read."""


class Attach(msgspec.Struct, frozen=True, tag="attach", array_like=True):
    """A leader opens a session. A node that has seen a higher epoch refuses."""

    session: str
    epoch: int
    leader: str


class Renew(msgspec.Struct, frozen=True, tag="renew", array_like=True):
    """The start lease that was asked for `at` that time is given."""

    at: int


class Orders(msgspec.Struct, frozen=True, tag="orders", array_like=True):
    """Start these runs on the spool named."""

    spool: str
    runs: tuple[RunSpec, ...]


class Kill(msgspec.Struct, frozen=True, tag="kill", array_like=True):
    """End a run: TERM to its process group, KILL after its grace; with `force` KILL at once."""

    key: Key
    force: bool = False


class Recorded(msgspec.Struct, frozen=True, tag="recorded", array_like=True):
    """The results of these runs are in the history."""

    keys: tuple[Key, ...]


class Stored(msgspec.Struct, frozen=True, tag="stored", array_like=True):
    """The run's output is stored up to `offset` bytes: send what follows."""

    key: Key
    offset: int


class Ask(msgspec.Struct, frozen=True, tag="ask", array_like=True):
    """The node asks for a start lease, `at` a time (ns) of its monotonic clock."""

    at: int


class Inventory(msgspec.Struct, frozen=True, tag="inventory", array_like=True):
    """The node's answer to `Attach`: its spool and the runs in it that are not acknowledged."""

    spool: str
    runs: tuple[RunStatus, ...]


class Refused(msgspec.Struct, frozen=True, tag="refused", array_like=True):
    """The node did not start an order, and will not. With `again` it may be ordered once more: only its start lease
    was over."""

    key: Key
    reason: str
    again: bool = False


class OutputPart(msgspec.Struct, frozen=True, tag="output", array_like=True):
    """A run's output from `offset` on; parts of a run come in order. A gap means that the spool's cap has cut what
    lay between."""

    key: Key
    offset: int
    data: bytes


ToNode: TypeAlias = Attach | Renew | Orders | Kill | Recorded | Stored
ToLeader: TypeAlias = Inventory | Ask | Refused | Started | OutputPart | Ended
