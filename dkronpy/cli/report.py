"""`dkron report DIR`: a static report of all jobs and their runs, for any web server, as dsari-render makes it."""

from __future__ import annotations

import gzip
import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dkronpy.cli.exits import CommandError, Exit
from dkronpy.cli.parser import add_command, count, when
from dkronpy.cli.progress import Progress
from dkronpy.client import NotFound

if TYPE_CHECKING:
    from argparse import Namespace

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.cli.report_html import Frame
    from dkronpy.client import Client, Execution

_HIDDEN: Final = "render_reports"
"""Metadata by which a job is left out, where it is `false`."""


def add_commands(commands: Subcommands) -> None:
    report = add_command(
        commands,
        "report",
        write_report,
        "write a static HTML report of all jobs and their runs",
        more="A page of each run is written once and then left as it is, so that making it again is quick.\n"
        'Jobs whose metadata has render_reports: "false" are left out.',
        examples=["dkron report /var/www/dkron", "dkron report site --since 30d --regenerate"],
    )
    report.add_argument("directory", metavar="DIR", type=Path)
    report.add_argument("--since", metavar="TIME", type=when, help="only runs due from then on")
    report.add_argument(
        "--runs", metavar="N", type=count, default=200, help="the newest so many of each job (default: 200)"
    )
    report.add_argument(
        "--output", metavar="BYTES", type=count, default=100_000, help="shown of each output's end (default: 100000)"
    )
    report.add_argument("--regenerate", action="store_true", help="write all pages anew")
    report.add_argument("--gzip", action="store_true", help="write pages as .html.gz, for servers that send them so")


def write_report(context: Context, arguments: Namespace) -> Exit:
    from dkronpy.cli import report_html
    from dkronpy.cli.report_html import Frame

    client = context.client
    frame = Frame(context.now.isoformat(), context.url, ".html.gz" if arguments.gzip else ".html")
    jobs = [job for job in client.jobs() if (job["metadata"] or {}).get(_HIDDEN) != "false"]
    query = {"output_size_limit": "0", **({"since": arguments.since} if arguments.since else {})}
    runs: dict[str, list[Execution]] = defaultdict(list)
    written = 0
    try:
        with Progress("reading the runs of job") as progress:
            for number, job in enumerate(jobs, 1):
                runs[job["name"]] = _runs(client, job["name"], query, arguments.runs)
                progress.told(number, len(jobs))
        every = sorted((run for found in runs.values() for run in found), key=lambda run: -run["group"])
        _write(arguments.directory / f"index{frame.ending}", report_html.index_page(frame, jobs, every, client.stats()))
        with Progress("writing the pages of job") as progress:
            for number, job in enumerate(jobs, 1):
                found = runs[job["name"]]
                _write(
                    arguments.directory / job["name"] / f"index{frame.ending}",
                    report_html.job_page(frame, job, found),
                )
                written += sum(_run_page(client, frame, run, arguments) for run in found)
                progress.told(number, len(jobs))
    except OSError as error:
        raise CommandError(f"cannot write {error.filename}: {error.strerror}", Exit.USAGE) from error
    index = arguments.directory / f"index{frame.ending}"
    context.output.done(
        {"index": str(index), "jobs": len(jobs), "runs_written": written},
        f"{index}: {len(jobs)} jobs, {written} pages of runs written.",
    )
    return Exit.OK


def _runs(client: Client, job: str, query: dict[str, str], limit: int) -> list[Execution]:
    """The newest runs of a job; none of one that was deleted meanwhile."""
    try:
        return list(client.executions(job, query, limit=limit, page=1000))
    except NotFound:
        return []


def _run_page(client: Client, frame: Frame, run: Execution, arguments: Namespace) -> bool:
    """Write the page of a run that is over, if it is not there already; whether it was written."""
    from dkronpy.cli import report_html
    from dkronpy.cli.stats import ENDED

    path: Path = arguments.directory / run["job_name"] / f"{report_html.file_name(run['id'])}{frame.ending}"
    if run["state"] not in ENDED or (path.exists() and not arguments.regenerate):
        return False
    skipped = max(run["output_size"] - arguments.output, 0)
    try:
        chunks = list(client.output(run["job_name"], run["id"], skipped)) if run["output_size"] else []
    except NotFound:
        return False
    start = chunks[0].offset if chunks else skipped
    text = b"".join(chunk.data for chunk in chunks).decode("utf-8", "replace")
    cut = f"The first {start} of {run['output_size']} bytes are left out." if start and run["output_size"] else ""
    _write(path, report_html.run_page(frame, run, text, cut))
    return True


def _write(path: Path, page: str) -> None:
    """Write a page so that nobody ever reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data: bytes = page.encode("utf-8", "replace")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    beside.replace(path)
