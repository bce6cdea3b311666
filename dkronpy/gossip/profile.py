"""The timing of gossip: memberlist's and serf's constants, for three kinds of network. All times are ns."""

from __future__ import annotations

from typing import Final

import msgspec

from dkronpy.model.duration import parse_duration


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """How quickly and how insistently nodes talk. The defaults are for one network (LAN)."""

    probe_interval: int = parse_duration("1s")
    """Between two probes; every node is probed once in as many of these as there are nodes."""
    probe_timeout: int = parse_duration("500ms")
    """How long a direct answer may take before others are asked to try."""
    indirect_checks: int = 3
    """How many others are asked."""
    awareness_max: int = 8
    """How many times longer a node in bad health waits at most before it suspects another."""
    suspicion_mult: int = 4
    """A suspected node has this × log10(nodes) × probe_interval to object, once enough others suspect it too."""
    suspicion_max_mult: int = 6
    """So many times longer where only one suspects it; shrinks with each other that does."""
    gossip_interval: int = parse_duration("200ms")
    """Between two rounds of passing news on."""
    gossip_nodes: int = 3
    """How many nodes are told in a round."""
    gossip_to_the_dead: int = parse_duration("30s")
    """How long a dead node is still told news, so that it may object; then it is forgotten here, not in serf."""
    retransmit_mult: int = 4
    """Each piece of news is passed on this × log10(nodes) times by each node."""
    push_pull_interval: int = parse_duration("30s")
    """Between two exchanges of the whole state with a random node; longer with more than 32 nodes."""
    reclaim_after: int = parse_duration("5s")
    """A node that is dead for so long may come back under its name at another address."""
    stream_timeout: int = parse_duration("10s")
    """For a whole exchange over TCP."""
    packet_size: int = 1400
    """Bytes of a datagram that fits every path."""
    compress: bool = False
    """Whether to compress what is sent. It takes 1 µs a byte here and saves little but where bandwidth is dear; what
    others compress is always read."""

    broadcast_timeout: int = parse_duration("5s")
    """How long a leaving node waits until its news is passed on."""
    leave_delay: int = parse_duration("1s")
    """How long it stays to answer those that haven't heard."""
    reap_interval: int = parse_duration("15s")
    """Between two looks for members to be forgotten."""
    reconnect_interval: int = parse_duration("30s")
    """Between two tries to reach a failed member."""
    reconnect_timeout: int = parse_duration("24h")
    """How long a failed member is remembered."""
    tombstone_timeout: int = parse_duration("24h")
    """How long a member that left is remembered."""
    intent_timeout: int = parse_duration("5m")
    """How long it is remembered that an unknown member joins or leaves."""
    query_mult: int = 16
    """A query waits this × log10(nodes) × gossip_interval for its answers."""


LAN: Final = Profile()
"""Nodes in one network."""

WAN: Final = Profile(
    probe_interval=parse_duration("5s"),  # a lost packet and a slow path are common
    probe_timeout=parse_duration("3s"),  # round trips of up to a second, with retransmissions on the way
    suspicion_mult=6,  # longer outages of a path are no failures
    gossip_interval=parse_duration("500ms"),  # news in fewer packets
    gossip_nodes=4,  # to one more node each time
    gossip_to_the_dead=parse_duration("60s"),  # as push_pull_interval
    push_pull_interval=parse_duration("60s"),
    stream_timeout=parse_duration("30s"),
    compress=True,
)
"""Nodes far apart: slower to suspect."""

LOCAL: Final = Profile(
    probe_timeout=parse_duration("200ms"),  # no network is in between
    indirect_checks=1,
    suspicion_mult=3,  # what doesn't answer is most likely dead
    gossip_interval=parse_duration("100ms"),
    gossip_to_the_dead=parse_duration("15s"),  # as push_pull_interval
    retransmit_mult=2,  # nothing is lost on the way
    push_pull_interval=parse_duration("15s"),
    stream_timeout=parse_duration("1s"),
)
"""Nodes on one machine: quicker."""

PROFILES: Final = {"lan": LAN, "wan": WAN, "local": LOCAL}
