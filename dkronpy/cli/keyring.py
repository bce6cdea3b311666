"""`dkron keyring …`: change the cluster's key while it runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from dkronpy.cli.exits import CommandError, Exit
from dkronpy.cli.output import Column, Listing
from dkronpy.cli.parser import add_command, add_group

if TYPE_CHECKING:
    from argparse import Namespace

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.client import KeyReport

_DONE: Final = {"install": "is installed on", "use": "is used by", "remove": "is removed from"}


def add_commands(commands: Subcommands) -> None:
    group = add_group(commands, "keyring", "change the cluster's key while it runs")
    add_command(group, "list", list_keys, "list the keys that nodes have, and how many have each")
    for operation, about, more in (
        ("install", "let all nodes understand a key", "They go on encrypting with the one in use."),
        ("use", "let all nodes encrypt with a key", "It must be installed on all of them."),
        ("remove", "let all nodes forget a key", "It must not be in use."),
    ):
        command = add_command(
            group,
            operation,
            change_keys,
            about,
            more=f"{more} Exit code 1 if any node did not do it: asking again is safe.",
            examples=[f"dkron keyring {operation} - < new.key"],
        )
        command.set_defaults(operation=operation)
        command.add_argument("key", metavar="KEY", help="the key in base64; - reads it from standard input")


def list_keys(context: Context, _arguments: Namespace) -> Exit:
    report = context.client.keys()
    keys = [
        {"key": key, "nodes": count, "primary": report["primary"].get(key, 0), "members": report["members"]}
        for key, count in report["keys"].items()
    ]
    listing = Listing(
        (
            Column("KEY", lambda held: held["key"], whole=True),
            Column("NODES", lambda held: f"{held['nodes']}/{held['members']}"),
            Column("PRIMARY", lambda held: f"{held['primary']}/{held['members']}"),
        ),
        ("key", "nodes", "primary", "members"),
    )
    context.output.rows(keys, listing, "No node has a key.")
    if not report["complete"]:
        raise CommandError("not every node told its keys", notes=_notes(report))
    return Exit.OK


def change_keys(context: Context, arguments: Namespace) -> Exit:
    operation = arguments.operation
    key = sys.stdin.readline().strip() if arguments.key == "-" else arguments.key
    report = context.client.change_keys(operation, key)
    if not report["complete"]:
        raise CommandError(f"the key {_DONE[operation]} only a part of the nodes; ask again", notes=_notes(report))
    context.output.done(report, f"The key {_DONE[operation]} {report['members']} nodes.")
    return Exit.OK


def _notes(report: KeyReport) -> tuple[str, ...]:
    told = (f"{node}: {message}" for node, message in report["errors"].items())
    return (f"{report['answered']} of {report['members']} nodes answered", *told)
