"""`dkron job run`, `dkron job trigger` and `dkron trigger …`: ask for runs, and look into and cancel what waits."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dkronpy.cli.executions import FINAL, execution_listing
from dkronpy.cli.exits import Exit
from dkronpy.cli.output import Column, Listing, pairs
from dkronpy.cli.parser import add_command, add_group, count, pair, when
from dkronpy.cli.tail import Patience
from dkronpy.cli.times import show_relative, show_time
from dkronpy.client import Unavailable, Unreachable

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.client import Execution

_POLL = (0.1, 2.0)
"""Seconds between two looks at a run: at first, and at most."""


def add_commands_to(group: Subcommands) -> None:
    """`run` and `trigger`, beside the other commands of jobs."""
    run = add_command(
        group,
        "run",
        run_job,
        "run a job now",
        more="The request is kept by the server, so that it is not lost when the leader changes.",
        examples=["dkron job run backup --wait", "dkron job run report --env DAY=2026-11-20 --env DRY=1"],
    )
    _add_run_arguments(run)
    trigger = add_command(
        group,
        "trigger",
        run_job,
        "run a job now or at a later time, and say what for",
        more="At a later time what holds for the job's fires holds for it: a pause, calendars, whether the job is\n"
        "enabled, and how late it may be. A run that is asked for now runs whatever holds.",
        examples=[
            "dkron job trigger deploy --at 2026-11-27T03:00 --type deploy --param VERSION=1.2",
            "dkron job trigger backup --at +2h",
        ],
    )
    _add_run_arguments(trigger)
    trigger.add_argument(
        "--at", type=when, metavar="TIME", help="RFC 3339, local time, or +2h for in two hours; default: now"
    )
    trigger.add_argument("--type", metavar="TEXT", help="what it is, in a word of your own; the run finds it, too")
    trigger.add_argument("--description", metavar="TEXT", help="what it is for")


def _add_run_arguments(command: ArgumentParser) -> None:
    command.add_argument("name", metavar="JOB")
    command.add_argument(
        "--env",
        metavar="KEY=VALUE",
        type=pair,
        action="append",
        default=[],
        help="a variable for this run; may be repeated",
    )
    command.add_argument(
        "--param",
        metavar="NAME=VALUE",
        type=pair,
        action="append",
        default=[],
        help="a parameter of the job; may be repeated",
    )
    command.add_argument(
        "--wait", action="store_true", help="until it has ended, retries included; exit code 5 without success"
    )


def add_commands(commands: Subcommands) -> None:
    group = add_group(commands, "trigger", "look into runs that were asked for and have not begun, and cancel them")
    listing = add_command(
        group,
        "list",
        list_triggers,
        "list the runs that were asked for and have not begun",
        examples=["dkron trigger list", "dkron trigger list --job deploy --format json"],
    )
    listing.add_argument("--job", metavar="JOB", default="", help="only of this job")
    cancel = add_command(
        group,
        "cancel",
        cancel_trigger,
        "cancel a run that was asked for and has not begun",
        examples=["dkron trigger cancel deploy 1795770000000612345"],
    )
    cancel.add_argument("job", metavar="JOB")
    cancel.add_argument("group", metavar="GROUP", type=count, help="as dkron trigger list shows it")


def run_job(context: Context, arguments: Namespace) -> Exit:
    more = {name: getattr(arguments, name, None) for name in ("at", "type", "description")}
    group = context.client.run_job(arguments.name, dict(arguments.env), parameters=dict(arguments.param), **more)
    if not arguments.wait:
        then = f" at {show_time(more['at'])}" if more["at"] else ""
        context.output.done(
            {"job_name": arguments.name, "group": group}, f"{arguments.name} is to run{then} as group {group}."
        )
        return Exit.OK
    ended = _wait(context, arguments.name, group)
    context.output.rows(ended, execution_listing(datetime.now(UTC)), "")
    return Exit.OK if succeeded(ended) else Exit.RUN_FAILED


def _wait(context: Context, name: str, group: int) -> list[Execution]:
    """The group's executions, once all have ended. A server that is restarted meanwhile is waited for."""
    pause, longest = _POLL
    patience = Patience()
    while True:
        try:
            found = list(context.client.executions(name, {"group": str(group)}))
            patience.heard()
            if found and all(execution["state"] in FINAL for execution in found):
                return found
            time.sleep(pause)
            pause = min(pause * 1.5, longest)
        except (Unreachable, Unavailable) as error:
            patience.lost(error)


def succeeded(group: Sequence[Execution]) -> bool:
    """Whether a group that has ended did: each of its first attempts led to one success, its own or a retry's, for a
    success is never retried."""
    first = sum(execution["attempt"] == 1 for execution in group)
    return 0 < first <= sum(execution["success"] for execution in group)


def trigger_listing(now: datetime) -> Listing:
    return Listing(
        (
            Column("JOB", lambda trigger: trigger["job_name"], whole=True),
            Column("GROUP", lambda trigger: str(trigger["group"]), whole=True),
            Column("AT", lambda trigger: show_time(trigger["at"])),
            Column("", lambda trigger: show_relative(trigger["at"], now), rank=3),
            Column("TYPE", lambda trigger: trigger["trigger_type"], rank=1),
            Column("BY", lambda trigger: trigger["triggered_by"], rank=2),
            Column("DESCRIPTION", lambda trigger: trigger["trigger_description"], rank=4),
            Column("ENVIRONMENT", lambda trigger: pairs(trigger["env"]), rank=5),
        ),
        (
            *("job_name", "group", "at", "trigger", "trigger_type", "triggered_by", "triggered_at"),
            *("trigger_description", "env"),
        ),
    )


def list_triggers(context: Context, arguments: Namespace) -> Exit:
    found = context.client.triggers(arguments.job)
    context.output.rows(found, trigger_listing(context.now), "No run waits for its time.")
    return Exit.OK


def cancel_trigger(context: Context, arguments: Namespace) -> Exit:
    cancelled = context.client.cancel_trigger(arguments.job, arguments.group)
    context.output.done(cancelled, f"{arguments.job} is not to run as group {arguments.group} any more.")
    return Exit.OK
