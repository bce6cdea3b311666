"""`dkron config …`: a directory of jobs as dsari has it, checked or shown, without a server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dkronpy.cli.exits import CommandError, Exit
from dkronpy.cli.output import plain
from dkronpy.cli.parser import add_command, add_group

if TYPE_CHECKING:
    from argparse import Namespace

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.dsari.config import DsariConfig
    from dkronpy.dsari.reading import Merged

_MORE = "Without DIR it is the one that dsari would take: $DSARI_HOME/etc, ~/.dsari/etc, /etc/dsari, …"


def add_commands(commands: Subcommands) -> None:
    group = add_group(commands, "config", "check or show a directory of jobs as dsari has it")
    check = add_command(
        group,
        "check",
        check_config,
        "check a directory of jobs, as a server with --job-dir would",
        more=f"{_MORE} Every problem is told with its place, and keys that nobody reads are warned of.",
        examples=["dkron config check /etc/dsari --strict"],
    )
    check.add_argument("--strict", action="store_true", help="take warnings for errors")
    dump = add_command(
        group,
        "dump",
        dump_config,
        "show the jobs that a directory makes",
        more=f"{_MORE} They are written as `dkron job apply` takes them.",
        examples=["dkron config dump /etc/dsari --raw --format json"],
    )
    dump.add_argument("--raw", action="store_true", help="the files as they are merged, instead of the jobs")
    for command in (check, dump):
        command.add_argument("directory", metavar="DIR", nargs="?", type=Path)


def check_config(context: Context, arguments: Namespace) -> Exit:
    merged, config, jobs = _read(arguments)
    for warning in config.warnings:
        context.note(f"dkron: {plain(str(warning))}")
    if arguments.strict and config.warnings:
        raise CommandError("the warnings above are errors with --strict", Exit.USAGE)
    counts = {"files": len(merged.files), "jobs": len(jobs), "concurrency_groups": len(config.groups)}
    told = ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in counts.items())
    context.output.done(counts | {"warnings": [str(warning) for warning in config.warnings]}, told)
    return Exit.OK


def dump_config(context: Context, arguments: Namespace) -> Exit:
    merged, _, jobs = _read(arguments)
    context.output.data(merged.values if arguments.raw else jobs)
    return Exit.OK


def _read(arguments: Namespace) -> tuple[Merged, DsariConfig, list[dict[str, Any]]]:
    """What is in the directory, checked."""
    from dkronpy.dsari.config import parse
    from dkronpy.dsari.jobs import checked, documents
    from dkronpy.dsari.problems import ConfigRefused
    from dkronpy.dsari.reading import default_directory, read

    directory: Path = arguments.directory or default_directory()
    try:
        merged = read(directory)
        config = parse(merged)
        found = documents(config)
        checked(found, str(directory), now=time.time_ns(), old=lambda _: None, calendars=None)
    except ConfigRefused as refused:
        problems = tuple(map(str, refused.problems))
        raise CommandError(f"the directory {directory} is refused", Exit.USAGE, problems) from refused
    return merged, config, [document.value for document in found]
