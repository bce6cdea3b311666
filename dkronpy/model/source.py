"""What a server knows of the directory that it takes jobs from."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class SourceState(StrEnum):
    """What became of the directory's content when it was last looked at."""

    PENDING = "pending"
    """It was not read yet, or can't be written to the store now: it is tried again."""
    APPLIED = "applied"
    """The cluster's jobs are as it says, but for what `problems` name."""
    REFUSED = "refused"
    """It is broken, as `problems` say: the jobs from before stay."""
    OUTDATED = "outdated"
    """Another server has a newer content of the same directory, which holds; HUP lets this one hold."""


class SourceReport(msgspec.Struct, frozen=True):
    """`at` (ns) is when it was last looked at; `jobs` are those that it defines."""

    directory: str
    state: SourceState = SourceState.PENDING
    at: int = 0
    digest: str = ""
    files: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
