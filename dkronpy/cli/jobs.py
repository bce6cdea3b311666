"""`dkron job …`: list, show, delete, run, toggle, next fires, and why a fire did or did not run."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from dkronpy.cli import apply, backfills, graph, triggers
from dkronpy.cli.exits import Exit
from dkronpy.cli.fires import fire_listing
from dkronpy.cli.output import Column, Field, Listing, pairs, state_style
from dkronpy.cli.parser import add_command, add_group, count, pair, when
from dkronpy.cli.times import show_relative, show_time
from dkronpy.client import Job

if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands

_VERDICTS = {
    **dict.fromkeys(("ran", "will_run"), "green"),
    **dict.fromkeys(("skipped", "will_not_run", "undecided"), "yellow"),
    **dict.fromkeys(("missed", "no_job"), "red"),
    "in_flight": "cyan",
}


def add_commands(commands: Subcommands) -> None:
    group = add_group(commands, "job", "define, run and look into jobs")

    listing = add_command(
        group,
        "list",
        list_jobs,
        "list jobs",
        examples=[
            "dkron job list --status failed",
            "dkron job list -q backup --format json",
            "dkron job list --tag role=web:1",
        ],
    )
    listing.add_argument("-q", "--search", metavar="TEXT", help="only jobs whose name or display name contains this")
    listing.add_argument(
        "--status", choices=["success", "failed", "partially_failed", "untriggered"], help="how the newest run ended"
    )
    listing.add_argument("--disabled", choices=["true", "false"], help="only the disabled, or only the enabled")
    listing.add_argument("--tag", metavar="KEY=VALUE", type=pair, action="append", default=[], help="may be repeated")
    listing.add_argument(
        "--metadata", metavar="KEY=VALUE", type=pair, action="append", default=[], help="may be repeated"
    )
    listing.add_argument("--sort", metavar="FIELD", help="such as name, next, last_error, error_count")
    listing.add_argument("--reverse", action="store_true", help="the last first")

    show = add_command(
        group,
        "show",
        show_job,
        "show a job and how it fares",
        examples=["dkron job show backup --format yaml > backup.yml"],
    )
    show.add_argument("name", metavar="JOB")

    apply.add_command_to(group)
    graph.add_command_to(group)
    backfills.add_command_to(group)

    delete = add_command(
        group, "delete", delete_jobs, "delete jobs and their history", examples=["dkron job delete old-report"]
    )
    delete.add_argument("names", metavar="JOB", nargs="+")

    triggers.add_commands_to(group)

    take = add_command(
        group,
        "take",
        take_job,
        "take a job over from the directory on the servers that it comes from",
        more="It can then be changed and deleted like any. As long as the directory defines it, its server says so.",
    )
    take.add_argument("name", metavar="JOB")

    toggle = add_command(group, "toggle", toggle_job, "disable an enabled job, or enable a disabled one")
    toggle.add_argument("name", metavar="JOB")

    upcoming = add_command(
        group,
        "next",
        next_fires,
        "show when a job runs next, in its time zone",
        examples=["dkron job next backup --count 20"],
    )
    upcoming.add_argument("name", metavar="JOB")
    upcoming.add_argument("--count", type=count, default=5, metavar="N", help="how many (default: 5)")

    explain = add_command(
        group,
        "explain",
        explain_job,
        "tell why a job did, did not or will run at a time",
        examples=[
            "dkron job explain backup --at 2026-11-20T02:30",
            "dkron job explain backup --at 2h",
            "dkron job explain backup --at +1d",
        ],
    )
    explain.add_argument("name", metavar="JOB")
    explain.add_argument(
        "--at",
        type=when,
        metavar="TIME",
        help="RFC 3339, local time, a duration back (2h) or ahead (+2h); default: its next fire",
    )


def job_state(job: Job) -> str:
    """A job's state in a word: what it does, or how its newest run ended."""
    if job["running"]:
        return f"running ({job['running']})" if job["running"] > 1 else "running"
    return "disabled" if job["disabled"] else job["status"] or "never ran"


