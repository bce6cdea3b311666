"""`dkron job backfill`, `dkron backfill …`: let fires of the past be run, look how far that has come, and cancel it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.cli.exits import Exit
from dkronpy.cli.output import Column, Format, Listing, state_style
from dkronpy.cli.parser import add_command, add_group, count, when
from dkronpy.cli.times import show_relative, show_time

if TYPE_CHECKING:
    from argparse import Namespace
    from datetime import datetime

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.client import Backfill, BackfillAnswer

_SHOWN = 20
"""Fires that people are shown of a long list."""


def add_command_to(group: Subcommands) -> None:
    """`backfill`, beside the other commands of jobs."""
    command = add_command(
        group,
        "backfill",
        ask,
        "run fires of the past, by the job's schedule as it is now",
        more="missing are fires that did not run, failed takes in those whose run failed, all those that succeeded.",
        examples=[
            "dkron job backfill report --from 2026-11-01 --to 2026-11-20 --dry-run",
            "dkron job backfill report --from 7d --policy failed --parallel 4",
        ],
    )
    command.add_argument("name", metavar="JOB")
    command.add_argument(
        "--from", dest="start", type=when, required=True, metavar="TIME", help="RFC 3339, local time, or 7d: a week ago"
    )
    command.add_argument("--to", dest="end", type=when, metavar="TIME", help="this time included; default: now")
    command.add_argument("--policy", choices=["missing", "failed", "all"], default="missing")
    command.add_argument("--parallel", type=count, default=1, metavar="N", help="runs at once (default: 1)")
    command.add_argument("--dry-run", action="store_true", help="only tell which fires would run")


def add_commands(commands: Subcommands) -> None:
    group = add_group(commands, "backfill", "look into backfills, and cancel them")
    add_command(group, "list", list_backfills, "list the newest backfill of each job that has had one")
    cancel = add_command(group, "cancel", cancel_backfill, "start no more fires of a backfill; those that run go on")
    cancel.add_argument("name", metavar="JOB")


def ask(context: Context, arguments: Namespace) -> Exit:
    wanted = {
        "from": arguments.start,
        "policy": arguments.policy,
        "parallel": arguments.parallel,
        **({"to": arguments.end} if arguments.end else {}),
        **({"dry_run": True} if arguments.dry_run else {}),
    }
    found = context.client.ask_backfill(arguments.name, wanted)
    if context.output.form is Format.TABULAR:
        context.output.rows(({"fire": fire} for fire in found["fires"]), Listing((), ("fire",)), "")
    else:
        context.output.done(found, _said(arguments.name, found, dry=arguments.dry_run))
    return Exit.OK


def _said(name: str, found: BackfillAnswer, *, dry: bool) -> str:
    fires = found["fires"]
    left_out = [f"{number} left out: {reason.replace('_', ' ')}" for reason, number in found["left_out"].items()]
    if not fires:
        return "\n".join([f"No fire of {name} is to be run.", *left_out])
    head = f"{len(fires)} {'fire' if len(fires) == 1 else 'fires'} of {name} {'would' if dry else 'will'} run"
    if not dry:
        return "\n".join([f"{head}, from {show_time(fires[0])} to {show_time(fires[-1])}.", *left_out])
    more = [f"  and {len(fires) - _SHOWN} more, to {show_time(fires[-1])}"] if len(fires) > _SHOWN else []
    return "\n".join([f"{head}:", *(f"  {show_time(fire)}" for fire in fires[:_SHOWN]), *more, *left_out])


def backfill_listing(now: datetime) -> Listing:
    return Listing(
        (
            Column("JOB", lambda found: found["job_name"], whole=True),
            Column("STATE", lambda found: found["state"], style=state_style),
            Column("STARTED", lambda found: f"{found['started']} of {found['total']}"),
            Column("IN FLIGHT", lambda found: str(found["in_flight"] or ""), rank=1, right=True),
            Column("FROM", lambda found: show_time(found["from"]), rank=2),
            Column("TO", lambda found: show_time(found["to"]), rank=2),
            Column("POLICY", lambda found: found["policy"], rank=3),
            Column("ASKED", lambda found: show_relative(found["asked_at"], now), rank=4),
            Column("BY", lambda found: found["asked_by"], rank=5),
        ),
        (
            *("job_name", "state", "total", "started", "in_flight"),
            *("from", "to", "policy", "parallel", "asked_at", "asked_by"),
        ),
    )


def list_backfills(context: Context, _arguments: Namespace) -> Exit:
    context.output.rows(context.client.backfills(), backfill_listing(context.now), "No job has had a backfill.")
    return Exit.OK


def cancel_backfill(context: Context, arguments: Namespace) -> Exit:
    found: Backfill = context.client.cancel_backfill(arguments.name)
    left = found["total"] - found["started"]
    context.output.done(found, f"{left} fires of {arguments.name} will not run; {found['in_flight']} are in flight.")
    return Exit.OK
