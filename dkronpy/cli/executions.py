"""`dkron execution …`: what ran, what it wrote, and how to end it."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Final

from dkronpy.cli import stats
from dkronpy.cli.exits import Exit
from dkronpy.cli.output import Column, Field, Listing, cell, pairs, state_style
from dkronpy.cli.parser import add_command, add_group, count, pair, when
from dkronpy.cli.tail import follow, follow_all, newest, note_gap
from dkronpy.cli.times import show_elapsed, show_time

if TYPE_CHECKING:
    from argparse import Namespace
    from datetime import datetime

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.client import Execution

FINAL: Final = ("success", "failed", "timed_out", "killed", "lost", "skipped", "missed")
"""States that an execution ends in."""
_FILTERS: Final = ("status", "node", "group", "since", "until", "exit_code", "trigger")
"""Options that are parameters of the route by the same name."""
STATES: Final = ("queued", "dispatched", "running", *FINAL)


def add_commands(commands: Subcommands) -> None:
    about = "look into what ran and what is running, and end it"
    group = add_group(commands, "execution", about, aliases=["run"])

    listing = add_command(
        group,
        "list",
        list_executions,
        "list executions, the newest first",
        examples=[
            "dkron execution list --job backup --status failed --since 7d",
            "dkron execution list --exit-code 1,2 --text 'disk full' --tag role=db:1",
            "dkron execution list --since 2026-11-20T00:00 --until 2026-11-21T00:00 --limit 0 --format json",
        ],
    )
    listing.add_argument("--job", metavar="JOB", default="", help="only of this job")
    listing.add_argument("--status", metavar="STATE,…", type=states, help=f"only in these states: {', '.join(STATES)}")
    listing.add_argument("--node", metavar="NODE", help="only on this node")
    listing.add_argument("--group", metavar="GROUP", type=count, help="only of this run")
    listing.add_argument(
        "--since",
        metavar="TIME",
        type=when,
        help="only due from then on: RFC 3339, local time, or 2h for two hours ago",
    )
    listing.add_argument("--until", metavar="TIME", type=when, help="only due up to then")
    listing.add_argument("--exit-code", metavar="CODE,…", help="only with these exit codes")
    listing.add_argument("--trigger", metavar="TYPE,…", help="only with these types of trigger: schedule, manual, …")
    listing.add_argument("--text", metavar="TEXT", help="only whose kept output contains this, as it is written")
    listing.add_argument(
        "--tag", metavar="KEY=VALUE", type=pair, action="append", default=[], help="only of jobs with this tag"
    )
    listing.add_argument("--limit", metavar="N", type=count, default=100, help="at most so many; 0: all (default: 100)")

    for name, run, about in (
        ("show", show_execution, "show an execution"),
        ("output", print_output, "print what an execution wrote, byte for byte"),
        ("kill", kill_execution, "end a running execution: TERM to all its processes, KILL after a grace"),
    ):
        example = f"dkron execution {name} backup 1795246200000000000-1-n1"
        command = add_command(group, name, run, about, examples=[example])
        command.add_argument("job", metavar="JOB")
        command.add_argument("id", metavar="ID", help="as dkron execution list shows it")
        if name == "output":
            command.add_argument(
                "--follow", "-f", action="store_true", help="and what it writes from now on, until it ends"
            )

    tail = add_command(
        group,
        "tail",
        tail_executions,
        "follow the output of a job's newest execution, or of all that run",
        more="With no job named, the lines of all running executions are shown as they come, those that start\n"
        "later too, each with its job's name, until Ctrl-C.",
        examples=["dkron execution tail backup", "dkron execution tail"],
    )
    tail.add_argument("job", metavar="JOB", nargs="?", default="")
    stats.add_command_to(group)


def states(text: str) -> str:
    """An argument's type: states with commas between."""
    for state in text.split(","):
        if state not in STATES:
            raise ArgumentTypeError(f"{state!r} is no state; there are {', '.join(STATES)}")
    return text


def _took(execution: Execution, now: datetime) -> str:
    return show_elapsed(execution["started_at"], execution["finished_at"], now)


def _cause(execution: Execution) -> str:
    """Why it did not run or did not succeed."""
    many = f" (×{execution['count']})" if execution["count"] > 1 else ""
    return (execution["reason"].replace("_", " ") or execution["error"]) + many


def _trigger(execution: Execution) -> str:
    """What started it, who asked for it and when."""
    by = f" by {execution['triggered_by']}" if execution["triggered_by"] else ""
    asked = f" at {show_time(execution['triggered_at'])}" if execution["triggered_at"] else ""
    return f"{execution['trigger']}{by}{asked}"


