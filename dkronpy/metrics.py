"""The node's Prometheus metrics. Names and units follow Prometheus' conventions; only outcome counters carry the
job's name."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from dkronpy import __version__
from dkronpy.model.execution import Execution, State, Trigger
from dkronpy.scheduling.board import Board
from dkronpy.scheduling.step import Step

LATENESS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600)
DURATION = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
COMMIT = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)


class JobCounts(Collector):
    """`dkron_job_executions_total{job,outcome}` as plain numbers: one metric object for 100,000 jobs costs next to
    nothing."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def add(self, execution: Execution) -> None:
        key = (execution.job, execution.state.value)
        self._counts[key] = self._counts.get(key, 0) + 1

    def forget(self, job: str) -> None:
        """The job was deleted."""
        for key in [key for key in self._counts if key[0] == job]:
            del self._counts[key]

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "dkron_job_executions",
            "Executions that ended, by job and outcome, since this node leads.",
            labels=("job", "outcome"),
        )
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        yield family


class Metrics:
    """One node's metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        ProcessCollector(registry=registry)
        self.jobs = JobCounts()
        registry.register(self.jobs)
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
        self.cursor_lag = Gauge(
            "dkron_cursor_lag_seconds", "How long the oldest undecided fire is overdue.", registry=registry
        )
        self.queued = Gauge("dkron_queued_executions", "Executions that wait to be tried again.", registry=registry)
        self.in_flight = Gauge("dkron_groups_in_flight", "Groups that have not ended.", registry=registry)
        self.waiting = Gauge("dkron_fires_waiting", "Fires that wait for their turn or for a node.", registry=registry)
        self.unarchived = Gauge("dkron_groups_in_store", "Groups not yet moved to the history.", registry=registry)
        self.running = Gauge("dkron_running_executions", "Runs in flight on this node.", registry=registry)
        self.loop_lag = Gauge(
            "dkron_event_loop_lag_seconds", "Largest delay of the event loop in the last second.", registry=registry
        )

    def stepped(self, step: Step, board: Board, now: int) -> None:
        """Account for a step that was committed."""
        for execution in step.decided:
            outcome = "run" if not execution.state.final else execution.state.value
            self.fires.labels(outcome, execution.reason).inc(execution.count)
        for execution, report in step.archive:
            self.jobs.add(execution)
            if report is None or execution.started is None:
                continue
            if execution.trigger is Trigger.SCHEDULE and execution.attempt == 1:
                self.lateness.observe(max(execution.started - execution.fire, 0) / 1e9)
            if execution.finished is not None and execution.state is not State.LOST:
                self.duration.observe(max(execution.finished - execution.started, 0) / 1e9)
        for name, _ in step.purge:
            self.jobs.forget(name)
        self.look(board, now)

    def look(self, board: Board, now: int) -> None:
        """Read the gauges off the board."""
        head = board.timeline.head()
        self.cursor_lag.set(max(now - head[0], 0) / 1e9 if head is not None else 0)
        self.queued.set(len(board.retries))
        self.in_flight.set(sum(map(len, board.in_flight.values())))
        self.waiting.set(sum(map(len, board.waiting.by_job.values())))
        self.unarchived.set(len(board.groups))
