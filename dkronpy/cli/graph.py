"""`dkron job graph`: which jobs run after which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.cli.exits import Exit
from dkronpy.cli.output import Format, Listing, plain, state_style
from dkronpy.cli.parser import add_command

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Mapping

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.client import GraphJob

_EDGES = Listing((), ("parent", "job", "on", "require", "window", "met"))


def add_command_to(group: Subcommands) -> None:
    command = add_command(
        group,
        "graph",
        show_graph,
        "show which jobs run after which, and what they still wait for",
        more="With a job, only what it runs after and what runs after it, over any number of steps.",
        examples=["dkron job graph", "dkron job graph report"],
    )
    command.add_argument("name", metavar="JOB", nargs="?")


def show_graph(context: Context, arguments: Namespace) -> Exit:
    jobs = {job["name"]: job for job in context.client.graph(arguments.name)}
    output = context.output
    if output.form.structured:
        output.data(list(jobs.values()))
    elif output.form is Format.TABULAR:
        output.rows(_edges(jobs), _EDGES, "")
    elif not jobs:
        output.line("No job runs after another.")
    else:
        shown = set[str]()
        for job in jobs.values():
            if not any(parent["job"] in jobs for parent in job["parents"]):
                for text, style in _tree(job, jobs, shown, "", ""):
                    output.line(text, style)
    return Exit.OK


def _edges(jobs: Mapping[str, GraphJob]) -> Iterator[dict[str, object]]:
    for job in jobs.values():
        for parent in job["parents"]:
            met = [run["group"] for run in parent["met"]]
            about = {"on": parent["on"], "require": job["require"], "window": job["window"]}
            yield {"parent": parent["job"], "job": job["name"], **about, "met": met}


def _tree(
    job: GraphJob, jobs: Mapping[str, GraphJob], shown: set[str], head: str, margin: str
) -> Iterator[tuple[str, str]]:
    """Lines with their styles: the job, and below it all that run after it, unfolded where they are met first."""
    state = "running" if job["running"] else "disabled" if job["disabled"] else job["status"] or "never ran"
    again = job["name"] in shown
    about = "see above" if again else "; ".join(filter(None, (state, _conditions(job))))
    yield plain(f"{head}{job['name']}  ({about})"), "" if again else state_style(state)
    if again:
        return
    shown.add(job["name"])
    children = [jobs[name] for name in job["children"] if name in jobs]
    for number, child in enumerate(children, 1):
        last = number == len(children)
        branch, bar = ("└─ ", "   ") if last else ("├─ ", "│  ")
        yield from _tree(child, jobs, shown, margin + branch, margin + bar)


def _conditions(job: GraphJob) -> str:
    """What the job runs after, where that is more than its one parent's success."""
    parents = job["parents"]
    parts: list[str] = []
    for parent in parents:
        told = "" if parent["on"] == "success" else f" {parent['on']}"
        gone = "" if parent["exists"] else " (no such job)"
        met = " ✓" if parent["met"] else ""
        parts.append(f"{parent['job']}{told}{gone}{met}")
    if len(parents) == 1 and parts == [parents[0]["job"]]:
        return ""
    if job["require"] == "any" or len(parents) < 2:
        return f"after {' or '.join(parts)}" if parts else ""
    return f"after {' and '.join(parts)} within {job['window']}"
