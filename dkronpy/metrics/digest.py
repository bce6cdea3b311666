"""Digests: the durations or latencies of all runs of a job in some 4 kB, from which quantiles are read.

They are t-digests (Dunning and Ertl, "Computing extremely accurate quantiles using t-digests", 2019), those of the
library fastdigest.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from fastdigest import TDigest

CENTROIDS = 400
"""Keeps a quantile's rank within 1 % of the exact one, whatever is observed in whatever order."""
QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)


def fold(digest: bytes, values: Sequence[float]) -> bytes:
    """The digest (b"": of nothing) with more values. Raises ValueError for bytes that are no digest."""
    held = _read(digest)
    held.batch_update(values)
    return zlib.compress(held.to_bytes(), 1)


def quantiles_of(digest: bytes, wanted: Sequence[float]) -> tuple[float, ...]:
    """The values at these quantiles; () where nothing was observed. Raises ValueError for bytes that are no digest."""
    held = _read(digest)
    return () if held.is_empty() else tuple(held.quantile_vec(wanted))


def quantiles_among(values: Sequence[float], wanted: Sequence[float]) -> tuple[float, ...]:
    """The exact quantiles of these values, by linear interpolation; () of none."""
    ordered = sorted(values)
    if not ordered:
        return ()
    found: list[float] = []
    for quantile in wanted:
        place = (len(ordered) - 1) * quantile
        below = int(place)
        above = min(below + 1, len(ordered) - 1)
        found.append(ordered[below] + (ordered[above] - ordered[below]) * (place - below))
    return tuple(found)


def _read(digest: bytes) -> TDigest:
    if not digest:
        return TDigest(max_centroids=CENTROIDS)
    try:
        return TDigest.from_bytes(zlib.decompress(digest))
    except (zlib.error, ValueError) as error:
        raise ValueError(f"not a digest: {error}") from error
