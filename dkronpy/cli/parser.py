"""The command line's grammar: the options that every command takes, and how commands describe themselves."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from dkronpy.cli.output import Format
from dkronpy.cli.times import parse_when

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dkronpy.cli.context import Context

    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]  # pyright: ignore[reportPrivateUsage]
    Run = Callable[[Context, argparse.Namespace], int]

EXITS: Final = """exit codes:
  0  done
  1  the server refused or could not do it
  2  the command line or a file given to it is wrong
  3  there is no such job, execution or member
  4  no server answers, or the cluster has no leader or no store
  5  job run --wait, job trigger --wait: the run did not succeed"""


def make_parser(prog: str, description: str, epilog: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """A parser that keeps the line breaks of its texts and guesses no abbreviations."""
    return argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        parents=parents,
    )


def global_options() -> argparse.ArgumentParser:
    """The options that may stand before or after the command; absent from the namespace unless given, so that the one
    place does not undo the other."""
    options = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS, allow_abbrev=False)
    group = options.add_argument_group("options of all commands")
    group.add_argument(
        "--api", metavar="URL", help="the server's address (default: $DKRON_API_URL, or http://127.0.0.1:8080)"
    )
    group.add_argument(
        "--format", choices=[form.value for form in Format], help="default: pretty on a terminal, tabular elsewhere"
    )
    return options


def add_group(commands: Subcommands, name: str, about: str, *, aliases: Sequence[str] = ()) -> Subcommands:
    """A command that only holds others: `dkron job …`; `aliases` are other names that it has."""
    group = commands.add_parser(
        name,
        aliases=aliases,
        help=about,
        description=about[:1].upper() + about[1:] + ".",
        parents=[global_options()],
        allow_abbrev=False,
    )
    return group.add_subparsers(title="commands", metavar="COMMAND", required=True)


def add_command(
    commands: Subcommands, name: str, run: Run, about: str, *, more: str = "", examples: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """A command that does something. `about` is its line in the list; `more` goes on from there in its own help."""
    sentence = about[:1].upper() + about[1:] + "."
    lines = "\n".join(f"  {example}" for example in examples)
    command = commands.add_parser(
        name,
        help=about,
        description=f"{sentence}\n\n{more}" if more else sentence,
        epilog=f"examples:\n{lines}" if lines else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[global_options()],
        allow_abbrev=False,
    )
    command.set_defaults(run=run)
    return command


def when(text: str) -> str:
    """An argument's type: a time."""
    try:
        return parse_when(text, datetime.now(UTC))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def pair(text: str) -> tuple[str, str]:
    """An argument's type: KEY=VALUE."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def count(text: str) -> int:
    """An argument's type: a whole number from 0, of at most 63 bits."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)
