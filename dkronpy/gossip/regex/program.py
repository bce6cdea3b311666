"""What an expression is compiled to: steps, all of which are followed at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

MAX_STEPS: Final = 512
"""Steps of a program: so the longest tag takes at most 0.2 s, a usual one some µs."""


class PatternError(ValueError):
    """The expression is wrong, or uses what isn't understood here."""


Test: TypeAlias = Callable[[str], bool]
"""Of a character."""
Assertion: TypeAlias = Callable[[str, int], bool]
"""Of a text and a place in it."""


class Step(NamedTuple):
    """Go on to one of `forks`: at once, if `assertion` holds there, or after a character that passes `test`."""

    test: Test | None = None
    assertion: Assertion | None = None
    forks: tuple[int, ...] = ()


class Program:
    """Step 0 is the end. Raises PatternError from `add` if it grows too large."""

    def __init__(self) -> None:
        self.steps: list[Step] = [Step()]

    def add(self, step: Step) -> int:
        """Its number."""
        if len(self.steps) >= MAX_STEPS:
            raise PatternError("the expression is too large")
        self.steps.append(step)
        return len(self.steps) - 1

    def found(self, start: int, text: str) -> bool:
        """Whether the end is reached from `start` anywhere in the text."""
        current: set[int] = set()
        for at, char in enumerate(text):
            if self._follow(start, text, at, current):
                return True
            after: set[int] = set()
            for number in current:
                step = self.steps[number]
                if step.test is not None and step.test(char) and self._follow(step.forks[0], text, at + 1, after):
                    return True
            current = after
        return self._follow(start, text, len(text), current)

    def _follow(self, number: int, text: str, at: int, reached: set[int]) -> bool:
        """Add all steps that are reached without reading; true if the end is."""
        waiting = [number]
        while waiting:
            number = waiting.pop()
            if number in reached:
                continue
            if number == 0:
                return True
            reached.add(number)
            step = self.steps[number]
            if step.test is None and (step.assertion is None or step.assertion(text, at)):
                waiting += step.forks
        return False


Part: TypeAlias = Callable[[Program, int], int]
"""Adds the steps for a part of an expression, given the step to go to after it; returns the one to begin with."""


def one(test: Test) -> Part:
    """A character."""
    return lambda program, then: program.add(Step(test=test, forks=(then,)))


def where(assertion: Assertion) -> Part:
    """A place."""
    return lambda program, then: program.add(Step(assertion=assertion, forks=(then,)))


def sequence(parts: list[Part]) -> Part:
    """One after the other."""

    def add(program: Program, then: int) -> int:
        for part in reversed(parts):
            then = part(program, then)
        return then

    return add


def either(parts: list[Part]) -> Part:
    """One of them."""
    if len(parts) == 1:
        return parts[0]
    return lambda program, then: program.add(Step(forks=tuple(part(program, then) for part in parts)))


def repeated(part: Part, least: int, most: int | None) -> Part:
    """So many times; None is without end."""

    def add(program: Program, then: int) -> int:
        if most is None:
            loop = program.add(Step())
            program.steps[loop] = Step(forks=(part(program, loop), then))
            then = loop
        else:
            for _ in range(most - least):
                then = program.add(Step(forks=(part(program, then), then)))
        for _ in range(least):
            then = part(program, then)
        return then

    return add
