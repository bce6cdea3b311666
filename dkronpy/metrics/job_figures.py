"""The figures of jobs in Prometheus' text format: those of dsari's exporter, and how many runs had which outcome.

prometheus-client takes 12 µs a line, and 10,000 jobs have 300,000 lines: they are written here, and what is written of
a job is kept until its figures change.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from dkronpy import __version__
from dkronpy.metrics.digest import QUANTILES, quantiles_among, quantiles_of
from dkronpy.model.figures import Figures, JobFigures, RunMark

log = logging.getLogger(__name__)

_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


Values: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]
"""Durations and latencies (seconds) at the quantiles; () where there are none."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job's figures."""

    job: str
    success: int
    failed: int
    figures: Figures
    last: RunMark | None
    values: Values | None = None
    """At the quantiles; None: all that was observed is in `figures.recent`."""


@dataclass(frozen=True, slots=True)
class RunningRow:
    """A run in flight; times in ns, `started` None while its start is not known."""

    job: str
    id: str
    fire: int
    started: int | None


@dataclass(frozen=True, slots=True)
class _Family:
    """A metric: its name with our prefix and, where dsari has it, with dsari's."""

    ours: str
    dsari: str
    kind: str
    help: str


_OF_JOBS: Final = (
    _Family("dkron_runs_total", "dsari_run_count", "counter", "Runs that ended."),
    _Family("dkron_runs_success_total", "dsari_run_success_count", "counter", "Runs that succeeded."),
    _Family("dkron_runs_failure_total", "dsari_run_failure_count", "counter", "Runs that ended in any other way."),
    _Family(
        "dkron_run_duration_seconds", "dsari_run_duration_seconds", "summary", "From start to end of the job's runs."
    ),
    _Family(
        "dkron_run_latency_seconds", "dsari_run_latency_seconds", "summary", "From the time a run was due to its start."
    ),
    _Family("dkron_last_run_exit_code", "dsari_last_run_exit_code", "gauge", "Exit code of the run that ended last."),
    _Family("dkron_last_run_schedule_time", "dsari_last_run_schedule_time", "gauge", "When that run was due."),
    _Family("dkron_last_run_start_time", "dsari_last_run_start_time", "gauge", "When it started."),
    _Family("dkron_last_run_stop_time", "dsari_last_run_stop_time", "gauge", "When it ended."),
    _Family("dkron_job_executions_total", "", "counter", "Runs that ended, by outcome."),
)
_IN_FLIGHT: Final = (
    _Family("dkron_running_run_schedule_time", "dsari_running_run_schedule_time", "gauge", "When a run was due."),
    _Family("dkron_running_run_start_time", "dsari_running_run_start_time", "gauge", "When a run started."),
)


def digested(of: JobFigures, quantiles: Sequence[float]) -> Values:
    """As the digests in the history have them."""
    try:
        return quantiles_of(of.durations, quantiles), quantiles_of(of.latencies, quantiles)
    except ValueError as error:
        log.error("a job's quantiles can't be read in the history: %s", error, extra={"job": of.job})
        return (), ()


