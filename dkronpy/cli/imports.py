"""`dkron import …`: takes over the jobs and executions of a Dkron, and what all imports share."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dkronpy.cli.exits import CommandError, Exit
from dkronpy.cli.import_sources import add_sources
from dkronpy.cli.output import Format, Listing, plain, state_style
from dkronpy.cli.parser import add_command, add_group
from dkronpy.cli.progress import Progress

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterator, Sequence

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.importing.dump import Dump
    from dkronpy.importing.mapped import Mapped
    from dkronpy.importing.plan import Plan

_MORE: Final = """\
Everything is read and checked before anything is written, and the source is
only read. Each job is reported with what means another thing here, and with its
next fires as Dkron has them and as they are here. A job that is there already
and differs is kept, unless --replace is given; importing again is safe. The
other Dkron goes on running its jobs: stop it, or `dkron pause` here first.
docs/migration.md tells more."""

_STORES: Final = {
    "etcd": "etcd 3",
    "etcd2": "etcd 2, or etcd 3 with --enable-v2",
    "consul": "Consul",
    "zookeeper": "ZooKeeper",
    "redis": "Redis",
    "dynamodb": "DynamoDB",
}
_PORTS: Final = {"consul": 8500, "zookeeper": 2181, "redis": 6379, "dynamodb": 8000}


def add_commands(commands: Subcommands) -> None:
    group = add_group(commands, "import", "take over the jobs of a Dkron, a dsari, cron, systemd, Kubernetes or NRPE")
    boltdb = add_command(
        group,
        "boltdb",
        import_boltdb,
        "take over the database file of a Dkron 1.x",
        more=f"{_MORE} The Dkron may be running.",
        examples=["dkron import boltdb /var/lib/dkron/dkron.db --dry-run"],
    )
    boltdb.add_argument("file", metavar="FILE", type=Path)
    _add_keyspace(boltdb)
    server = add_command(
        group,
        "dkron",
        import_dkron,
        "take over a running Dkron, of any version, or its backup",
        more=f"{_MORE}\n\nA backup is what GET /v1/jobs answers, as JSON in a file.",
        examples=[
            "dkron import dkron http://old:8080 --dry-run",
            "dkron import dkron jobs.json --executions runs.json",
        ],
    )
    server.add_argument("source", metavar="URL|FILE")
    server.add_argument(
        "--executions", metavar="FILE", type=Path, help='the executions to a file of jobs: {"job": [execution, …]}'
    )
    dsari = add_command(
        group,
        "dsari-history",
        import_dsari_history,
        "take over the runs that dsari has recorded",
        more="The jobs are to be here already: `dkron import dsari` brings them. The database\n"
        "is only read; importing again is safe. Runs of jobs that are not here are left out.",
        examples=[
            "dkron import dsari-history /var/lib/dsari/dsari.sqlite3 --data-dir /var/lib/dsari",
            "dkron import dsari-history postgresql://dsari@10.0.0.9/dsari --dry-run",
        ],
    )
    dsari.add_argument("dsn", metavar="FILE|URL", help="dsari.sqlite3, or postgresql://, mysql:// or mongodb://…")
    dsari.add_argument("--data-dir", type=Path, metavar="DIR", help="dsari's, for what its runs have written")
    dsari.add_argument("--dry-run", action="store_true", help="only show what would be done")
    stores = [_add_store(group, kind, about) for kind, about in _STORES.items()]
    for command in (boltdb, server, *stores, *add_sources(group)):
        command.add_argument("--dry-run", action="store_true", help="only show what would be done")
        command.add_argument("--replace", action="store_true", help="replace jobs that are there and differ")


def _add_store(group: Subcommands, kind: str, about: str) -> ArgumentParser:
    command = add_command(
        group,
        kind,
        import_store,
        f"take over the keys of a Dkron 1.x in {about}",
        more=f"{_MORE}\n\nThe password, or Consul's token, comes from DKRON_BACKEND_PASSWORD.",
        examples=[f"dkron import {kind} 10.0.0.9:{_PORTS.get(kind, 2379)} --dry-run"],
    )
    command.set_defaults(kind=kind)
    machine = "HOST:PORT, or URL" if kind != "dynamodb" else "REGION, or URL"
    command.add_argument("machines", metavar="MACHINE", nargs="+", help=f"{machine}; several for etcd and ZooKeeper")
    command.add_argument("--username", default="", metavar="NAME", help="who asks, where the store knows users")
    _add_keyspace(command)
    return command


def _add_keyspace(command: ArgumentParser) -> None:
    from dkronpy.importing.dump import KEYSPACE

    command.add_argument("--keyspace", default=KEYSPACE, help="that of the Dkron (default: %(default)s)")


def import_boltdb(context: Context, arguments: Namespace) -> Exit:
    from dkronpy.importing.files import read_boltdb

    return _import(context, arguments, lambda: read_boltdb(arguments.file, arguments.keyspace))


def import_store(context: Context, arguments: Namespace) -> Exit:
    from dkronpy.importing.stores import Access, read_store

    password = os.environ.get("DKRON_BACKEND_PASSWORD", "")
    access = Access(tuple(arguments.machines), arguments.username, password, arguments.keyspace)
    return _import(context, arguments, lambda: read_store(arguments.kind, access))


def import_dkron(context: Context, arguments: Namespace) -> Exit:
    from dkronpy.importing.files import read_json
    from dkronpy.importing.server import read_server

    source: str = arguments.source

    def read() -> Dump:
        if not source.startswith(("http://", "https://")):
            return read_json(Path(source), arguments.executions)
        with Progress("reading the executions of job") as progress:
            return read_server(source, progress.told)

    return _import(context, arguments, read)


def import_dsari_history(context: Context, arguments: Namespace) -> Exit:
    from dkronpy.importing.dsari_history import read_runs
    from dkronpy.importing.plan import parts

    try:
        runs = read_runs(arguments.dsn, arguments.data_dir)
    except ValueError as error:
        raise CommandError(f"nothing was changed: {error}", Exit.USAGE) from error
    except OSError as error:
        raise CommandError(f"cannot read {error.filename}: {error.strerror}", Exit.USAGE) from error
    here = {job["name"] for job in context.client.jobs()}
    total = sum(len(found) for job, found in runs.items() if job in here)
    done = 0
    if not arguments.dry_run:
        with Progress("writing execution") as progress:
            for job in sorted(runs.keys() & here):
                for part in parts(runs[job]):
                    context.client.add_executions(job, part)
                    done += len(part)
                    progress.told(done, total)
    records = [
        {"name": job, "executions": len(found), "action": "taken over" if job in here else "left out"}
        for job, found in sorted(runs.items())
    ]
    output = context.output
    if output.form.structured:
        output.data(records)
    elif output.form is Format.TABULAR:
        output.rows(iter(records), Listing((), ("name", "executions", "action")), "")
    else:
        for record in records:
            output.line(plain(f"{record['action']:10} {record['name']}  {record['executions']} executions"))
    for job in sorted(runs.keys() - here):
        context.note(f"dkron: {plain(job)}: there is no such job here; its executions were left out")
    return Exit.OK if runs.keys() <= here else Exit.FAILED


def _import(context: Context, arguments: Namespace, read: Callable[[], Dump]) -> Exit:
    from dkronpy.importing.mapping import mapped

    return take(context, arguments, lambda now: mapped(read(), now=now))


def take(context: Context, arguments: Namespace, read: Callable[[int], list[Mapped]]) -> Exit:
    """Write the jobs that `read` gives for now (ns), or only show what would be written, and tell of each."""
    from dkronpy.importing.plan import carry_out, plans

    now = time.time_ns()
    try:
        found = read(now)
    except ValueError as error:
        raise CommandError(f"nothing was changed: {error}", Exit.USAGE) from error
    except OSError as error:
        raise CommandError(f"cannot read {error.filename}: {error.strerror}", Exit.USAGE) from error
    made = plans(context.client, found, replace=arguments.replace, now=now)
    if not arguments.dry_run:
        with Progress("writing execution") as progress:
            carry_out(context.client, made, progress.told)
    _print(context, made)
    return Exit.OK if all(plan.action.done and not plan.left_out for plan in made) else Exit.FAILED


def _print(context: Context, made: Sequence[Plan]) -> None:
    output = context.output
    if output.form.structured:
        output.data([_record(plan) for plan in made])
    elif output.form is Format.TABULAR:
        output.rows((_record(plan) for plan in made), Listing((), ("name", "action", "executions", "schedule")), "")
    else:
        for plan in made:
            count = f"  {len(plan.executions)} executions" if plan.executions else ""
            output.line(plain(f"{plan.action:9} {plan.job.name}{count}"), state_style(plan.action))
            for text, style in _details(plan):
                output.line(f"    {plain(text)}", style)
    for plan in made:
        for told in (plan.problem, *plan.left_out):
            if told:
                context.note(f"dkron: {plain(f'{plan.job.name}: {told}')}")


def _record(plan: Plan) -> dict[str, Any]:
    """As an object for JSON and YAML."""
    job, fires = plan.job, plan.fires
    return {
        "name": job.name,
        "action": plan.action.value,
        "problem": plan.problem,
        "executions": len(plan.executions),
        "left_out": plan.left_out,
        "changes": [{"kind": change.kind.value, "text": change.text} for change in job.changes],
        "source": job.origin,
        "place": job.place,
        "source_schedule": job.schedule,
        "schedule": job.document.get("schedule", ""),
        "source_fires": [*fires.source] if fires else [],
        "fires": [*fires.here] if fires else [],
    }


def _details(plan: Plan) -> Iterator[tuple[str, str]]:
    """Lines about a job, with their styles: what changes, and the next fires where there are any."""
    yield from ((f"! {change.text}", "yellow") for change in plan.job.changes)
    if plan.fires is None or not (plan.fires.source or plan.fires.here):
        return
    origin = plan.job.origin
    before, after = ([fire["local"] for fire in reading] for reading in (plan.fires.source, plan.fires.here))
    if before == after:
        yield f"next fires, in {origin} and here: {'  '.join(after)}", "dim"
        return
    if plan.job.reading is not None:
        yield f"next fires, in {origin}: {'  '.join(before) or 'none'}", "red"
    yield f"next fires, here:{' ' * (len(origin) - 1)}{'  '.join(after) or 'none'}", "green"
