"""Where the `dkron` command begins: reads the command line, runs the command, and turns failures into exit codes."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING

from dkronpy.cli import agent, cluster, executions, jobs, tools
from dkronpy.cli.context import Context
from dkronpy.cli.exits import CommandError, Exit
from dkronpy.cli.output import plain
from dkronpy.cli.parser import EXITS, global_options, make_parser
from dkronpy.client import ClientError, NotFound, Refused, Unavailable, Unreachable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code, see `Exit`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        arguments = build_parser().parse_args(argv)
        with Context.of(arguments) as context:
            code: int = arguments.run(context, arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return Exit.PIPE
    except CommandError as error:
        return _fail(str(error), error.exit_code, error.notes)
    except ClientError as error:
        return explain_failure(error)
    except OSError as error:
        _drop_output()
        return _fail(f"cannot write the output: {error.strerror}", Exit.FAILED)
    return code


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar. What is heavy (the agent, tables, YAML) is imported only by the commands that need it."""
    parser = make_parser(
        "dkron",
        "A cluster-wide cron that never loses a run.",
        "DKRON_API_TOKEN holds the token where the server wants one.\n\n" + EXITS,
        global_options(),
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (agent, jobs, executions, cluster, tools):
        module.add_commands(commands)
    return parser


def explain_failure(error: ClientError) -> Exit:
    """Tell people what the server said, field by field. Returns the exit code that it means."""
    notes = [
        f"{field.field}: {field.message}" if field.field else field.message for field in getattr(error, "errors", ())
    ]
    match error:
        case Unreachable():
            notes.append("Is the server running? --api or DKRON_API_URL says where it is.")
            code = Exit.UNREACHABLE
        case Unavailable():
            code = Exit.UNREACHABLE
        case NotFound():
            code = Exit.NOT_FOUND
        case Refused(status=401 | 403):
            notes.append("DKRON_API_TOKEN holds the token that is sent; a write needs one of scope write.")
            code = Exit.FAILED
        case _:
            code = Exit.FAILED
    return _fail(str(error), code, tuple(notes))


def _fail(message: str, code: Exit, notes: Sequence[str] = ()) -> Exit:
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"dkron: {plain(message)}\n" + "".join(f"  {plain(note)}\n" for note in notes))
        sys.stderr.flush()
    return code


def _drop_output() -> None:
    """Let what is still buffered go nowhere, or the interpreter would fail on it once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
