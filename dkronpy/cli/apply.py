"""`dkron apply` and `dkron job apply`: make the server's jobs, groups, calendars and settings what files say.
Everything is checked before anything is written."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, cast

from dkronpy.cli.exits import CommandError, Exit
from dkronpy.cli.fires import describe_fire
from dkronpy.cli.output import Format, Listing, plain, state_style
from dkronpy.cli.parser import add_command
from dkronpy.cli.plans import Plan
from dkronpy.cli.resources import KINDS, resource_plan, write_resource
from dkronpy.client import Client, Conflict, Job, NotFound, Refused, Unavailable
from dkronpy.model.spec import ScheduleSpec

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dkronpy.cli.context import Context
    from dkronpy.cli.documents import Document
    from dkronpy.cli.parser import Subcommands

_MORE = """\
A file holds jobs as JSON or YAML: one, a list, or several documents; - is
standard input. With kind: group, calendar or settings it holds one of those.
What a file leaves out gets its default. Each job is created,
replaced or left as it is; jobs that no file names are not touched. Nothing is
written when any job is refused by the checks; a job that somebody else changes
meanwhile is not overwritten."""
_PREVIEW = 3
"""Fires shown of an old and of a new schedule."""
_SCHEDULING = ("name", *ScheduleSpec.model_fields)


def add_commands(commands: Subcommands) -> None:
    _add(commands, "dkron apply", "create or replace the jobs, groups, calendars and settings that files hold")


def add_command_to(group: Subcommands) -> None:
    _add(group, "dkron job apply", "create or replace the jobs that files hold")


def _add(commands: Subcommands, name: str, about: str) -> None:
    command = add_command(
        commands,
        "apply",
        apply_files,
        about,
        more=_MORE,
        examples=[f"{name} jobs.yml --dry-run", f"dkron job show backup --format yaml | sed s/02:30/03:30/ | {name} -"],
    )
    command.add_argument("files", metavar="FILE", nargs="+")
    command.add_argument(
        "--dry-run", action="store_true", help="only show what would change, and how the next fires would"
    )


def apply_files(context: Context, arguments: Namespace) -> Exit:
    documents = [document for name in arguments.files for document in _read(name)]
    plans = _check(context.client, documents)
    if arguments.dry_run:
        _preview(context.client, plans)
        _print(context, plans, detailed=True)
        return Exit.OK
    done: list[Plan] = []
    try:
        for plan in plans:
            _write(context.client, plan)
            done.append(plan)
    finally:
        _print(context, done, detailed=False)
    return Exit.FAILED if any(plan.problem for plan in plans) else Exit.OK


def _read(name: str) -> list[Document]:
    from pathlib import Path

    from dkronpy.cli.documents import read_documents

    source = "standard input" if name == "-" else name
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        documents = read_documents(data.decode("utf-8-sig"), source)
    except OSError as error:
        raise CommandError(f"cannot read {source}: {error.strerror}", Exit.USAGE) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{source} is not UTF-8 text: byte {error.start} cannot be read", Exit.USAGE) from error
    except ValueError as error:
        raise CommandError(str(error), Exit.USAGE) from error
    if not documents:
        raise CommandError(f"{source} holds nothing", Exit.USAGE)
    return documents


def _check(client: Client, documents: Sequence[Document]) -> list[Plan]:
    """Plans for all jobs, parents before their children. Raises CommandError with every problem of every job."""
    problems: list[str] = []
    found: dict[str, Plan] = {}
    for document in documents:
        try:
            plan = resource_plan(client, document) or _plan(client, document)
            if plan.label in found:
                raise ValueError(f"{plan.label}: is given in {found[plan.label].place} already; keep one of them")
            found[plan.label] = plan
        except ValueError as error:
            problems.extend(f"{document.place}: {line}" for line in str(error).splitlines())
    ordered: dict[str, Plan] = {}
    plans = {plan.name: plan for plan in found.values() if plan.kind == "job"}
    for plan in plans.values():
        try:
            _place(client, plan, plans, ordered)
        except ValueError as error:
            field = "depends_on" if plan.new["depends_on"] else "parent_job"
            problems.append(f"{plan.place}: {plan.name}: {field}: {error}")
    if problems:
        raise CommandError("nothing was written: not all of it is valid", Exit.USAGE, tuple(problems))
    # Calendars come before the jobs that name them.
    return [*(plan for plan in found.values() if plan.kind != "job"), *ordered.values()]


def _plan(client: Client, document: Document) -> Plan:
    """What is to be done with one document's job. Raises ValueError, a line for each problem."""
    from dkronpy.api.definitions import checked_job
    from dkronpy.model.fields import SpecError
    from dkronpy.model.job import Job as Definition
    from dkronpy.model.spec import parse_spec, to_document, to_job

    data = _fields(document.value)
    name = data.get("name")
    old, etag = _stored(client, name)
    try:
        current = to_job(parse_spec(old)) if old else None
        new = to_document(checked_job(data, now=time.time_ns(), old=current))
    except SpecError as error:
        label = f"{name}: " if isinstance(name, str) else ""
        raise ValueError("\n".join(f"{label}{where or 'the job'}: {what}" for where, what in error.errors)) from error
    before = to_document(current) if current else None
    action = "created" if before is None else "changed" if before != new else "unchanged"
    return Plan(document.place, new, to_document(Definition(name=new["name"], since=0)), before, etag, action)


