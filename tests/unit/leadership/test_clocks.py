"""Which server's clock is good enough to lead."""

from __future__ import annotations

import pytest

from dkronpy.leadership.clocks import VALID, Clocks
from dkronpy.model.duration import SECOND
from dkronpy.rpc.channel import Offset


def seen(*ahead: float, error: float = 0.0) -> Clocks:
    """A server that measured peers so many seconds ahead of it."""
    clocks = Clocks()
    for number, seconds in enumerate(ahead):
        clocks.measured(f"n{number}", Offset(int(seconds * SECOND), int(error * SECOND)), 0.0)
    return clocks


@pytest.mark.parametrize(
    ("ahead", "off"),
    [
        ((), 0), ((5,), 0), ((5, 5), -5), ((-5, -5.2), 5), ((5, 0), 0), ((5, -5), 0), ((0.9, 0.9), -0.9), ((2, 3), -2),
        ((5, 5, 0), 0), ((5, 5, 5), -5), ((5, 5, 5, -5), -5),
    ],
)  # fmt: skip
def test_distance_from_the_median(ahead: tuple[float, ...], off: float) -> None:
    clocks = seen(*ahead)
    assert clocks.off(1.0) / SECOND == pytest.approx(off)
    assert (clocks.fault(1.0) is None) == (abs(off) <= 1)
    assert clocks.worst(1.0) == max(map(abs, ahead), default=0)


def test_the_fault_says_which_way() -> None:
    assert "5.0 s behind" in (seen(5, 5).fault(1.0) or "")
    assert "5.0 s ahead" in (seen(-5, -5).fault(1.0) or "")


@pytest.mark.parametrize("clocks", [(0, 0, 5), (0, 2, -2), (0, 5), (0, 5, 10, 15), (0, 0, 5, 5, 5), (3, 3, 3)])
def test_some_server_may_always_lead(clocks: tuple[int, ...]) -> None:
    """Each server sees the others by its own clock."""
    able = [
        seen(*(other - own for place, other in enumerate(clocks) if place != number)).fault(1.0) is None
        for number, own in enumerate(clocks)
    ]
    assert any(able)
    if clocks == (0, 0, 5):
        assert able == [True, True, False]


def test_a_slow_answer_proves_nothing() -> None:
    assert seen(3, 3, error=2.5).fault(1.0) is None
    assert seen(3, 3, error=1.5).fault(1.0) is not None


def test_old_measurements_do_not_count() -> None:
    clocks = seen(5, 5)
    assert clocks.fault(VALID) is not None
    assert clocks.fault(VALID + 1) is None
    assert clocks.worst(VALID + 1) == 0
