"""`dkron node …`: take nodes out of service and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.cli.exits import Exit
from dkronpy.cli.output import Column, Listing, state_style
from dkronpy.cli.parser import add_command, add_group
from dkronpy.cli.times import show_time

if TYPE_CHECKING:
    from argparse import Namespace

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.client import Member


def add_commands(commands: Subcommands) -> None:
    group = add_group(commands, "node", "take nodes out of service and back")
    add_command(group, "list", list_nodes, "list the nodes, and which are drained")
    drain = add_command(
        group,
        "drain",
        drain_node,
        "let a node get no more runs",
        more="Runs in flight go on, as do their retries on that node. It lasts until undrain, over restarts too.",
        examples=["dkron node drain n2"],
    )
    undrain = add_command(group, "undrain", undrain_node, "let a node get runs again")
    for command in (drain, undrain):
        command.add_argument("node", metavar="NODE")


def list_nodes(context: Context, _arguments: Namespace) -> Exit:
    def drained(member: Member, key: str) -> str:
        return (member.get("drained") or {}).get(key, "")

    def since(member: Member) -> str:
        time = drained(member, "since")
        return show_time(time) if time else ""

    listing = Listing(
        (
            Column("NAME", lambda member: member["Name"], whole=True),
            Column("STATUS", lambda member: member["statusText"], style=state_style),
            Column("DRAINED SINCE", since),
            Column("BY", lambda member: drained(member, "by")),
        ),
        ("Name", "statusText", "drained"),
    )
    context.output.rows(context.client.members(), listing, "There are no nodes.")
    return Exit.OK


def drain_node(context: Context, arguments: Namespace) -> Exit:
    context.output.done(context.client.drain(arguments.node), f"{arguments.node} gets no more runs.")
    return Exit.OK


def undrain_node(context: Context, arguments: Namespace) -> Exit:
    context.output.done(context.client.undrain(arguments.node), f"{arguments.node} gets runs again.")
    return Exit.OK
