"""Protocol versions: every node names the least and the greatest it understands and the one it speaks, of memberlist's
protocol and of the layer above. All nodes of a cluster must understand what each speaks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dkronpy.gossip.codec.messages import NodeState, PushPullNode
from dkronpy.gossip.codec.msgpack import CodecError
from dkronpy.gossip.swim.nodes import Node

MEMBERLIST: Final = (1, 5, 2)
"""Least and greatest understood, and spoken: 2, as every memberlist does, so that older ones aren't shut out."""

_PROTOCOLS: Final = {"memberlist": 0, "serf": 3}
"""Where each one's three numbers begin."""


def check_versions(remote: Iterable[PushPullNode], local: Iterable[Node]) -> None:
    """Raises CodecError naming a node that speaks what another doesn't understand. Nodes that are dead don't count, nor
    do those of whom nothing is known."""
    spoken = {node.name: node.vsn for node in remote if node.state == NodeState.ALIVE and node.vsn}
    for node in local:
        if node.state is NodeState.ALIVE and any(node.versions):
            spoken.setdefault(node.name, node.versions)
    for protocol, at in _PROTOCOLS.items():
        least = max((versions[at] for versions in spoken.values()), default=0)
        greatest = min((versions[at + 1] for versions in spoken.values()), default=255)
        for name, versions in spoken.items():
            if not least <= versions[at + 2] <= greatest:
                raise CodecError(
                    f"{name} speaks version {versions[at + 2]} of {protocol}'s protocol, "
                    f"but all nodes understand only {least} to {greatest}"
                )
