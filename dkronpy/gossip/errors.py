"""What goes wrong between nodes."""

from __future__ import annotations


class GossipError(Exception):
    """Gossip can't go on so; the message says what to mend."""


class NameTakenError(GossipError):
    """Another node has this one's name, and the members know that one."""


class UnreachableError(GossipError):
    """A node doesn't answer, or not as a member of this cluster."""
