"""Which nodes a job's tags pick."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from dkronpy.model.member import Member

MAX_KEPT: Final = 10_000
"""Distinct tags whose nodes are remembered."""


def split_count(value: str) -> tuple[str, int | None]:
    """A job tag's value and the count after its last colon: `web:2` is ("web", 2), `web` is ("web", None).

    Raises ValueError when what follows the last colon is not a whole number of at least 1."""
    text, colon, digits = value.rpartition(":")
    if not colon:
        return value, None
    if not (digits.isascii() and digits.isdigit() and int(digits[:9]) > 0 and len(digits) < 10):
        raise ValueError(f"the count after the last colon must be a whole number from 1 on, not {digits[:40]!r}")
    return text, int(digits)


def matching(tags: Mapping[str, str], members: Iterable[Member]) -> list[str]:
    """Names of the alive members that equal every tag, sorted. No tags match every node that can run jobs."""
    wanted = [(key, _text(value)) for key, value in tags.items()]
    return sorted(
        member.name
        for member in members
        if member.alive and all(member.tags.get(key) == value for key, value in wanted)
    )


def _text(value: str) -> str:
    """The value without its count; a count that can't be read is taken as part of the value."""
    try:
        return split_count(value)[0]
    except ValueError:
        return value


class Candidates:
    """The nodes that tags match among these members: found once for all jobs of the same tags."""

    def __init__(self, members: Sequence[Member] = ()) -> None:
        self.members = members
        self._found: dict[tuple[tuple[str, str], ...], tuple[list[str], int]] = {}

    def of(self, tags: Mapping[str, str]) -> tuple[list[str], int]:
        """All that match, sorted, and how many of them are wanted: the smallest count. Raises ValueError for a bad
        count."""
        key = tuple(tags.items())
        found = self._found.get(key)
        if found is None:
            names = matching(tags, self.members)
            counts = [count for _, count in map(split_count, tags.values()) if count is not None]
            if len(self._found) == MAX_KEPT:
                self._found.clear()
            found = self._found[key] = names, min(counts, default=len(names))
        return found


def select(
    tags: Mapping[str, str], candidates: Candidates, reachable: Collection[str], rng: random.Random
) -> list[str]:
    """The nodes to run on: all matching, or at random as many as the smallest count allows, those in contact first.

    Raises ValueError for a bad count."""
    names, limit = candidates.of(tags)
    if limit >= len(names):
        return list(names)
    near = [name for name in names if name in reachable]
    if limit == 1 and near:
        return [rng.choice(near)]
    picked = rng.sample(near, min(limit, len(near)))
    if len(picked) < limit:
        picked += rng.sample([name for name in names if name not in reachable], limit - len(picked))
    return sorted(picked)