def _fields(value: object) -> dict[str, Any]:
    """A document's job without its kind. Raises ValueError for what is no job, and for fields that no job has: one that
    is misspelt would be a setting that silently does nothing."""
    from difflib import get_close_matches

    from dkronpy.model.spec import JobSpec

    if not isinstance(value, dict):
        raise ValueError("not a job: a job is an object with a name")
    data = {**cast("dict[Any, Any]", value)}
    kind = data.pop("kind", "job")
    if kind != "job":
        raise ValueError(f"kind: {kind!r} is not known; there are job, {', '.join(KINDS)}")
    known = {*JobSpec.model_fields, *Job.__annotations__}
    problems: list[str] = []
    for key in data:
        if key not in known:
            close = get_close_matches(str(key), known, 1)
            problems.append(f"{key}: no job has such a field" + (f"; is {close[0]} meant?" if close else ""))
    if problems:
        label = f"{data['name']}: " if isinstance(data.get("name"), str) else ""
        raise ValueError("\n".join(label + problem for problem in problems))
    return data


def _stored(client: Client, name: object) -> tuple[Job | None, str]:
    """The job of that name on the server and its entity tag; none for what can't be a name."""
    from dkronpy.model.fields import check_name

    try:
        return client.read_job(check_name(name)) if isinstance(name, str) else (None, "")
    except (NotFound, ValueError):
        return None, ""


def _place(
    client: Client, plan: Plan, plans: Mapping[str, Plan], ordered: dict[str, Plan], below: tuple[str, ...] = ()
) -> None:
    """Put a plan into the order, its parents before it. Raises ValueError for a parent that is missing, and for a loop
    of parents."""
    from dkronpy.model.lineage import LoopError

    line = (*below, plan.name)
    if plan.name in below:
        raise LoopError(line[line.index(plan.name) :][::-1])
    if plan.name in ordered:
        return
    for parent in _parents(plan.new):
        if parent in plans:
            _place(client, plans[parent], plans, ordered, line)
        elif _stored(client, parent)[0] is None:
            raise ValueError(f"there is no job {parent}, neither in these files nor on the server")
    ordered[plan.name] = plan


def _parents(document: Mapping[str, Any]) -> list[str]:
    """The names of a job's parents."""
    if document["parent_job"]:
        return [str(document["parent_job"])]
    depends_on = cast("dict[str, Any] | None", document["depends_on"])
    return [str(parent["job"]) for parent in depends_on["parents"]] if depends_on else []


def _preview(client: Client, plans: Iterable[Plan]) -> None:
    for plan in (plan for plan in plans if plan.kind == "job"):
        before, after = (_schedule(document) for document in (plan.old, plan.new))
        if before == after:
            continue
        for key, schedule in (("old", before), ("new", after)):
            if schedule is not None:
                plan.fires[key] = client.preview(schedule, count=_PREVIEW)


def _schedule(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What says when a job fires; None where it fires only after its parent, or not at all."""
    if document is None or _parents(document) or document["disabled"]:
        return None
    return {field: document[field] for field in _SCHEDULING if field in document}


def _write(client: Client, plan: Plan) -> None:
    if plan.action == "unchanged":
        return
    try:
        if plan.kind == "job":
            client.put_job(plan.new, etag=plan.etag, create=plan.old is None)
        else:
            write_resource(client, plan)
    except Conflict as error:
        plan.action, plan.problem = "conflict", f"it was changed meanwhile and is left as it is; apply again ({error})"
    except Unavailable:
        raise
    except Refused as error:
        told = "; ".join(f"{found.field}: {found.message}" for found in error.errors)
        plan.action, plan.problem = "refused", told or str(error)


def _print(context: Context, plans: Sequence[Plan], *, detailed: bool) -> None:
    output = context.output
    if output.form.structured:
        output.data([plan.record() for plan in plans])
    elif output.form is Format.TABULAR:
        rows = ({"name": plan.label, "action": plan.action, "fields": ",".join(plan.fields)} for plan in plans)
        output.rows(rows, Listing((), ("name", "action", "fields")), "")
    else:
        for plan in plans:
            fields = f" ({', '.join(plan.fields)})" if plan.old and plan.fields and not detailed else ""
            output.line(plain(f"{plan.action:9} {plan.label}{fields}"), state_style(plan.action))
            if detailed:
                for text, style in _difference(plan):
                    output.line(text, style)
    for plan in plans:
        if plan.problem:
            context.note(f"dkron: {plan.label}: {plan.problem}")


def _difference(plan: Plan) -> Iterator[tuple[str, str]]:
    """Lines of a plan's changes and fires, with their styles."""
    for change in plan.changes():
        yield f"    {plain(change['field'])}:", ""
        for sign, style, value in (("-", "red", change["old"]), ("+", "green", change["new"])):
            if value not in (None, ""):
                lines = (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).split("\n")
                yield from ((f"      {sign} {plain(line)}".rstrip(), style) for line in lines)
    before, after = ([describe_fire(fire) for fire in plan.fires.get(key, ())] for key in ("old", "new"))
    if before or after:
        yield "    next fires:", ""
    if before == after:
        yield from ((f"        {fire}", "dim") for fire in after)
    else:
        yield from ((f"      - {fire}", "red") for fire in before)
        yield from ((f"      + {fire}", "green") for fire in after)
