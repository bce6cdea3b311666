"""Network coordinates: how far nodes are from each other, from the round trips of pings, without pinging every pair.

Vivaldi (Dabek et al., SIGCOMM 2004) in eight dimensions and a height, with the median filter and gravity of Ledlie et
al. ("Network Coordinates in the Wild", NSDI 2007) and the adjustment of Lee et al. (IEEE/ACM ToN 18.1, 2010), with
serf's constants, so that serf's tools can use them.
"""

from __future__ import annotations

import math
import random
from collections import deque
from typing import Final

from dkronpy.gossip.codec.msgpack import CodecError
from dkronpy.gossip.codec.records import Record, decode, encode
from dkronpy.model.duration import SECOND

_DIMENSIONS: Final = 8
_ERROR_MAX: Final = 1.5
"""Of a node that knows nothing yet."""
_ERROR_SHARE: Final = 0.25
_MOVE_SHARE: Final = 0.25
"""How much one observation counts for the error, and for the place."""
_ADJUSTMENT_WINDOW: Final = 20
_HEIGHT_MIN: Final = 10e-6
_MEDIAN_OF: Final = 3
_GRAVITY: Final = 150.0
_ZERO: Final = 1e-6
_LONGEST: Final = 10 * SECOND
_VERSION: Final = b"\x01"
"""The first byte of the payload of an answer to a ping."""


class Coordinate(Record, frozen=True):
    """A place, in seconds; `error` is how uncertain it is."""

    vec: tuple[float, ...] = (0.0,) * _DIMENSIONS
    error: float = _ERROR_MAX
    adjustment: float = 0.0
    height: float = _HEIGHT_MIN

    @property
    def valid(self) -> bool:
        """Whether it can be computed with."""
        numbers = (*self.vec, self.error, self.adjustment, self.height)
        return len(self.vec) == _DIMENSIONS and all(map(math.isfinite, numbers))

    def distance(self, other: Coordinate) -> float:
        """The likely round trip between the two, in seconds."""
        raw = self.raw_distance(other)
        adjusted = raw + self.adjustment + other.adjustment
        return adjusted if adjusted > 0.0 else raw

    def raw_distance(self, other: Coordinate) -> float:
        """Without what was learnt about the nodes themselves."""
        return math.dist(self.vec, other.vec) + self.height + other.height


class Place:
    """This node's coordinate, moved by each observation."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.coordinate = Coordinate()
        self.resets = 0
        """How often what was computed made no sense."""
        self._adjustments: deque[float] = deque([0.0] * _ADJUSTMENT_WINDOW, _ADJUSTMENT_WINDOW)
        self._samples: dict[str, deque[float]] = {}
        self._payload = b""

    def payload(self) -> bytes:
        """What answers to pings carry."""
        if not self._payload:
            self._payload = _VERSION + encode(self.coordinate)
        return self._payload

    def forget(self, name: str) -> None:
        """The node is no more."""
        self._samples.pop(name, None)

    def observe(self, name: str, round_trip: int, payload: bytes) -> None:
        """A node answered after so many ns, with its payload. Raises CodecError for one that makes no sense."""
        if not payload:
            return
        if payload[:1] != _VERSION:
            raise CodecError(f"{name} sends its coordinate in another form, {payload[0]}")
        other, _ = decode(Coordinate, payload, 1)
        if not other.valid:
            raise CodecError(f"{name} sends a coordinate that is none")
        if round_trip > _LONGEST:
            return
        samples = self._samples.setdefault(name, deque(maxlen=_MEDIAN_OF))
        samples.append(round_trip / SECOND)
        seconds = sorted(samples)[len(samples) // 2]
        moved = self._adjusted(self._moved(other, seconds), other, seconds)
        moved = self._pulled(moved)
        if not moved.valid:
            self.resets += 1
            moved = Coordinate()
        self.coordinate = moved
        self._payload = b""

    def _moved(self, other: Coordinate, seconds: float) -> Coordinate:
        """Vivaldi: towards or away from the other, the more the surer it is and the less this one."""
        mine = self.coordinate
        distance = mine.distance(other)
        seconds = max(seconds, _ZERO)
        wrong = abs(distance - seconds) / seconds
        weight = mine.error / max(mine.error + other.error, _ZERO)
        error = min(_ERROR_SHARE * weight * wrong + mine.error * (1.0 - _ERROR_SHARE * weight), _ERROR_MAX)
        force = _MOVE_SHARE * weight * (seconds - distance)
        return self._forced(Coordinate(mine.vec, error, mine.adjustment, mine.height), force, other)

    def _adjusted(self, mine: Coordinate, other: Coordinate, seconds: float) -> Coordinate:
        self._adjustments.append(seconds - mine.raw_distance(other))
        adjustment = sum(self._adjustments) / (2.0 * _ADJUSTMENT_WINDOW)
        return Coordinate(mine.vec, mine.error, adjustment, mine.height)

    def _pulled(self, mine: Coordinate) -> Coordinate:
        """A little towards the origin, so that all together don't drift away."""
        origin = Coordinate()
        return self._forced(mine, -((origin.distance(mine) / _GRAVITY) ** 2), origin)

    def _forced(self, mine: Coordinate, force: float, other: Coordinate) -> Coordinate:
        unit, distance = self._direction(mine, other)
        vec = tuple(at + force * part for at, part in zip(mine.vec, unit, strict=True))
        height = mine.height
        if distance > _ZERO:
            height = max((height + other.height) * force / distance + height, _HEIGHT_MIN)
        return Coordinate(vec, mine.error, mine.adjustment, height)

    def _direction(self, mine: Coordinate, other: Coordinate) -> tuple[list[float], float]:
        """The unit vector from the other, and the distance; any direction from the same place."""
        vector = [a - b for a, b in zip(mine.vec, other.vec, strict=True)]
        length = math.hypot(*vector)
        if length > _ZERO:
            return [part / length for part in vector], length
        vector = [self._rng.random() - 0.5 for _ in vector]
        length = math.hypot(*vector)
        return [part / length for part in vector], 0.0