def _exit_code(execution: Execution) -> str:
    return "" if execution["exit_code"] is None else str(execution["exit_code"])


def execution_listing(now: datetime) -> Listing:
    """How executions are listed."""
    return Listing(
        (
            Column("JOB", lambda execution: execution["job_name"], rank=1, whole=True),
            Column("ID", lambda execution: execution["id"], whole=True),
            Column("STATE", lambda execution: execution["state"], style=state_style),
            Column("DUE", lambda execution: show_time(execution["fire_time"]), rank=2),
            Column("TOOK", lambda execution: _took(execution, now), rank=3, right=True),
            Column("EXIT", _exit_code, rank=4, right=True),
            Column("CHECK", lambda execution: execution.get("check", ""), rank=4, style=state_style),
            Column("CAUSE", _cause, rank=5),
            Column("NODE", lambda execution: execution["node_name"], rank=6),
            Column("TRIGGER", lambda execution: execution["trigger"], rank=7),
        ),
        (
            *("job_name", "id", "state", "fire_time", "started_at", "finished_at", "exit_code", "node_name"),
            *("attempt", "group", "trigger", "reason", "error", "count", "output_size", "check"),
        ),
    )


def list_executions(context: Context, arguments: Namespace) -> Exit:
    wanted = {
        **{
            name: getattr(arguments, name)
            for name in ("status", "node", "group", "since", "until", "exit_code", "trigger")
        },
        **{f"tags[{key}]": value for key, value in arguments.tag},
        "output": arguments.text,
    }
    query = {name: str(value) for name, value in wanted.items() if value is not None}
    if context.output.form.structured:
        found = context.client.executions(arguments.job, query, limit=arguments.limit)
    else:
        query["output_size_limit"] = "0"
        found = context.client.executions(arguments.job, query, limit=arguments.limit, page=1000)
    context.output.rows(found, execution_listing(context.now), "No execution matches.")
    return Exit.OK


def show_execution(context: Context, arguments: Namespace) -> Exit:
    execution = context.client.execution(arguments.job, arguments.id)
    context.output.fields(
        execution,
        [
            Field("Job", execution["job_name"]),
            Field("Id", execution["id"]),
            Field("State", execution["state"], state_style(execution["state"])),
            Field("Check", execution.get("check", ""), state_style(execution.get("check", ""))),
            Field("Cause", _cause(execution)),
            Field("Trigger", _trigger(execution)),
            Field("Type", execution["trigger_type"] if execution["trigger_type"] != execution["trigger"] else ""),
            Field("Description", execution["trigger_description"]),
            Field("Due", show_time(execution["fire_time"])),
            Field("Last due", show_time(execution["last_fire_time"]) if execution["count"] > 1 else ""),
            Field("Decided", show_time(execution["decided_at"])),
            Field("Started", show_time(execution["started_at"])),
            Field("Finished", show_time(execution["finished_at"])),
            Field("Took", _took(execution, context.now)),
            Field("Node", execution["node_name"]),
            Field("Attempt", str(execution["attempt"] or "")),
            Field("Exit code", _exit_code(execution)),
            Field("Environment", pairs(execution["env"])),
            Field("Returned", cell(execution.get("return_data"))),
            Field("Replaced", "\n".join(execution["replaced"])),
            Field(
                "Output",
                f"{execution['output_size']} bytes, SHA-256 {execution['output_sha256'] or 'when it has ended'}",
            ),
        ],
    )
    return Exit.OK


def print_output(context: Context, arguments: Namespace) -> Exit:
    if arguments.follow:
        follow(context, arguments.job, arguments.id)
        return Exit.OK
    end = 0
    for chunk in context.client.output(arguments.job, arguments.id):
        note_gap(context, end, chunk.offset)
        context.output.write_bytes(chunk.data)
        end = chunk.offset + len(chunk.data)
    return Exit.OK


def tail_executions(context: Context, arguments: Namespace) -> Exit:
    if not arguments.job:
        follow_all(context)
    execution = newest(context.client, arguments.job)
    context.note(f"dkron: {execution['job_name']} {execution['id']} on {execution['node_name']}")
    follow(context, arguments.job, execution["id"])
    return Exit.OK


def kill_execution(context: Context, arguments: Namespace) -> Exit:
    execution = context.client.kill(arguments.job, arguments.id)
    context.output.done(execution, f"{execution['id']} is to end.")
    return Exit.OK
