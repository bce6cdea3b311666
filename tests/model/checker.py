"""A small explicit-state model checker: breadth first, so that a counterexample is as short as can be."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

S = TypeVar("S", bound=Hashable)


class Model(Protocol[S]):
    """What is searched. A state that broke a promise has no successors that matter."""

    def initial(self) -> S: ...

    def steps(self, state: S) -> Iterator[tuple[str, S, bool]]:
        """Everything that can happen: (in words, the state after it, whether it is a fault)."""
        ...

    def broken(self, state: S) -> str:
        """The promise that is broken in this state, or ""."""
        ...

    def good(self, state: S) -> bool:
        """Whether all is done, and done right."""
        ...


@dataclass(frozen=True)
class Outcome(Generic[S]):
    """How a search ended. `broken` is "" when every state within the bounds was seen and all is well."""

    states: int
    broken: str
    trace: tuple[str, ...]

    def __str__(self) -> str:
        steps = "".join(f"\n{number:4}. {step}" for number, step in enumerate(self.trace, 1))
        return f"{self.broken or 'all promises hold'} ({self.states:,} states, {len(self.trace)} steps){steps}"


STUCK = "from here nothing but another fault leads to an end where all is well"


def search(model: Model[S], until: Callable[[str], bool] = bool) -> Outcome[S]:
    """Visit every reachable state, until a promise is broken that `until` asks for; states after other broken ones
    are not visited. Then check that from each state without further faults a good one can be reached."""
    first = model.initial()
    numbers: dict[S, int] = {first: 0}
    came: list[tuple[int, str]] = [(-1, "")]
    before: list[list[int]] = [[]]
    """For each state, those that lead to it without a fault."""
    good: list[int] = []
    wrong = set[int]()
    frontier = [first]

    def trace(number: int) -> tuple[str, ...]:
        steps: list[str] = []
        while number:
            number, step = came[number]
            steps.append(step)
        return tuple(reversed(steps))

    while frontier:
        reached: list[S] = []
        for state in frontier:
            here = numbers[state]
            for step, after, fault in model.steps(state):
                number = numbers.get(after)
                if number is None:
                    number = numbers[after] = len(came)
                    came.append((here, step))
                    before.append([])
                    broken = model.broken(after)
                    if broken and until(broken):
                        return Outcome(len(came), broken, trace(number))
                    if broken:
                        wrong.add(number)
                    else:
                        reached.append(after)
                        if model.good(after):
                            good.append(number)
                if not fault:
                    before[number].append(here)
        frontier = reached
    saved = set(good)
    while good:
        for number in before[good.pop()]:
            if number not in saved:
                saved.add(number)
                good.append(number)
    stuck = next((number for number in range(len(came)) if number not in saved and number not in wrong), None)
    if stuck is not None and until(STUCK):
        return Outcome(len(came), STUCK, trace(stuck))
    return Outcome(len(came), "", ())
