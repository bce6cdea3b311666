"""Digests: their quantiles against the exact ones."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise

import pytest
from fastdigest import TDigest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkronpy.metrics.digest import CENTROIDS, QUANTILES, fold, quantiles_among, quantiles_of

WANTED = (*QUANTILES, 0.25, 0.75)
SPREADS = {
    "alike": lambda rng: 10 + rng.gauss(0, 0.001),
    "even": lambda rng: rng.random() * 100,
    "skewed": lambda rng: rng.paretovariate(0.5),
    "two kinds": lambda rng: rng.choice((1, 100)) * (1 + rng.random() / 1000),
    "three values": lambda rng: rng.choice((1.0, 2.0, 3.0)),
    "whole seconds": lambda rng: float(rng.randrange(20)),
}


def off(ordered: list[float], value: float, quantile: float) -> float:
    """How far the value's rank is from the quantile; the digest's own rounding counts as nothing."""
    blur = abs(value) * 1e-9
    below = bisect_left(ordered, value - blur) / len(ordered)
    above = bisect_right(ordered, value + blur) / len(ordered)
    return max(below - quantile, quantile - above, 0)


@settings(deadline=None, max_examples=60)
@given(
    rng=st.randoms(use_true_random=True),
    spreads=st.lists(st.sampled_from(sorted(SPREADS)), min_size=1, max_size=3),
    size=st.integers(1, 3000),
    order=st.sampled_from(("none", "rising", "falling")),
    batch=st.sampled_from((1, 16, 17, 400)),
)
def test_quantiles_are_within_one_percent_of_rank(rng, spreads, size, order, batch) -> None:
    values = [SPREADS[rng.choice(spreads)](rng) for _ in range(size)]
    if order != "none":
        values.sort(reverse=order == "falling")
    digest = b""
    step = batch if batch > 1 or size < 200 else 16
    for start in range(0, size, step):
        digest = fold(digest, values[start : start + step])
    found, ordered = quantiles_of(digest, WANTED), sorted(values)
    rising = [value for _, value in sorted(zip(WANTED, found, strict=True))]
    assert all(a <= b * (1 + 1e-9) for a, b in pairwise(rising))
    for value, quantile in zip(found, WANTED, strict=True):
        assert off(ordered, value, quantile) <= max(0.01, 1 / size), (quantile, value)
    assert len(digest) < 18 * CENTROIDS


def test_merged_digests_are_as_near() -> None:
    values = [float(number * number % 9973) for number in range(5000)]
    merged = TDigest.from_values(values[:2500], max_centroids=CENTROIDS)
    merged.merge_inplace(TDigest.from_values(values[2500:], max_centroids=CENTROIDS))
    assert all(
        off(sorted(values), value, at) <= 0.01 for value, at in zip(merged.quantile_vec(WANTED), WANTED, strict=True)
    )


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.floats(0, 1))
def test_few_values_have_exact_quantiles(values: list[float], quantile: float) -> None:
    (found,) = quantiles_among(values, [quantile])
    assert min(values) <= found <= max(values)
    assert off(sorted(values), found, quantile) <= 1 / len(values)
    assert quantiles_among([1.0, 2.0, 4.0], [0, 0.5, 0.75, 1]) == (1, 2, 3, 4)


def test_nothing_and_nonsense() -> None:
    assert quantiles_of(b"", WANTED) == quantiles_among([], WANTED) == ()
    for damaged in (b"nonsense", fold(b"", [1.0])[:-3]):
        with pytest.raises(ValueError, match="not a digest"):
            fold(damaged, [1.0])
