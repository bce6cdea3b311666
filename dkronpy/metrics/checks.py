"""What checks found last, for Prometheus: on the server that leads, since it does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final, NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from dkronpy.model.checks import Figure, figures
from dkronpy.model.execution import Execution

MAX_CHECKS: Final = 5_000
"""Checks, each on its node, whose results are told."""
MAX_FIGURES: Final = 10_000
"""Performance data of all of them."""


class _Check(NamedTuple):
    """The newest result of a check on a node; `at` in seconds since the epoch."""

    status: int
    at: float
    figures: list[Figure]


class Checks(Collector):
    """The newest results by job and node. `jobs` gives the jobs there are, None where another server leads: what was
    found before is then forgotten."""

    def __init__(self, jobs: Callable[[], Collection[str] | None]) -> None:
        self._jobs = jobs
        self._found: dict[tuple[str, str], _Check] = {}

    def add(self, execution: Execution, output: bytes) -> None:
        """`output` is all that the run wrote, empty where it is too long."""
        key = (execution.job, execution.node)
        if key not in self._found and len(self._found) >= MAX_CHECKS:
            self._forget()
        if key in self._found or len(self._found) < MAX_CHECKS:
            self._found[key] = _Check(execution.check.code, (execution.finished or 0) / 1e9, figures(output))

    def _forget(self) -> None:
        """Leave out the jobs that are gone."""
        jobs = self._jobs() or ()
        self._found = {key: check for key, check in self._found.items() if key[0] in jobs}

    def collect(self) -> Iterable[Metric]:
        self._forget()
        labels = ("job_name", "node")
        status = GaugeMetricFamily(
            "dkron_check_status", "What a check found: 0 ok, 1 warning, 2 critical, 3 unknown.", labels=labels
        )
        times = GaugeMetricFamily("dkron_check_time_seconds", "When a check ended, since 1970.", labels=labels)
        values = GaugeMetricFamily(
            "dkron_check_value", "Performance data of checks, in their own units.", labels=(*labels, "label", "unit")
        )
        left = MAX_FIGURES
        for key, check in self._found.items():
            status.add_metric(key, check.status)
            times.add_metric(key, check.at)
            for figure in check.figures[:left]:
                values.add_metric((*key, figure.label, figure.unit), figure.value)
            left -= min(left, len(check.figures))
        return (status, times, values) if self._found else ()
