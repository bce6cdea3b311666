"""How a command ends: its exit code, and the error that sets it."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes; scripts may rely on them."""

    OK = 0
    FAILED = 1
    """The server refused or could not do it, or a part of it (some of several jobs)."""
    USAGE = 2
    """The command line or a file given to it is wrong; nothing was done."""
    NOT_FOUND = 3
    """There is no such job, execution or member."""
    UNREACHABLE = 4
    """No server answers, or the cluster has no leader or no store; trying again later may help."""
    RUN_FAILED = 5
    """`job run --wait`: the run ended without success."""
    INTERRUPTED = 130
    """Ctrl-C."""
    PIPE = 141
    """Who read the output closed it, as a pipe to `head` does."""


class CommandError(Exception):
    """Ends a command with a message for people; `notes` are lines below it."""

    def __init__(self, message: str, exit_code: Exit = Exit.FAILED, notes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.notes = notes
