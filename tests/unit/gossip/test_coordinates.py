"""Coordinates against those that serf's own code computes."""

from __future__ import annotations

import math
import random

import pytest

from dkronpy.gossip.codec.msgpack import CodecError, pack
from dkronpy.gossip.codec.records import encode
from dkronpy.gossip.serf.coordinates import Coordinate, Place
from dkronpy.model.duration import SECOND

MS = SECOND // 1000

SERF = {
    9: (
        -0.0031338182422474916,
        0.0035993282182366659,
        0.61627923164916698,
        0.00088937582079183053,
        0.00033690976943364558,
    ),
    19: (
        -0.0041194488297103199,
        0.0040272694531527566,
        0.4843710335853707,
        0.0015092271479070554,
        0.00061104029968826149,
    ),
    29: (
        -0.0043750079238019449,
        0.0037560444701140619,
        0.42095269369692012,
        0.0010295734083327873,
        0.0006328987345970555,
    ),
}
"""First and last dimension, error, adjustment and height after so many observations."""
DISTANCES = {9: 12282558, 19: 13677106, 29: 14828147}
"""To the node last observed, in ns."""


def other(number: int) -> Coordinate:
    return Coordinate(
        tuple(((number * 7 + dimension * 3) % 11 - 5) * 0.001 for dimension in range(8)),
        0.1 + number % 5 * 0.1,
        0.0001 * (number % 4),
        1e-4 * (1 + number % 3),
    )


def payload(coordinate: Coordinate) -> bytes:
    return b"\x01" + encode(coordinate)


def test_observations_move_a_node_as_serf_moves_it() -> None:
    place = Place(random.Random(1))
    for number in range(30):
        place.observe(f"n{number % 4}", number * 13 % 29 * MS + MS // 2, payload(other(number)))
        if number in SERF:
            at = place.coordinate
            assert (at.vec[0], at.vec[7], at.error, at.adjustment, at.height) == pytest.approx(
                SERF[number], rel=1e-6
            ), "serf cuts distances to whole ns"
            assert at.distance(other(number)) * SECOND == pytest.approx(DISTANCES[number], abs=10)
    assert place.resets == 0


def test_nodes_at_one_place_are_pushed_apart() -> None:
    place = Place(random.Random(2))
    place.observe("n1", 10 * MS, payload(Coordinate()))
    assert math.hypot(*place.coordinate.vec) > 0.001


def test_round_trips_are_found_out() -> None:
    """Four nodes on a line, 10 ms apart: after a while each knows how far the others are, to a tenth."""
    rng = random.Random(3)
    places = [Place(rng) for _ in range(4)]
    for _ in range(4000):
        a, b = rng.sample(range(4), 2)
        places[a].observe(f"n{b}", abs(a - b) * 10 * MS, places[b].payload())
    for a in range(4):
        for b in range(a):
            assert places[a].coordinate.distance(places[b].coordinate) == pytest.approx((a - b) * 0.01, rel=0.1)


@pytest.mark.parametrize(
    ("wire", "wrong"),
    [
        (b"\x02" + encode(Coordinate()), "in another form"),
        (b"\x01" + pack({"Vec": [0.0] * 7}), "that is none"),
        (b"\x01" + pack({"Vec": [math.inf] + [0.0] * 7}), "that is none"),
        (b"\x01" + pack({"Vec": [0.0] * 8, "Error": math.nan}), "that is none"),
        (b"\x01\xc1", "no value"),
    ],
)
def test_coordinates_that_make_no_sense_are_refused(wire: bytes, wrong: str) -> None:
    place = Place(random.Random(4))
    with pytest.raises(CodecError, match=wrong):
        place.observe("n1", MS, wire)
    assert place.coordinate == Coordinate()


def test_what_is_no_observation_changes_nothing() -> None:
    place = Place(random.Random(5))
    place.observe("n1", MS, b"")
    place.observe("n1", 11 * SECOND, payload(other(1)))
    assert place.coordinate == Coordinate()


def test_a_place_that_makes_no_sense_is_given_up() -> None:
    place = Place(random.Random(6))
    place.observe("n1", MS, payload(Coordinate((1e308,) * 8)))
    assert place.coordinate == Coordinate()
    assert place.resets == 1
    place.forget("n1")
    place.observe("n1", MS, payload(other(1)))
    assert place.coordinate.valid
