"""Following output as it is written, over restarts of the server."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from dkronpy.cli.exits import CommandError, Exit
from dkronpy.client import Client, Execution, NotFound, Unavailable, Unreachable

if TYPE_CHECKING:
    from dkronpy.cli.context import Context

PATIENCE: Final = 60.0
"""Seconds for which a server that does not answer is asked again."""
_AGAIN: Final = 1.0
"""Seconds between two such questions."""
_LOOK: Final = 0.5
"""Seconds between two looks at everything that runs."""
_COLOURS: Final = ("cyan", "green", "yellow", "blue", "magenta", "bright_red", "bright_green", "bright_blue")


class Patience:
    """Lets a command go on asking while the server does not answer, for a while."""

    def __init__(self) -> None:
        self._heard = time.monotonic()

    def heard(self) -> None:
        """The server has answered."""
        self._heard = time.monotonic()

    def lost(self, error: Unreachable | Unavailable) -> None:
        """It has not: wait a moment, or raise the error when it has been silent for too long."""
        if time.monotonic() - self._heard > PATIENCE:
            raise error
        time.sleep(_AGAIN)


def follow(context: Context, job: str, execution: str) -> None:
    """Write an execution's output from its beginning to its end, as it appears."""
    patience, offset = Patience(), 0
    while True:
        try:
            for piece in context.client.follow(job, execution, offset):
                patience.heard()
                note_gap(context, offset, piece.offset)
                context.output.write(piece.data)
                context.output.flush()
                offset = piece.end
            return
        except (Unreachable, Unavailable) as error:
            patience.lost(error)


def note_gap(context: Context, asked: int, got: int) -> None:
    """Tell of output that is not kept any more."""
    if got > asked:
        context.note(f"dkron: bytes {asked} to {got} of the output are no longer kept")


def newest(client: Client, job: str) -> Execution:
    """The newest execution of a job that ran. Raises CommandError when there is none."""
    for execution in client.executions(job, limit=100):
        if execution["attempt"]:
            return execution
    raise CommandError(f"{job} has not run yet", Exit.NOT_FOUND)


@dataclass
class _Watched:
    """An execution whose lines are shown: how far, and the beginning of a line that has no end yet."""

    execution: Execution
    offset: int = 0
    rest: bytes = b""


def follow_all(context: Context) -> NoReturn:
    """Write the lines of all executions that run, each with its job and node, until interrupted."""
    patience, watched = Patience(), dict[tuple[str, str], _Watched]()
    while True:
        try:
            running = {(found["job_name"], found["id"]): found for found in context.client.busy()}
            for key, found in running.items():
                watched.setdefault(key, _Watched(found))
            for key, watch in list(watched.items()):
                _read(context, watch)
                if key not in running:
                    _write_lines(context, watch, watch.rest and b"\n")
                    del watched[key]
            patience.heard()
            context.output.flush()
            time.sleep(_LOOK)
        except (Unreachable, Unavailable) as error:
            patience.lost(error)


def _read(context: Context, watch: _Watched) -> None:
    """Show what has been written since the last look."""
    try:
        for chunk in context.client.output(watch.execution["job_name"], watch.execution["id"], watch.offset):
            note_gap(context, watch.offset, chunk.offset)
            watch.offset = chunk.offset + len(chunk.data)
            _write_lines(context, watch, chunk.data)
    except NotFound:
        context.note(f"dkron: {watch.execution['job_name']} {watch.execution['id']} was deleted")


def _write_lines(context: Context, watch: _Watched, data: bytes) -> None:
    *lines, watch.rest = (watch.rest + data).split(b"\n")
    job = watch.execution["job_name"]
    colour = _COLOURS[zlib.crc32(job.encode()) % len(_COLOURS)]
    for line in lines:
        prefix = context.output.styled(f"{job} {watch.execution['node_name']} | ", colour)
        context.output.line(prefix + line.decode(errors="replace"))
