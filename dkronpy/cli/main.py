"""Where the `dkron` command begins: reads the command line, runs the command, and turns failures into exit codes."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING

from dkronpy.cli import (
    agent,
    apply,
    backfills,
    backup,
    calendars,
    check,
    cluster,
    completion,
    config,
    executions,
    exporter,
    groups,
    imports,
    jobs,
    keyring,
    links,
    nodes,
    report,
    schedules,
    settings,
    shell,
    tools,
    triggers,
    watch,
)
from dkronpy.cli.context import Context
from dkronpy.cli.exits import CommandError, Exit
from dkronpy.cli.output import OutputError, plain
from dkronpy.cli.parser import EXITS, global_options, make_parser
from dkronpy.client import ClientError, NotFound, Refused, Unavailable

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
            try:
                code: int = arguments.run(context, arguments)
                context.output.flush()
            except (CommandError, ClientError) as error:
                context.output.flush()
                code = _explain(error)
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except OutputError as error:
        # What is still buffered goes nowhere, or the interpreter would fail on it once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.PIPE if isinstance(error.__cause__, BrokenPipeError) else _tell(str(error), (), Exit.FAILED)
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
    for module in (
        agent,
        apply,
        jobs,
        schedules,
        triggers,
        backfills,
        links,
        executions,
        groups,
        calendars,
        cluster,
        nodes,
        keyring,
        settings,
        imports,
        backup,
        config,
        check,
        report,
        watch,
        shell,
        completion,
        exporter,
        tools,
    ):
        module.add_commands(commands)
    return parser


def _explain(error: CommandError | ClientError) -> Exit:
    """Tell people what went wrong, field by field. Returns the exit code that it means."""
    match error:
        case CommandError():
            return _tell(str(error), error.notes, error.exit_code)
        case Refused():
            told = str(error)
            notes = [
                f"{found.field}: {found.message}" if found.field else found.message
                for found in error.errors
                if found.message not in told  # a single one mostly is the whole answer
            ]
            if error.status in (401, 403):
                notes.append("DKRON_API_TOKEN holds the token that is sent; a write needs one of scope write.")
            code = Exit.NOT_FOUND if isinstance(error, NotFound) else Exit.FAILED
            return _tell(str(error), notes, Exit.UNREACHABLE if isinstance(error, Unavailable) else code)
        case _:
            note = "Is the server running? --api or DKRON_API_URL says where it is."
            return _tell(str(error), [note], Exit.UNREACHABLE)


def _tell(message: str, notes: Sequence[str], code: Exit) -> Exit:
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"dkron: {plain(message)}\n" + "".join(f"  {plain(note)}\n" for note in notes))
        sys.stderr.flush()
    return code
