"""`dkron schedule preview`: when a job would fire that need not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.cli.exits import Exit
from dkronpy.cli.fires import fire_listing
from dkronpy.cli.parser import add_command, add_group, count

if TYPE_CHECKING:
    from argparse import Namespace

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands


def add_commands(commands: Subcommands) -> None:
    group = add_group(commands, "schedule", "try out schedules")
    preview = add_command(
        group,
        "preview",
        preview_schedule,
        "show when schedules would fire",
        more="Several schedules fire whenever one of them does.",
        examples=[
            "dkron schedule preview '30 2 * * MON-FRI' --timezone Europe/Berlin",
            "dkron schedule preview 'H H * * *' --name backup --spread 10m",
            "dkron schedule preview 'RRULE:FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18'",
        ],
    )
    preview.add_argument("schedules", metavar="SCHEDULE", nargs="+")
    preview.add_argument("--timezone", metavar="ZONE", default="", help="an IANA name (default: the server's)")
    preview.add_argument("--name", metavar="JOB", default="", help="what H, R and ~ are drawn from")
    preview.add_argument("--hash", choices=["independent", "dsari"], default="independent", help="how they are drawn")
    preview.add_argument(
        "--spread", metavar="DURATION", default="0s", help="later by a part of it, drawn from the name"
    )
    preview.add_argument("--count", type=count, default=5, metavar="N", help="how many (default: 5)")


def preview_schedule(context: Context, arguments: Namespace) -> Exit:
    definition = {
        "schedules": [{"schedule": text} for text in arguments.schedules],
        **{field: getattr(arguments, field) for field in ("timezone", "name", "hash", "spread")},
    }
    fires = context.client.preview(definition, count=arguments.count)
    context.output.rows(fires, fire_listing(context.now), "It never fires.")
    return Exit.OK
