"""What is counted of a job's runs, for its metrics. The counts are exact: they are written by the commit that ends a
run. Durations and latencies are first kept one by one there, then folded into the digests that the history keeps.

Every observation (a duration and a latency) has a number, from 1. `Figures.recent` ends with number `observed`; a
digest says up to which number it was folded. So nothing is counted twice or left out, whoever dies when.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

_PAIR = struct.Struct("<ff")
MAX_RECENT = 2000
"""Observations kept one by one at most: while the history can't be written."""


class RunMark(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What later runs of a job are told of one that has ended: its execution's id and times (ns)."""

    id: str
    fire: int
    started: int | None
    finished: int
    exit_code: int | None


class Figures(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """See the module. `run_time` and `latency` are the sums (ns) of what was observed."""

    origin: int = 0
    """When (ns) counting began anew: the job was made again, restored, or its history deleted. 0: with the job."""
    changes: int = 0
    """Runs counted since `origin`: the larger (origin, changes) is the newer."""
    timed_out: int = 0
    killed: int = 0
    lost: int = 0
    observed: int = 0
    run_time: int = 0
    latency: int = 0
    recent: bytes = b""
    """The newest observations, oldest first, 8 bytes each."""

    @property
    def age(self) -> tuple[int, int]:
        """(origin, changes)."""
        return (self.origin, self.changes)

    @property
    def first_recent(self) -> int:
        """The number of the first observation in `recent`."""
        return self.observed - len(self.recent) // _PAIR.size + 1

    def recent_after(self, number: int) -> Iterator[tuple[float, float]]:
        """The durations and latencies (seconds) in `recent` that come after observation `number`."""
        skipped = max(number + 1 - self.first_recent, 0)
        return _PAIR.iter_unpack(self.recent[skipped * _PAIR.size :])

    def observing(self, duration: int, latency: int, *, folded: int) -> Figures:
        """With one more observation (ns). Those up to number `folded` need not be kept any longer."""
        dropped = max(folded + 1 - self.first_recent, 0) * _PAIR.size
        recent = self.recent[dropped:] + _PAIR.pack(duration / 1e9, latency / 1e9)
        return msgspec.structs.replace(
            self,
            observed=self.observed + 1,
            run_time=self.run_time + duration,
            latency=self.latency + latency,
            recent=recent[-MAX_RECENT * _PAIR.size :],
        )


class JobFigures(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a history keeps of a job's figures: the counts without `recent`, and the digests of all observations up to
    `figures.observed`."""

    job: str
    success: int
    failed: int
    figures: Figures
    last: RunMark | None = None
    """Of the run that ended last."""
    durations: bytes = b""
    latencies: bytes = b""
