"""`dkron group …`: concurrency groups, which limit how many runs of several jobs are in flight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.cli.exits import Exit
from dkronpy.cli.output import Column, Listing
from dkronpy.cli.parser import add_command, add_group

if TYPE_CHECKING:
    from argparse import Namespace

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.client import GroupUse


def add_commands(commands: Subcommands) -> None:
    group = add_group(commands, "group", "limit how many runs of several jobs are in flight")
    add_command(group, "list", list_groups, "list the concurrency groups, who holds their places and who waits")
    show = add_command(group, "show", show_group, "show one concurrency group")
    define = add_command(
        group,
        "set",
        define_group,
        "define a concurrency group, or change it",
        more="A job joins a group by naming it in its concurrency_groups. One that nobody defines has one place.",
        examples=["dkron group set database --max 3"],
    )
    define.add_argument("--max", type=int, required=True, metavar="NUMBER", help="how many runs may be in flight")
    define.add_argument("--description", default="", metavar="TEXT")
    delete = add_command(group, "delete", undefine_group, "undefine a concurrency group: it has one place again")
    for command in (define, delete):
        command.add_argument("--take", action="store_true", help="take it over from the directory on the servers")
    for command in (show, define, delete):
        command.add_argument("group", metavar="GROUP")


_LISTING = Listing(
    (
        Column("NAME", lambda group: group["name"], whole=True),
        Column("MAX", lambda group: str(group["max"])),
        Column("RUNNING", lambda group: _users(group["running"])),
        Column("WAITING", lambda group: _users(group["waiting"])),
        Column("DESCRIPTION", lambda group: group["description"] if group["defined"] else "(not defined)"),
    ),
    ("name", "max", "defined", "running", "waiting", "description"),
)


def list_groups(context: Context, _arguments: Namespace) -> Exit:
    context.output.rows(context.client.groups(), _LISTING, "There are no concurrency groups.")
    return Exit.OK


def show_group(context: Context, arguments: Namespace) -> Exit:
    context.output.rows([context.client.group(arguments.group)], _LISTING, "")
    return Exit.OK


def define_group(context: Context, arguments: Namespace) -> Exit:
    found = context.client.define_group(arguments.group, arguments.max, arguments.description, take=arguments.take)
    context.output.done(found, f"{arguments.group} has {arguments.max} places.")
    return Exit.OK


def undefine_group(context: Context, arguments: Namespace) -> Exit:
    found = context.client.undefine_group(arguments.group, take=arguments.take)
    context.output.done(found, f"{arguments.group} is not defined any more.")
    return Exit.OK


def _users(found: list[GroupUse]) -> str:
    """The jobs that hold places, or wait."""
    names = [use["job"] for use in found]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
