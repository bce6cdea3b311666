"""Whether this server's clock is to be trusted with the lead: pure rules over what was measured of the others'.

The measure is the median of all servers' clocks, this one's among them. Some server always has it, so that never all
of them are unable; and one wrong clock among three does not move it.
"""

from __future__ import annotations

from typing import Final

from dkronpy.model.duration import SECOND
from dkronpy.rpc.channel import Offset

LIMIT: Final = 1 * SECOND
"""Distance (ns) from the median beyond which a server does not claim the lead."""
VALID: Final = 20.0
"""Seconds for which a measurement counts."""


class Clocks:
    """What one server knows of the others' clocks. `now` is in seconds of a clock that never jumps."""

    def __init__(self) -> None:
        self._offsets: dict[str, tuple[float, Offset]] = {}

    def measured(self, peer: str, offset: Offset, now: float) -> None:
        """A peer's clock was compared."""
        self._offsets[peer] = now, offset

    def worst(self, now: float) -> float:
        """The largest distance measured from any peer's clock, in seconds."""
        return max((abs(offset.ahead) for offset in self._valid(now)), default=0) / SECOND

    def off(self, now: float) -> int:
        """By how much (ns) this clock is ahead of the median (negative: behind), not counting what the measurement
        leaves open. With an even number of servers any time between the two in the middle will do."""
        ahead = sorted([0, *self._ahead(now)])
        low, high = ahead[(len(ahead) - 1) // 2], ahead[len(ahead) // 2]
        return -high if high < 0 else -low if low > 0 else 0

    def fault(self, now: float) -> str | None:
        """Why this server may not lead, in words; None where its clock is good."""
        off = self.off(now)
        if abs(off) <= LIMIT:
            return None
        where = "ahead of" if off > 0 else "behind"
        return f"its clock is {abs(off) / SECOND:.1f} s {where} the other servers': set it, and keep it by NTP"

    def _ahead(self, now: float) -> list[int]:
        """How far the peers are certainly ahead; none is taken for wrong because a message was slow."""
        found: list[int] = []
        for offset in self._valid(now):
            certain = max(abs(offset.ahead) - offset.error, 0)
            found.append(certain if offset.ahead > 0 else -certain)
        return found

    def _valid(self, now: float) -> list[Offset]:
        return [offset for at, offset in self._offsets.values() if now - at <= VALID]