def _last(job: Job) -> str | None:
    return max(filter(None, (job["last_success"], job["last_error"])), key=datetime.fromisoformat, default=None)


def job_listing(now: datetime) -> Listing:
    return Listing(
        (
            Column("NAME", lambda job: job["name"], whole=True),
            Column("STATE", job_state, style=state_style),
            Column("SCHEDULE", lambda job: _schedules(job) or _parents(job), rank=1),
            Column("NEXT", lambda job: show_relative(None if job["disabled"] else job["next"], now), rank=2),
            Column("LAST", lambda job: show_relative(_last(job), now), rank=3),
            Column("CHECK", lambda job: job.get("check", ""), rank=4, style=state_style),
            Column("OK", lambda job: str(job["success_count"]), rank=4, right=True),
            Column(
                "FAILED",
                lambda job: str(job["error_count"]),
                rank=4,
                right=True,
                style=lambda text: "red" if text != "0" else "",
            ),
            Column("ZONE", lambda job: job["timezone"], rank=5),
            Column("TAGS", lambda job: pairs(job["tags"]), rank=6),
            Column("EXECUTOR", lambda job: job["executor"], rank=7),
            Column("OWNER", lambda job: job["owner"], rank=8),
        ),
        (
            *("name", "status", "disabled", "running", "schedule", "timezone", "next"),
            *("last_success", "last_error", "success_count", "error_count", "executor", "check"),
        ),
    )


def _schedules(job: Job) -> str:
    """The job's schedules in short."""
    more = [entry["schedule"] for entry in job.get("schedules", ())]
    return ", ".join(filter(None, (job["schedule"], *more)))


def _parents(job: Job) -> str:
    """What the job runs after, in short."""
    depends_on = job.get("depends_on")
    if not depends_on:
        return f"after {job['parent_job']}" if job["parent_job"] else ""
    parts = [
        parent["job"] + ("" if parent["on"] == "success" else f" ({parent['on']})") for parent in depends_on["parents"]
    ]
    return f"after {(' and ' if depends_on['require'] == 'all' else ' or ').join(parts)}"


def list_jobs(context: Context, arguments: Namespace) -> Exit:
    query = {
        **({"q": arguments.search} if arguments.search else {}),
        **({"status": arguments.status} if arguments.status else {}),
        **({"disabled": arguments.disabled} if arguments.disabled else {}),
        **{f"tags[{key}]": value for key, value in arguments.tag},
        **{f"metadata[{key}]": value for key, value in arguments.metadata},
        **({"_sort": arguments.sort} if arguments.sort else {}),
        **({"_order": "DESC"} if arguments.reverse else {}),
    }
    empty = "No job matches." if query else "There are no jobs yet; dkron job apply creates some."
    context.output.rows(context.client.jobs(query), job_listing(context.now), empty)
    return Exit.OK


def show_job(context: Context, arguments: Namespace) -> Exit:
    job = context.client.job(arguments.name)
    context.output.fields(job, _fields(job, context.now))
    return Exit.OK


