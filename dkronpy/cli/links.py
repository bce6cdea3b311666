"""`dkron link …`: signed links, each of which runs one job without a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.cli.exits import Exit
from dkronpy.cli.output import Column, Listing
from dkronpy.cli.parser import add_command, add_group, pair
from dkronpy.cli.times import show_relative, show_time

if TYPE_CHECKING:
    from argparse import Namespace
    from datetime import datetime

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands


def add_commands(commands: Subcommands) -> None:
    group = add_group(commands, "link", "make and revoke links that run a job without a token")
    create = add_command(
        group,
        "create",
        create_link,
        "make a link that runs a job",
        more="Whoever has the link can run this one job, with what is given here, until it expires or is revoked.\n"
        "It is shown once. A POST to it runs the job; a browser that opens it shows a button that does.",
        examples=["dkron link create deploy --valid-for 24h --once --param VERSION=1.2"],
    )
    create.add_argument("job", metavar="JOB")
    create.add_argument("--valid-for", metavar="DURATION", help="default: 7d")
    create.add_argument("--once", action="store_true", help="for one use")
    create.add_argument("--param", metavar="NAME=VALUE", type=pair, action="append", default=[], help="a parameter")
    create.add_argument("--env", metavar="KEY=VALUE", type=pair, action="append", default=[], help="a variable")
    create.add_argument("--type", metavar="TEXT", help="what its runs are, in a word of your own")
    create.add_argument("--description", metavar="TEXT", help="what its runs are for")
    listing = add_command(group, "list", list_links, "list links, without what makes them secret")
    listing.add_argument("--job", metavar="JOB", default="", help="only of this job")
    revoke = add_command(group, "revoke", revoke_link, "revoke a link")
    revoke.add_argument("job", metavar="JOB")
    revoke.add_argument("link", metavar="ID", help="as dkron link list shows it")


def _listing(now: datetime) -> Listing:
    return Listing(
        (
            Column("JOB", lambda link: link["job_name"], whole=True),
            Column("ID", lambda link: link["id"], whole=True),
            Column("EXPIRES", lambda link: show_relative(link["expires_at"], now)),
            Column("ONCE", lambda link: "yes" if link["once"] else "no", rank=3),
            Column("USES", lambda link: str(link["uses"]), rank=2, right=True),
            Column("BY", lambda link: link["created_by"], rank=4),
            Column("FAULT", lambda link: link["fault"] or "", rank=1),
            Column("DESCRIPTION", lambda link: link["description"], rank=5),
        ),
        ("job_name", "id", "expires_at", "once", "uses", "used_at", "created_at", "created_by", "fault", "description"),
    )


def create_link(context: Context, arguments: Namespace) -> Exit:
    given = {
        "valid_for": arguments.valid_for,
        "once": arguments.once,
        "parameters": dict(arguments.param),
        "env": dict(arguments.env),
        "type": arguments.type,
        "description": arguments.description,
    }
    made = context.client.create_link(arguments.job, {name: value for name, value in given.items() if value})
    url = context.client.url + made.get("path", "")
    context.note(f"dkron: {made['id']} holds until {show_time(made['expires_at'])} and is not shown again")
    context.output.done({**made, "url": url}, url)
    return Exit.OK


def list_links(context: Context, arguments: Namespace) -> Exit:
    context.output.rows(context.client.links(arguments.job), _listing(context.now), "There are no links.")
    return Exit.OK


def revoke_link(context: Context, arguments: Namespace) -> Exit:
    revoked = context.client.revoke_link(arguments.job, arguments.link)
    context.output.done(revoked, f"{arguments.link} runs {arguments.job} no more.")
    return Exit.OK
