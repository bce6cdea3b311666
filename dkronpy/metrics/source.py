"""What a server exports of the directory that it takes jobs from."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from dkronpy.model.source import SourceReport, SourceState


class SourceGauges(Collector):
    def __init__(self, report: Callable[[], SourceReport]) -> None:
        self._report = report

    def collect(self) -> Iterable[Metric]:
        report = self._report()
        yield GaugeMetricFamily("dkron_source_jobs", "Jobs that the job directory defines.", value=len(report.jobs))
        yield GaugeMetricFamily("dkron_source_problems", "What is wrong with it.", value=len(report.problems))
        yield GaugeMetricFamily(
            "dkron_source_looked_at_timestamp_seconds", "When it was last read.", value=report.at / 1e9
        )
        state = GaugeMetricFamily("dkron_source_state", "1 for the state that it is in.", labels=("state",))
        for name in SourceState:
            state.add_metric((name.value,), 1 if name is report.state else 0)
        yield state