def _fields(job: Job, now: datetime) -> list[Field]:
    retry, catchup = job["retry"], job["catchup"]
    state = job_state(job)
    wait = f"after {retry['initial']} × {retry['factor']:g} up to {retry['maximum']}"

    def both(text: str | None) -> str:
        return f"{show_time(text)} ({show_relative(text, now)})" if text else ""

    return [
        Field("Name", job["name"]),
        Field("Display name", job["displayname"]),
        Field("State", state, state_style(state)),
        Field("Check", job.get("check", ""), state_style(job.get("check", ""))),
        Field("Schedule", _schedules(job)),
        Field("Time zone", job["timezone"]),
        Field("Runs after", _parents(job).removeprefix("after ")),
        Field("Next", "" if job["disabled"] else both(job["next"])),
        Field("Last success", both(job["last_success"])),
        Field("Last failure", both(job["last_error"])),
        Field("Runs so far", f"{job['success_count']} succeeded, {job['error_count']} failed"),
        Field("Owner", " ".join(filter(None, (job["owner"], f"<{job['owner_email']}>" if job["owner_email"] else "")))),
        Field("Tags", pairs(job["tags"])),
        Field("Metadata", pairs(job["metadata"])),
        Field("Executor", job["executor"]),
        *(Field(f"  {key}", value.rstrip("\n")) for key, value in (job["executor_config"] or {}).items()),
        *(Field(f"Processor {name}", pairs(config) or "on") for name, config in (job["processors"] or {}).items()),
        Field("Overlap", {"allow": "allowed", "forbid": "forbidden"}.get(job["concurrency"], job["concurrency"])),
        Field("Catch-up", f"{catchup['policy']} within {catchup['window']}"),
        Field("Retries", f"{job['retries']}, {wait}, on {retry['on']} node" if job["retries"] else ""),
        *(Field(f"Parameter {found['name']}", _parameter(found)) for found in job.get("parameters", ())),
        Field("Dependents", ", ".join(job["dependent_jobs"] or ())),
        Field("Ephemeral", "deleted after its first success" if job["ephemeral"] else ""),
        Field("Starts at", both(job["starts_at"])),
        Field("Expires at", both(job["expires_at"])),
        Field("Created", both(job["created_at"])),
        Field("Changed", both(job["updated_at"]) if job["updated_at"] != job["created_at"] else ""),
    ]


def _parameter(parameter: dict[str, Any]) -> str:
    """A parameter in short: its type, its choices, its default, what it is for."""
    choices = f" of {', '.join(parameter['choices'])}" if parameter["choices"] else ""
    default = ", to be given" if parameter["default"] is None else f", default {parameter['default']!r}"
    about = f": {parameter['description']}" if parameter["description"] else ""
    return f"{parameter['type']}{choices}{default}{about}"


def delete_jobs(context: Context, arguments: Namespace) -> Exit:
    deleted: list[Job] = []
    try:
        for name in arguments.names:
            deleted.append(context.client.delete_job(name))  # noqa: PERF401  # what was deleted before an error counts
    finally:
        context.output.done(deleted, "\n".join(f"{job['name']} is deleted." for job in deleted))
    return Exit.OK


def take_job(context: Context, arguments: Namespace) -> Exit:
    job = context.client.take_job(arguments.name)
    context.output.done(job, f"{job['name']} comes from no directory.")
    return Exit.OK


def toggle_job(context: Context, arguments: Namespace) -> Exit:
    job = context.client.toggle_job(arguments.name)
    context.output.done(job, f"{job['name']} is {'disabled' if job['disabled'] else 'enabled'}.")
    return Exit.OK


def next_fires(context: Context, arguments: Namespace) -> Exit:
    fires = context.client.next_fires(arguments.name, arguments.count)
    context.output.rows(fires, fire_listing(context.now), f"{arguments.name} has no coming fire.")
    return Exit.OK


def explain_job(context: Context, arguments: Namespace) -> Exit:
    answer = context.client.explain(arguments.name, arguments.at)
    definition = answer["definition"] or {}
    known = answer["definition_since"]
    since = f"since {show_time(known)}, by {answer['definition_by']}" if known else ""
    verdict = answer["verdict"].replace("_", " ")
    context.output.fields(
        answer,
        [
            Field("Job", answer["job"]),
            Field("At", show_time(answer["at"])),
            Field("Verdict", verdict, _VERDICTS.get(answer["verdict"], "")),
            Field("Because", answer["explanation"]),
            Field("Due", show_time(answer["fire_time"])),
            Field("Next after", show_time(answer["next"])),
            Field("Definition", since),
            Field("  Schedule", definition.get("schedule", "")),
            Field("  Time zone", definition.get("timezone", "")),
            Field("Executions", "\n".join(f"{found['id']}  {found['state']}" for found in answer["executions"])),
        ],
    )
    return Exit.OK
