"""`dkron check`, which is the program `check_dkron` too: a job's last result and age, told as Nagios' plugins do."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import TYPE_CHECKING, Final

from dkronpy.cli.context import Context
from dkronpy.cli.exits import CommandError
from dkronpy.cli.output import plain
from dkronpy.cli.parser import add_command, global_options
from dkronpy.cli.times import show_span
from dkronpy.client import ClientError, Execution, Job
from dkronpy.model.checks import CheckStatus, worst
from dkronpy.model.duration import SECOND, parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkronpy.cli.parser import Subcommands

_ABOUT: Final = "tell Nagios a job's last result and its age"
_MORE: Final = """\
The exit codes are those of Nagios' plugins: 0 ok, 1 warning, 2 critical, 3
unknown. A job whose newest run succeeded is ok, one that failed critical, on some
of its nodes only a warning; a check (exit_codes: nagios) is what it found. A job
that has not run, or a server that does not answer, is unknown. The ages count
from the end of the newest run."""
_BY_STATUS: Final = {
    "success": CheckStatus.OK,
    "failed": CheckStatus.CRITICAL,
    "partially_failed": CheckStatus.WARNING,
}
_ENDED: Final = "success,failed,timed_out,killed,lost"
_TEXT: Final = 3000
"""Bytes of the newest run's output that are passed on."""


def add_commands(commands: Subcommands) -> None:
    example = "dkron check backup --warning 26h --critical 50h"
    _add_options(add_command(commands, "check", check_job, _ABOUT, more=_MORE, examples=[example]))


def main(argv: Sequence[str] | None = None) -> int:
    """`check_dkron`. Returns a plugin's exit code; what argparse refuses is unknown, not critical."""
    parser = argparse.ArgumentParser(
        prog="check_dkron",
        description=f"{_ABOUT[:1].upper()}{_ABOUT[1:]}.\n\n{_MORE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        parents=[global_options()],
    )
    _add_options(parser)
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:
        return CheckStatus.UNKNOWN.code if end.code else 0
    with Context.of(arguments) as context:
        return check_job(context, arguments)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB")
    for option, name, about in (("-w", "--warning", "a warning"), ("-c", "--critical", "critical")):
        help = f"an older result than this is {about}, such as 26h"
        parser.add_argument(option, name, metavar="AGE", type=_age, help=help)


def _age(text: str) -> float:
    """An argument's type: a duration, in seconds."""
    try:
        return parse_duration(text if not text.isdigit() else f"{text}s") / SECOND
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def check_job(context: Context, arguments: argparse.Namespace) -> int:
    try:
        job = context.client.job(arguments.job)
        query = {"status": _ENDED, "output_size_limit": str(_TEXT)}
        newest = next(
            (run for run in context.client.executions(arguments.job, query, limit=50) if run["attempt"]), None
        )
    except (ClientError, CommandError) as error:
        return _say(context, CheckStatus.UNKNOWN, arguments.job, plain(str(error)))
    if newest is None:
        return _say(context, CheckStatus.UNKNOWN, job["name"], "it has not run")
    return _tell(context, job, newest, arguments)


def _tell(context: Context, job: Job, newest: Execution, arguments: argparse.Namespace) -> int:
    now = context.now
    finished = datetime.fromisoformat(newest["finished_at"]) if newest["finished_at"] else now
    age = max((now - finished).total_seconds(), 0.0)
    found = CheckStatus(job["check"]) if job.get("check") else _BY_STATUS.get(job["status"], CheckStatus.UNKNOWN)
    ages = [
        status
        for status, limit in ((CheckStatus.WARNING, arguments.warning), (CheckStatus.CRITICAL, arguments.critical))
        if limit is not None and age > limit
    ]
    late = ", which is too long ago" if ages else ""
    off = ", and the job is disabled" if job["disabled"] else ""
    first, _, rest = newest["output"].replace("\r", "").partition("\n")
    text, _, figures = first.partition("|")
    shown = f": {plain(text.strip())}" if job.get("check") and text.strip() else ""
    said = f"{newest['state']} {show_span(age)} ago{late}{off}{shown}"
    return _say(context, worst((found, *ages)), job["name"], said, _figures(newest, age, arguments, figures), rest)


def _figures(newest: Execution, age: float, arguments: argparse.Namespace, own: str) -> str:
    """Performance data: of the result, and what a check brought itself."""
    limits = ";".join("" if limit is None else f"{limit:g}" for limit in (arguments.warning, arguments.critical))
    data = [f"age={age:.0f}s;{limits};0"]
    started, finished = newest["started_at"], newest["finished_at"]
    if started and finished:
        took = datetime.fromisoformat(finished) - datetime.fromisoformat(started)
        data.append(f"duration={took.total_seconds():.3f}s;;;0")
    if newest["exit_code"] is not None:
        data.append(f"exit_code={newest['exit_code']}")
    return " ".join([*data, *([plain(own.strip())] if newest.get("check") and own.strip() else [])])


def _say(context: Context, status: CheckStatus, job: str, said: str, figures: str = "", more: str = "") -> int:
    data = f" | {figures}" if figures else ""
    context.output.line(f"{status.upper()} - {plain(job)}: {said.replace('|', '/')}{data}")
    for line in more.splitlines():
        context.output.line(plain(line))
    context.output.flush()
    return status.code
