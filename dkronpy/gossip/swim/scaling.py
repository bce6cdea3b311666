"""How times and counts grow with the cluster."""

from __future__ import annotations

import math
from typing import Final

_PUSH_PULL_THRESHOLD: Final = 32
"""Nodes up to which exchanges of state are not made rarer."""


def retransmits(mult: int, nodes: int) -> int:
    """How often a piece of news is passed on, for it to reach everybody almost surely."""
    return mult * math.ceil(math.log10(nodes + 1))


def suspicion_timeout(mult: int, nodes: int, interval: int) -> int:
    """How long a suspected node has, in the unit of `interval`."""
    return mult * int(max(1.0, math.log10(max(1, nodes))) * 1000) * interval // 1000


def push_pull_interval(interval: int, nodes: int) -> int:
    """Between exchanges: one more interval each time that the cluster doubles beyond 32 nodes."""
    if nodes <= _PUSH_PULL_THRESHOLD:
        return interval
    return interval * (math.ceil(math.log2(nodes) - math.log2(_PUSH_PULL_THRESHOLD)) + 1)


def suspicion_left(confirmations: int, expected: int, elapsed: int, least: int, most: int) -> int:
    """What a suspected node has left (Lifeguard): from `most` with no confirmation down to `least` with all expected,
    quickly at first. `expected` is at least 1."""
    share = math.log(confirmations + 1) / math.log(expected + 1)
    return max(least, int(most - share * (most - least))) - elapsed
