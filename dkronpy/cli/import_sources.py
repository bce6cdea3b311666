"""`dkron import crontab|systemd|kubernetes|nrpe|dsari`: jobs of what else starts things by time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dkronpy.cli.exits import CommandError, Exit
from dkronpy.cli.output import plain
from dkronpy.cli.parser import add_command, pair

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.importing.mapped import Mapped

_MORE: Final = """\
Everything is read and checked before anything is written. Each job is reported
with what means another thing here, with what is not carried over, and with its
next fires by both readings. A job that is there already and differs is kept,
unless --replace is given; importing again is safe. docs/migration.md tells more."""
_SYSTEM: Final = ("/etc/crontab", "/etc/cron.d/")
"""Where crontabs have a column of users."""


def add_sources(group: Subcommands) -> list[ArgumentParser]:
    crontab = add_command(
        group,
        "crontab",
        import_crontab,
        "take over a crontab",
        more=f"{_MORE}\n\n- is standard input. /etc/crontab and files in /etc/cron.d have a column of users.",
        examples=[
            "crontab -l | dkron import crontab - --user $USER --tag node=$(hostname) --dry-run",
            "dkron import crontab /etc/crontab /etc/cron.d/backup --tag role=db:1",
        ],
    )
    crontab.add_argument("files", metavar="FILE", nargs="+")
    crontab.add_argument("--user", default="", metavar="NAME", help="whose crontab it is: its jobs run as this user")
    crontab.add_argument("--system", action="store_true", help="there is a column of users, wherever the file is")
    systemd = add_command(
        group,
        "systemd",
        import_systemd,
        "take over timers of systemd with their services",
        more=f"{_MORE}\n\nA service is looked for beside its timer, then where systemd keeps its units.",
        examples=["dkron import systemd /etc/systemd/system/*.timer --tag node=db1 --dry-run"],
    )
    systemd.add_argument("files", metavar="FILE.timer", nargs="+", type=Path)
    kubernetes = add_command(
        group,
        "kubernetes",
        import_kubernetes,
        "take over CronJobs of Kubernetes",
        more=f"{_MORE}\n\n- is standard input. Other kinds in the files are passed over.",
        examples=["kubectl get cronjobs -o yaml | dkron import kubernetes - --runtime docker --dry-run"],
    )
    kubernetes.add_argument("files", metavar="FILE", nargs="+")
    kubernetes.add_argument(
        "--runtime",
        default="",
        metavar="COMMAND",
        help="run the containers by it, as docker or podman (default: no container)",
    )
    nrpe = add_command(
        group,
        "nrpe",
        import_nrpe,
        "make jobs of the checks of Nagios' NRPE",
        more=f"{_MORE}\n\nFiles that the file includes are read too.",
        examples=["dkron import nrpe /etc/nagios/nrpe.cfg --schedule '@every 1m' --tag node=db1"],
    )
    nrpe.add_argument("file", metavar="FILE", type=Path)
    nrpe.add_argument(
        "--schedule", default="@every 5m", metavar="SCHEDULE", help="how often each check runs (default: %(default)s)"
    )
    dsari = add_command(
        group,
        "dsari",
        import_dsari,
        "take over a configuration directory of dsari, once",
        more=f"{_MORE}\n\nFor jobs that go on following the files, give --job-dir to the servers instead.",
        examples=["dkron import dsari /etc/dsari --tag role=batch:1 --dry-run"],
    )
    dsari.add_argument("directory", metavar="DIR", type=Path)
    commands = [crontab, systemd, kubernetes, nrpe, dsari]
    for command in commands[:-1]:
        command.add_argument("--prefix", default="", metavar="TEXT", help="what the jobs' names begin with")
    for command in commands:
        command.add_argument(
            "--tag", metavar="KEY=VALUE", type=pair, action="append", default=[], help="where they run; may be repeated"
        )
    return commands


def import_crontab(context: Context, arguments: Namespace) -> Exit:
    from dkronpy.importing.crontab import Options, read_crontabs

    def read(_now: int) -> list[Mapped]:
        texts = [(_source(name), _text(name), arguments.system or name.startswith(_SYSTEM)) for name in arguments.files]
        return read_crontabs(texts, Options(arguments.user, arguments.prefix))

    return _take(context, arguments, read)


def import_systemd(context: Context, arguments: Namespace) -> Exit:
    from dkronpy.importing.systemd import read_timers

    return _take(context, arguments, lambda now: read_timers(arguments.files, arguments.prefix, now))


def import_kubernetes(context: Context, arguments: Namespace) -> Exit:
    from dkronpy.cli.documents import read_documents
    from dkronpy.importing.kubernetes import read_cron_jobs

    def read(_now: int) -> list[Mapped]:
        documents = [found for name in arguments.files for found in read_documents(_text(name), _source(name))]
        return read_cron_jobs(documents, arguments.prefix, arguments.runtime)

    return _take(context, arguments, read)


def import_nrpe(context: Context, arguments: Namespace) -> Exit:
    from dkronpy.importing.nrpe import Options, read_nrpe

    return _take(
        context, arguments, lambda _now: read_nrpe(arguments.file, Options(arguments.schedule, arguments.prefix))
    )


def import_dsari(context: Context, arguments: Namespace) -> Exit:
    from dkronpy.cli.imports import take
    from dkronpy.dsari.problems import ConfigRefused
    from dkronpy.importing.dsari import read_dsari

    try:
        found = read_dsari(arguments.directory, dict(arguments.tag))
    except ConfigRefused as refused:
        problems = tuple(map(str, refused.problems))
        raise CommandError(f"nothing was changed: {arguments.directory} is refused", Exit.USAGE, problems) from refused
    for warning in found.warnings:
        context.note(f"dkron: {plain(str(warning))}")
    code = take(context, arguments, lambda _now: found.jobs)
    defined = {group["name"] for group in context.client.groups() if group["defined"]}
    for name, places in found.groups.items():
        if name in defined:
            context.note(f"dkron: the concurrency group {name!r} is there already and stays as it is")
        elif not arguments.dry_run:
            context.client.define_group(name, places)
    return code


def _take(context: Context, arguments: Namespace, read: Callable[[int], list[Mapped]]) -> Exit:
    from dkronpy.cli.imports import take
    from dkronpy.importing.mapped import targeted

    def found(now: int) -> list[Mapped]:
        jobs = read(now)
        if not jobs:
            raise ValueError("there is no job in it")
        return [targeted(job, dict(arguments.tag)) for job in jobs]

    return take(context, arguments, found)


def _source(name: str) -> str:
    return "standard input" if name == "-" else name


def _text(name: str) -> str:
    """A file's text. Raises OSError and ValueError."""
    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{_source(name)} is not UTF-8 text: byte {error.start} cannot be read") from error
