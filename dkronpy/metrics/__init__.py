"""A node's Prometheus metrics: its own, and, while it leads, those of the whole cluster, which no other server exports
then. Names and units follow Prometheus' conventions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from dkronpy import __version__
from dkronpy.metrics.checks import Checks
from dkronpy.metrics.digest import QUANTILES
from dkronpy.metrics.job_figures import JobRow, JobText, RunningRow
from dkronpy.metrics.statsd import Statsd
from dkronpy.model.execution import State, Trigger
from dkronpy.scheduling.board import Board
from dkronpy.scheduling.step import Step

LATENESS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600)
DURATION = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
COMMIT = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)


class Rows(Protocol):
    """Where the figures of jobs come from."""

    def rows(self, jobs: Iterable[str]) -> list[JobRow]: ...


class Lead:
    """What the server that leads exports of the cluster."""

    def __init__(self, board: Board, figures: Rows, now: Callable[[], int]) -> None:
        self.board = board
        self._figures = figures
        self.now = now

    def rows(self) -> list[JobRow]:
        """The figures of all jobs."""
        return self._figures.rows(self.board.jobs)

    def running(self) -> list[RunningRow]:
        """The runs in flight."""
        runs = map(self.board.execution, self.board.ordered())
        return [RunningRow(run.job, run.id, run.fire, run.started) for run in runs if run is not None]


class _LeaderGauges(Collector):
    """The state of the cluster, as the leader sees it."""

    def __init__(self, lead: Callable[[], Lead | None]) -> None:
        self._lead = lead

    def collect(self) -> Iterable[Metric]:
        if (lead := self._lead()) is None:
            return
        board = lead.board
        first = board.timeline.head()
        for name, meaning, value in (
            (
                "dkron_cursor_lag_seconds",
                "How long the oldest undecided fire is overdue.",
                max(lead.now() - first[0], 0) / 1e9 if first is not None else 0,
            ),
            ("dkron_jobs", "Jobs that are scheduled.", len(board.jobs)),
            ("dkron_queued_executions", "Executions that wait to be tried again.", len(board.retries)),
            ("dkron_groups_in_flight", "Groups that have not ended.", sum(map(len, board.in_flight.values()))),
            (
                "dkron_fires_waiting",
                "Fires that wait for their turn or for a node.",
                sum(map(len, board.waiting.by_job.values())),
            ),
            ("dkron_groups_in_store", "Groups not yet moved to the history.", len(board.groups)),
        ):
            yield GaugeMetricFamily(name, meaning, value=value)


class Metrics:
    """One node's metrics."""

    def __init__(
        self, quantiles: Sequence[float] = QUANTILES, *, dsari_names: bool = False, sinks: Sequence[Statsd] = ()
    ) -> None:
        self.sinks = sinks
        self.registry = CollectorRegistry()
        registry = self.registry
        ProcessCollector(registry=registry)
        self.text = JobText(quantiles, dsari=dsari_names)
        self.lead: Lead | None = None
        """While this node leads."""
        registry.register(_LeaderGauges(lambda: self.lead))
        self.checks = Checks(lambda: self.lead.board.jobs if self.lead is not None else None)
        registry.register(self.checks)
        Gauge("dkron_build_info", "Always 1.", ("version",), registry=registry).labels(__version__).set(1)
        self.leading = Gauge("dkron_leader", "1 on the node that leads, else 0.", registry=registry)
        self.epoch = Gauge("dkron_leader_epoch", "Epoch of the last claim of this node.", registry=registry)
        self.clock_offset = Gauge(
            "dkron_clock_offset_seconds",
            "Largest distance of this server's clock from another server's.",
            registry=registry,
        )
        self.lateness = Histogram(
            "dkron_lateness_seconds", "From the fire time to the start of the run.", buckets=LATENESS, registry=registry
        )
        self.duration = Histogram(
            "dkron_duration_seconds", "From start to end of a run.", buckets=DURATION, registry=registry
        )
        self.fires = Counter(
            "dkron_fires",
            "Fires and requests decided, by outcome and reason.",
            ("outcome", "reason"),
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "dkron_store_commit_seconds",
            "Time the store took for the leader's commits.",
            buckets=COMMIT,
            registry=registry,
        )
        self.running = Gauge("dkron_running_executions", "Runs in flight on this node.", registry=registry)
        self.loop_lag = Gauge(
            "dkron_event_loop_lag_seconds", "Largest delay of the event loop in the last second.", registry=registry
        )

    def leads(self, epoch: int) -> None:
        """This node has begun to lead."""
        self.epoch.set(epoch)
        self.leading.set(1)
        self._tell("agent.leadership_acquired", "scheduler.start")

    def leads_no_more(self) -> None:
        self.leading.set(0)
        self._tell("agent.leadership_lost")

    def _tell(self, *events: str) -> None:
        for sink in self.sinks:
            for event in events:
                sink.count(event)

    def stepped(self, step: Step) -> None:
        """Account for a step that was committed."""
        for execution in step.decided:
            outcome = "run" if not execution.state.final else execution.state.value
            self.fires.labels(outcome, execution.reason).inc(execution.count)
        for execution, report in step.archive:
            if execution.check:
                self.checks.add(execution, report.tail if report is not None and not report.tail_start else b"")
            if execution.state.ran:
                for sink in self.sinks:
                    sink.ended(execution)
            if report is None or execution.started is None:
                continue
            if execution.trigger is Trigger.SCHEDULE and execution.attempt == 1:
                self.lateness.observe(max(execution.started - execution.fire, 0) / 1e9)
            if execution.finished is not None and execution.state is not State.LOST:
                self.duration.observe(max(execution.finished - execution.started, 0) / 1e9)
