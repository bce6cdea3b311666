"""`python -m dkronpy.runner --spool DIR`: start a runner in the background.

Returns once it serves: 0; 3 if another runner has the spool; 1 if it cannot start, with the reason on standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Final

from dkronpy.runner.launch import HELD
from dkronpy.runner.server import Server
from dkronpy.runner.shell import inherited
from dkronpy.runner.spool import Spool, SpoolHeldError

log = logging.getLogger(__name__)

_LONGEST_LOG: Final = 1 << 20  # bytes; a longer one is begun anew


def main() -> int:
    """Fork; the child is the runner, the parent waits until it serves."""
    parser = argparse.ArgumentParser(prog="python -m dkronpy.runner", description="Run the jobs of a node.")
    parser.add_argument("--spool", type=Path, required=True, metavar="DIR", help="the spool directory")
    path: Path = parser.parse_args().spool.absolute()
    receiver, sender = os.pipe()
    child = os.fork()
    if not child:
        os.close(receiver)
        os.setsid()
        return _be_runner(path, sender)
    os.close(sender)
    with open(receiver, encoding="utf-8") as file:
        problem = file.read()
    if problem == "none":
        return 0
    _, status = os.waitpid(child, 0)
    sys.stderr.write(problem or "the runner died as it started\n")
    return os.waitstatus_to_exitcode(status) or 1


def _be_runner(path: Path, sender: int) -> int:
    """Serve the spool, after telling over `sender` that it is served or why not. Returns the exit status."""
    problem, status = "none", 0
    try:
        os.chdir("/")
        asyncio.run(_serve(path, sender))
    except SpoolHeldError as error:
        problem, status = f"{error}\n", HELD
    except (OSError, ValueError) as error:
        log.critical("the runner ends", exc_info=error)
        problem, status = f"the runner cannot serve {path}: {error}\n", 1
    if status:
        os.write(sender, problem.encode())
    return status


async def _serve(path: Path, sender: int) -> None:
    spool = Spool(path)
    _write_log_to(path / "runner.log")
    server = Server(spool, inherited(os.environ))
    await server.listen()
    os.write(sender, b"none")
    os.close(sender)
    await server.serve()


def _write_log_to(path: Path) -> None:
    """Let standard output, standard error and the log go to this file, and nothing come from standard input."""
    log_file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    if os.fstat(log_file).st_size > _LONGEST_LOG:
        os.ftruncate(log_file, 0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log_file, 1), (log_file, 2)):
        os.dup2(source, target, inheritable=False)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")


if __name__ == "__main__":
    sys.exit(main())
