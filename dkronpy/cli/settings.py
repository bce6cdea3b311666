"""`dkron settings …`: what holds in the whole cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.cli.exits import Exit
from dkronpy.cli.output import Column, Listing
from dkronpy.cli.parser import add_command, add_group, pair

if TYPE_CHECKING:
    from argparse import Namespace

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.client import ClusterSettings


def add_commands(commands: Subcommands) -> None:
    group = add_group(commands, "settings", "show or change what holds in the whole cluster")
    add_command(group, "show", show_settings, "show the environment that every run of the cluster has")
    change = add_command(
        group,
        "set",
        set_settings,
        "change the environment that every run of the cluster has",
        more="What a job or a trigger gives to its run goes before it. Variables that are not named stay.",
        examples=["dkron settings set --env HTTPS_PROXY=http://proxy:3128 --unset OLD_PROXY"],
    )
    change.add_argument("--env", type=pair, action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    change.add_argument("--unset", action="append", default=[], metavar="NAME", help="may be repeated")


_LISTING = Listing(
    (
        Column("NAME", lambda variable: variable["name"], whole=True),
        Column("VALUE", lambda variable: variable["value"]),
    ),
    ("name", "value"),
)


def show_settings(context: Context, _arguments: Namespace) -> Exit:
    _print(context, context.client.settings())
    return Exit.OK


def set_settings(context: Context, arguments: Namespace) -> Exit:
    old = context.client.settings()["env"]
    env = {name: value for name, value in old.items() if name not in arguments.unset} | dict(arguments.env)
    _print(context, context.client.put_settings(env))
    return Exit.OK


def _print(context: Context, settings: ClusterSettings) -> None:
    if context.output.form.structured:
        context.output.data(settings)
        return
    variables = [{"name": name, "value": value} for name, value in sorted(settings["env"].items())]
    context.output.rows(variables, _LISTING, "Runs have no environment of the cluster's.")
