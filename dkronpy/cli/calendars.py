"""`dkron calendar …`: times at which jobs do not run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dkronpy.cli.exits import CommandError, Exit
from dkronpy.cli.output import Column, Field, Listing
from dkronpy.cli.parser import add_command, add_group
from dkronpy.client import NotFound

if TYPE_CHECKING:
    from argparse import Namespace

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.client import Calendar

_LISTS = ("days", "holidays", "blackouts")


def add_commands(commands: Subcommands) -> None:
    group = add_group(commands, "calendar", "say when jobs do not run")
    add_command(group, "list", list_calendars, "list the calendars")
    show = add_command(group, "show", show_calendar, "show a calendar")
    change = add_command(
        group,
        "set",
        set_calendar,
        "define a calendar, or change it",
        more="What is not given stays as it is; an option that may be repeated replaces the whole list, and\n"
        "--clear empties it. Blackouts are written by dkron apply. docs/jobs.md tells what a day may look like.",
        examples=[
            "dkron calendar set company --timezone Europe/Berlin --holiday DE-BY --day 12-24",
            "dkron calendar set closed --icalendar closed.ics --all-jobs true",
        ],
    )
    change.add_argument("--day", dest="days", action="append", metavar="DAY", help="a day or a range; may be repeated")
    change.add_argument(
        "--holiday", dest="holidays", action="append", metavar="COUNTRY", help="public holidays, as DE or DE-BY"
    )
    change.add_argument("--icalendar", metavar="FILE", help="all that the events of this file cover")
    change.add_argument("--timezone", metavar="ZONE", help="whose days are meant (default: those of each job)")
    change.add_argument("--all-jobs", choices=["true", "false"], help="whether it holds for jobs that do not name it")
    change.add_argument("--description", metavar="TEXT")
    change.add_argument("--clear", action="append", default=[], choices=[*_LISTS, "icalendar"], help="may be repeated")
    delete = add_command(group, "delete", delete_calendar, "delete a calendar that no job names")
    for command in (show, change, delete):
        command.add_argument("calendar", metavar="CALENDAR")


_LISTING = Listing(
    (
        Column("NAME", lambda calendar: calendar["name"], whole=True),
        Column("HOLDS FOR", lambda calendar: "all jobs" if calendar["all_jobs"] else "jobs that name it"),
        Column("EXCLUDES", lambda calendar: _excludes(calendar)),
        Column("ZONE", lambda calendar: calendar["timezone"], rank=1),
        Column("DESCRIPTION", lambda calendar: calendar["description"], rank=2),
    ),
    ("name", "all_jobs", "timezone", "days", "holidays", "blackouts", "description"),
)


def list_calendars(context: Context, _arguments: Namespace) -> Exit:
    context.output.rows(context.client.calendars(), _LISTING, "There are no calendars.")
    return Exit.OK


def show_calendar(context: Context, arguments: Namespace) -> Exit:
    calendar = context.client.calendar(arguments.calendar)
    events = calendar["icalendar"].count("BEGIN:VEVENT")
    context.output.fields(
        calendar,
        [
            Field("Calendar", calendar["name"]),
            Field("Description", calendar["description"]),
            Field("Holds for", "all jobs" if calendar["all_jobs"] else "jobs that name it"),
            Field("Time zone", calendar["timezone"] or "that of each job"),
            Field("Days", "\n".join(calendar["days"])),
            Field("Holidays", ", ".join(calendar["holidays"])),
            Field("Found", _found(calendar["holiday_days"])),
            Field("iCalendar", f"{events} events" if events else ""),
            Field("Blackouts", "\n".join(_blackout(blackout) for blackout in calendar["blackouts"])),
        ],
    )
    return Exit.OK


def set_calendar(context: Context, arguments: Namespace) -> Exit:
    name = arguments.calendar
    try:
        old: dict[str, Any] = {**context.client.calendar(name)}
    except NotFound:
        old = {}
    given = {key: getattr(arguments, key) for key in ("days", "holidays", "timezone", "description")}
    new = {**old, **{key: value for key, value in given.items() if value is not None}}
    if arguments.all_jobs:
        new["all_jobs"] = arguments.all_jobs == "true"
    if arguments.icalendar:
        new["icalendar"] = _text(arguments.icalendar)
    for key in arguments.clear:
        new[key] = [] if key in _LISTS else ""
    found = context.client.put_calendar(name, new)
    context.output.done(found, f"{name} excludes {_excludes(found)}.")
    return Exit.OK


def delete_calendar(context: Context, arguments: Namespace) -> Exit:
    context.output.done(context.client.delete_calendar(arguments.calendar), f"{arguments.calendar} is deleted.")
    return Exit.OK


def _excludes(calendar: Calendar) -> str:
    days = calendar["days"]
    parts = [
        ", ".join(days[:3]) + (f" and {len(days) - 3} more" if len(days) > 3 else ""),
        f"holidays of {', '.join(calendar['holidays'])}" if calendar["holidays"] else "",
        "an iCalendar file" if calendar["icalendar"] else "",
        "blackouts" if calendar["blackouts"] else "",
    ]
    return "; ".join(filter(None, parts)) or "nothing"


def _found(days: list[str]) -> str:
    return f"{len(days)} days, {days[0]} to {days[-1]}" if days else ""


def _blackout(blackout: dict[str, str]) -> str:
    if blackout.get("schedule"):
        return f"{blackout['schedule']} for {blackout.get('duration')}"
    return f"{blackout.get('start')} to {blackout.get('end')}"


def _text(path: str) -> str:
    from pathlib import Path

    try:
        return Path(path).read_text("utf-8-sig")
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", Exit.USAGE) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not UTF-8 text: byte {error.start} cannot be read", Exit.USAGE) from error
