"""What a statsd and a DogStatsD are sent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from dkronpy.metrics.statsd import DATAGRAM, Statsd
from dkronpy.model.execution import Execution, State

RUN = Execution(
    "my-job", 10**9, 1, "n1", State.SUCCESS, fire=10**9, started=1_002_000_000, finished=3_500_000_000, exit_code=0
)


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(60)
        yield opened


def sink_to(receiver: socket.socket, node: str, tags: list[str] | None) -> Statsd:
    host, port = receiver.getsockname()
    return Statsd(host, port, node, tags)


def sent(receiver: socket.socket) -> list[str]:
    """The lines of one datagram."""
    data = receiver.recv(65536)
    assert len(data) <= DATAGRAM
    return data.decode().split("\n")


def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    Gauge("dkron_level", "A level.", registry=made).set(1.5)
    Counter("dkron_fires", "Fires.", ("outcome", "reason"), registry=made).labels("skipped", "overlap").inc(3)
    Histogram("dkron_took_seconds", "Times.", registry=made).observe(2)
    return made


async def test_a_run_and_the_nodes_figures(receiver: socket.socket) -> None:
    with closing(sink_to(receiver, "n.1", None)) as sink:
        sink.ended(RUN)
        sink.report(known := registry())
        await asyncio.sleep(0.2)
        assert sent(receiver) == [
            "dkron.grpc.execution_done:1|c",
            "dkron.runs.success.my-job:1|c",
            "dkron.run.duration.my-job:2498.000|ms",
            "dkron.run.latency.my-job:2.000|ms",
            "dkron.n_1.level:1.5|g",
            "dkron.fires_total.skipped.overlap:3|c",
            "dkron.took_seconds_count:1|c",
            "dkron.took_seconds_sum:2|c",
        ]
        sink.report(known)  # counters that have not grown say nothing
    assert sent(receiver) == ["dkron.n_1.level:1.5|g"]


async def test_tags(receiver: socket.socket) -> None:
    with closing(sink_to(receiver, "n1", ["dc:a"])) as sink:
        sink.count("agent.leadership_acquired")
        sink.ended(Execution("j", 1, 1, "n1", State.LOST, finished=5))
        sink.gauge("level", 2)
    assert sent(receiver) == [
        "dkron.agent.leadership_acquired:1|c|#dc:a,node:n1",
        "dkron.grpc.execution_done:1|c|#dc:a,node:n1",
        "dkron.runs.lost:1|c|#dc:a,node:n1,job_name:j",
        "dkron.level:2|g|#dc:a,node:n1",
    ]


async def test_many_lines_go_in_several_datagrams(receiver: socket.socket) -> None:
    with closing(sink_to(receiver, "n1", None)) as sink:
        for number in range(100):
            sink.count("some.event", number, job=f"job:{number}")
    lines: list[str] = []
    while len(lines) < 100:
        lines += sent(receiver)
    assert lines == [f"dkron.some.event.job_{number}:{number}|c" for number in range(100)]


async def test_a_network_that_refuses_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with closing(Statsd("127.0.0.1", 0, "n1", None)) as sink:  # nothing can be sent to port 0
        for _ in range(2):
            sink.count("event")
            await asyncio.sleep(0.15)
    assert [record.getMessage()[:38] for record in caplog.records] == ["figures can't be sent to 127.0.0.1:0: "]
