"""What a job runs after: other jobs' runs in place of a time, and which of them have met their condition so far."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from dkronpy.model.duration import SECOND


class Outcome(StrEnum):
    """How a parent's run has to end to count."""

    SUCCESS = "success"
    """Every node succeeded, on its last attempt."""
    FAILURE = "failure"
    """It ran, and did not succeed on every node."""
    COMPLETION = "completion"
    """It ran."""

    def met(self, *, success: bool) -> bool:
        """Whether a run that ended so counts."""
        return self is Outcome.COMPLETION or success is (self is Outcome.SUCCESS)


class Require(StrEnum):
    """How many of a job's parents start a run."""

    ALL = "all"
    """All of them, within the window, start one run together."""
    ANY = "any"
    """Each of them starts one."""


class Parent(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A job that is run after, and on which outcome."""

    job: str
    on: Outcome = Outcome.SUCCESS


class Dependency(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A job's parents, each of them once. `window` in ns: with `all`, how far apart the ends of the parents' runs may
    be that count together."""

    parents: tuple[Parent, ...]
    require: Require = Require.ALL
    window: int = 86_400 * SECOND

    @property
    def names(self) -> tuple[str, ...]:
        """The parents' names."""
        return tuple(parent.job for parent in self.parents)

    @property
    def alone(self) -> bool:
        """Whether each parent's run starts one by itself."""
        return self.require is Require.ANY or len(self.parents) == 1

    def condition(self, parent: str) -> Outcome | None:
        """On which outcome of this parent; None where it is none."""
        return next((found.on for found in self.parents if found.job == parent), None)


class ParentRun(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A group of a parent: one that started a run, or one that is met and waits for the other parents. `at` (ns) is
    when it ended."""

    job: str
    group: int
    at: int = 0