class JobText:
    """Writes rows, in our words and, if asked to, in dsari's too; what was written of a row is used again while the
    same row comes."""

    def __init__(self, quantiles: Sequence[float] = QUANTILES, *, dsari: bool = False) -> None:
        self.quantiles = tuple(quantiles)
        self.dsari = dsari
        self._vocabularies = (False, True) if dsari else (False,)
        self._written: dict[str, tuple[JobRow, tuple[str, ...]]] = {}

    def parts(self, rows: Collection[JobRow], running: Collection[RunningRow]) -> Iterator[str]:
        """The text, in parts that are to be joined. Not for two threads at once."""
        written: dict[str, tuple[JobRow, tuple[str, ...]]] = {}
        for row in rows:
            held = self._written.get(row.job)
            written[row.job] = held if held is not None and held[0] is row else (row, self._written_anew(row))
        self._written = written
        columns = zip(*(texts for _, texts in written.values()), strict=True)
        for dsari in self._vocabularies:
            for family in _OF_JOBS:
                if name := _name(family, dsari):
                    yield head(name, family.kind, family.help)
                    yield from next(columns, ())
            due, begun = (_name(family, dsari) for family in _IN_FLIGHT)
            yield head(due, _IN_FLIGHT[0].kind, _IN_FLIGHT[0].help)
            yield from (f"{due}{{{_run(run)}}} {run.fire / 1e9!r}\n" for run in running)
            yield head(begun, _IN_FLIGHT[1].kind, _IN_FLIGHT[1].help)
            yield from (f"{begun}{{{_run(run)}}} {run.started / 1e9!r}\n" for run in running if run.started is not None)

    def about(self, took: float) -> str:
        """What dsari's exporter tells of itself; `took`: seconds that it took to gather the figures."""
        names = [("dkron_time_seconds", "dkron_exporter_collect_seconds")]
        if self.dsari:
            names.append(("dsari_time", "dsari_exporter_collect_seconds"))
        parts = [
            f"{head(now, 'gauge', 'Time of this server.')}{now} {time.time()!r}\n"
            f"{head(collecting, 'gauge', 'Time it took to gather the figures of jobs.')}{collecting} {took!r}\n"
            for now, collecting in names
        ]
        if self.dsari:
            parts.append(version_info("dsari_version_info"))
        return "".join(parts)

    def _written_anew(self, row: JobRow) -> tuple[str, ...]:
        """The row's lines by family, in the order of `parts`."""
        figures, last = row.figures, row.last
        durations, latencies = row.values or _among(figures, self.quantiles)
        label = f'job_name="{row.job.translate(_ESCAPES)}"'
        outcomes = {
            "success": row.success,
            "failed": row.failed - figures.timed_out - figures.killed - figures.lost,
            "timed_out": figures.timed_out,
            "killed": figures.killed,
            "lost": figures.lost,
        }
        found: list[str] = []
        for dsari in self._vocabularies:
            runs, good, bad, duration, latency, code, due, begun, ended, ends = (_name(of, dsari) for of in _OF_JOBS)
            found += (
                f"{runs}{{{label}}} {row.success + row.failed}\n",
                f"{good}{{{label}}} {row.success}\n",
                f"{bad}{{{label}}} {row.failed}\n",
                self._summary(duration, label, durations, figures.run_time, figures.observed),
                self._summary(latency, label, latencies, figures.latency, figures.observed),
                "" if last is None or last.exit_code is None else f"{code}{{{label}}} {last.exit_code}\n",
                "" if last is None else f"{due}{{{label}}} {last.fire / 1e9!r}\n",
                "" if last is None or last.started is None else f"{begun}{{{label}}} {last.started / 1e9!r}\n",
                "" if last is None else f"{ended}{{{label}}} {last.finished / 1e9!r}\n",
            )
            if ends:
                found.append(
                    "".join([f'{ends}{{{label},outcome="{outcome}"}} {count}\n' for outcome, count in outcomes.items()])
                )
        return tuple(found)

    def _summary(self, name: str, label: str, values: tuple[float, ...], total: int, count: int) -> str:
        """`total` in ns."""
        quantiles = "".join(
            [
                f'{name}{{{label},quantile="{quantile!r}"}} {value:.9g}\n'
                for quantile, value in zip(self.quantiles, values, strict=False)
            ]
        )
        return f"{quantiles}{name}_sum{{{label}}} {total / 1e9!r}\n{name}_count{{{label}}} {count}\n"


def _among(figures: Figures, quantiles: Sequence[float]) -> Values:
    pairs = list(figures.recent_after(0))
    durations = quantiles_among([duration for duration, _ in pairs], quantiles)
    return durations, quantiles_among([latency for _, latency in pairs], quantiles)


def version_info(name: str) -> str:
    return f'{head(name, "gauge", "Always 1.")}{name}{{version="{__version__}"}} 1\n'


def head(name: str, kind: str, help: str) -> str:
    """What stands before a metric's samples."""
    return f"# HELP {name} {help}\n# TYPE {name} {kind}\n"


def _name(family: _Family, dsari: bool) -> str:
    """The family's name; "" where the vocabulary has none."""
    return family.dsari if dsari else family.ours


def _run(run: RunningRow) -> str:
    return f'job_name="{run.job.translate(_ESCAPES)}",run_id="{run.id.translate(_ESCAPES)}"'
