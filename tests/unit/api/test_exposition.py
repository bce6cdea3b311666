"""What we write is what prometheus-client would."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from dkronpy.api.exposition import exposition


class Totals(Collector):
    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def collect(self):
        family = CounterMetricFamily("ended", 'By "job"\nand \\ outcome.', labels=("job", "outcome"))
        for job in range(self.jobs):
            for outcome in ("success", 'f"a\\i\nl'):
                family.add_metric((f"job{job}", outcome), job * 1000)
        yield family
        yield CounterMetricFamily("plain", "No label.", value=5)


def registry(jobs: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("made", "With its time of making.", ("a",), registry=registry).labels("x").inc()
    Gauge("level", "A gauge.", registry=registry).set(1.5)
    Histogram("took_seconds", "A histogram.", registry=registry).observe(0.3)
    registry.register(Totals(jobs))
    return registry


def test_the_same_lines() -> None:
    found = exposition(registry(3).collect()).splitlines()
    expected = generate_latest(registry(3)).splitlines()
    assert sorted(line for line in found if b"made_created" not in line and b"seconds_created" not in line) == sorted(
        line for line in expected if b"made_created" not in line and b"seconds_created" not in line
    )
    assert b'ended_total{job="job2",outcome="f\\"a\\\\i\\nl"} 2000.0' in found


def test_many_jobs_take_little_time() -> None:
    families = list(registry(10_000).collect())
    began = time.process_time()
    exposition(families)
    assert time.process_time() - began < 0.2
