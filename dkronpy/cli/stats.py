"""`dkron execution stats`: how often jobs succeed and how long their runs take, from the executions themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dkronpy.cli.exits import Exit
from dkronpy.cli.output import Column, Listing
from dkronpy.cli.parser import add_command, count, when
from dkronpy.cli.times import show_span

if TYPE_CHECKING:
    from argparse import Namespace

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.client import Execution

_BARS: Final = "▁▂▃▄▅▆▇█"
_SHOWN: Final = 24
"""Runs in a sparkline."""
ENDED: Final = ("success", "failed", "timed_out", "killed", "lost")
"""States of executions that ran and are over."""


class JobStats(NamedTuple):
    """Of one job. `durations` are seconds, oldest first; `outcomes` whether each run succeeded."""

    name: str
    success: int
    failed: int
    durations: list[float]
    outcomes: list[bool]
    last: str | None

    @property
    def rate(self) -> float:
        """Of the runs, the part that succeeded."""
        return self.success / (self.success + self.failed)

    def record(self) -> dict[str, Any]:
        """As an object for JSON and YAML; durations in seconds, null where nothing is known."""
        taken = sorted(self.durations)
        return {
            "job_name": self.name,
            "runs": self.success + self.failed,
            "success": self.success,
            "failed": self.failed,
            "success_rate": round(self.rate, 4),
            **{f"p{part}": quantile(taken, part / 100) for part in (50, 90, 99)},
            "max": taken[-1] if taken else None,
            "last": self.last,
            "durations": self.durations[-_SHOWN:],
        }


def add_command_to(group: Subcommands) -> None:
    stats = add_command(
        group,
        "stats",
        show_stats,
        "show how often jobs succeed and how long their runs take",
        more="A sparkline shows the durations of the last runs, each beside the longest of them.",
        examples=["dkron execution stats backup --since 30d", "dkron execution stats --sort failed"],
    )
    stats.add_argument("jobs", metavar="JOB", nargs="*", help="only these")
    stats.add_argument("--since", metavar="TIME", type=when, help="only runs due from then on")
    stats.add_argument("--until", metavar="TIME", type=when, help="only runs due up to then")
    stats.add_argument(
        "--limit", metavar="N", type=count, default=10_000, help="the newest so many runs; 0: all (default: 10000)"
    )
    stats.add_argument("--sort", choices=["name", "runs", "failed", "rate", "time"], default="name")


_ORDERS: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "name": lambda job: job["job_name"],
    "runs": lambda job: -job["runs"],
    "failed": lambda job: -job["failed"],
    "rate": lambda job: job["success_rate"],
    "time": lambda job: -(job["p50"] or 0),
}
_LISTING: Final = Listing(
    (
        Column("JOB", lambda job: job["job_name"], whole=True),
        Column("RUNS", lambda job: str(job["runs"]), right=True),
        Column("FAILED", lambda job: str(job["failed"]), right=True, style=lambda text: "red" if text != "0" else ""),
        Column("SUCCESS", lambda job: f"{job['success_rate'] * 100:.4g} %", right=True, rank=1),
        Column("MEDIAN", lambda job: _span(job["p50"]), right=True, rank=2),
        Column("90 %", lambda job: _span(job["p90"]), right=True, rank=4),
        Column("99 %", lambda job: _span(job["p99"]), right=True, rank=5),
        Column("LONGEST", lambda job: _span(job["max"]), right=True, rank=3),
        Column("LAST RUNS", lambda job: sparkline(job["durations"]), rank=2, whole=True, style="cyan"),
    ),
    ("job_name", "runs", "success", "failed", "success_rate", "p50", "p90", "p99", "max", "last"),
)


def show_stats(context: Context, arguments: Namespace) -> Exit:
    query = {"status": ",".join(ENDED), "output_size_limit": "0"}
    query |= {key: getattr(arguments, key) for key in ("since", "until") if getattr(arguments, key)}
    found = [
        execution
        for job in arguments.jobs or [""]
        for execution in context.client.executions(job, query, limit=arguments.limit, page=1000)
    ]
    rows = sorted((job.record() for job in stats_of(found)), key=lambda job: job["job_name"])
    context.output.rows(sorted(rows, key=_ORDERS[arguments.sort]), _LISTING, "Nothing has run.")
    return Exit.OK


def stats_of(executions: Iterable[Execution]) -> list[JobStats]:
    """Of each job that ran, from executions in any order."""
    by_job: dict[str, list[Execution]] = defaultdict(list)
    for execution in executions:
        if execution["state"] in ENDED:
            by_job[execution["job_name"]].append(execution)
    return [_job(name, sorted(runs, key=lambda run: (run["group"], run["attempt"]))) for name, runs in by_job.items()]


def _job(name: str, runs: Sequence[Execution]) -> JobStats:
    success = sum(run["success"] for run in runs)
    taken = [seconds for run in runs if (seconds := duration(run)) is not None]
    outcomes = [run["success"] for run in runs if duration(run) is not None]
    last = max((run["finished_at"] for run in runs if run["finished_at"]), key=datetime.fromisoformat, default=None)
    return JobStats(name, success, len(runs) - success, taken, outcomes, last)


def duration(run: Execution) -> float | None:
    """How many seconds a run took; None where it did not start or has not ended."""
    started, finished = run["started_at"], run["finished_at"]
    if not started or not finished:
        return None
    return max((datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds(), 0.0)


def quantile(ordered: Sequence[float], part: float) -> float | None:
    """The smallest of the values that at least this part of them does not exceed; None of nothing."""
    return ordered[max(ceil(len(ordered) * part) - 1, 0)] if ordered else None


def sparkline(values: Sequence[float]) -> str:
    """A bar for each value, beside the largest of them."""
    most = max(values, default=0.0)
    if most <= 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[min(int(value / most * len(_BARS)), len(_BARS) - 1)] for value in values)


def _span(seconds: float | None) -> str:
    return "-" if seconds is None else show_span(seconds)
