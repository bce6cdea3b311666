"""Finding the runner of a spool, or starting one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from dkronpy.runner.shell import inherited

HELD: Final = 3
"""The exit status of a new runner if another one has the spool."""

_WITHIN: Final = 30.0  # seconds
_AGAIN_AFTER: Final = 0.05  # seconds

_P = TypeVar("_P", bound=asyncio.Protocol)


class RunnerError(RuntimeError):
    """There is no runner to be had; says why."""


async def connect(spool: Path, protocol: Callable[[], _P]) -> _P:
    """Connect to the runner of this spool; start one in the background if none answers. Raises: RunnerError."""
    until = time.monotonic() + _WITHIN
    while True:
        try:
            return await _connect(spool, protocol)
        except OSError:  # which one does not matter: a runner that cannot help it says why
            status, problem = await asyncio.to_thread(_start, spool)
        if status not in {0, HELD}:  # held: it is about to listen, or about to end
            raise RunnerError(problem)
        if time.monotonic() > until:
            raise RunnerError(
                f"the runner of {spool} does not answer within {_WITHIN:.0f} s: see {spool / 'runner.log'}"
            )
        await asyncio.sleep(_AGAIN_AFTER if status else 0)


async def _connect(spool: Path, protocol: Callable[[], _P]) -> _P:
    directory = os.open(spool, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # The spool's own path may be too long for a socket's.
        path = f"/proc/self/fd/{directory}/runner.sock"
        _, connected = await asyncio.get_running_loop().create_unix_connection(protocol, path)
    finally:
        os.close(directory)
    return connected


def _start(spool: Path) -> tuple[int, str]:
    """Start a runner and wait until it serves. Returns its exit status and what it says."""
    package = Path(__file__).parents[2]  # so that a runner of this very release is found
    done = subprocess.run(
        [sys.executable, "-m", "dkronpy.runner", "--spool", str(spool.absolute())],
        cwd=package,
        env=inherited(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        check=False,
    )
    return done.returncode, done.stderr.decode(errors="replace").strip()
