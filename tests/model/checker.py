"""A small explicit-state model checker: breadth first, so that a counterexample is as short as can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, NamedTuple, Protocol, TypeVar

STUCK = "from here only another fault leads to an end where all is well"


class State(Protocol):
    """A state is hashable, and says which promise is broken in it, if any."""

    @property
    def broken(self) -> str: ...

    def __hash__(self) -> int: ...


S = TypeVar("S", bound=State)


class Next(NamedTuple, Generic[S]):
    """Something that can happen, and the state after it."""

    what: str
    state: S
    fault: bool = False


@dataclass(frozen=True)
class Model(Generic[S]):
    """What is searched. One rule may be left out, to see which promise it keeps."""

    without: StrEnum | None = field(default=None, repr=False)

    def has(self, rule: StrEnum) -> bool:
        return rule is not self.without

    def initial(self) -> S:
        raise NotImplementedError

    def steps(self, state: S) -> Iterator[Next[S]]:
        raise NotImplementedError

    def good(self, state: S) -> bool:
        """Whether all is done, and done right."""
        raise NotImplementedError


class Outcome(NamedTuple):
    """How a search ended: `broken` is "" when it saw every state within the bounds, and all is well."""

    broken: str
    states: int
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        steps = "".join(f"\n{number:4}. {step}" for number, step in enumerate(self.trace, 1))
        return f"{self.broken or 'all promises hold'} ({self.states:,} states, {len(self.trace)} steps){steps}"


def search(model: Model[S]) -> Outcome:
    """Visit every reachable state until a promise is broken; then check that from each a good one can be reached
    without another fault."""
    first = model.initial()
    numbers = {first: 0}
    came: list[tuple[int, str]] = [(0, "")]
    before: list[list[int]] = [[]]  # for each state, those that lead to it without a fault
    good: list[int] = []

    def outcome(broken: str, number: int) -> Outcome:
        steps: list[str] = []
        while number:
            number, what = came[number]
            steps.append(what)
        return Outcome(broken, len(came), tuple(reversed(steps)))

    frontier = [first]
    while frontier:
        reached: list[S] = []
        for state in frontier:
            here = numbers[state]
            for what, after, fault in model.steps(state):
                number = numbers.setdefault(after, len(came))
                if number == len(came):
                    came.append((here, what))
                    before.append([])
                    if after.broken:
                        return outcome(after.broken, number)
                    reached.append(after)
                    if model.good(after):
                        good.append(number)
                if not fault:
                    before[number].append(here)
        frontier = reached
    saved = set(good)
    while good:
        fresh = [number for number in before[good.pop()] if number not in saved]
        saved.update(fresh)
        good.extend(fresh)
    stuck = next((number for number in range(len(came)) if number not in saved), None)
    return Outcome("", len(came)) if stuck is None else outcome(STUCK, stuck)
