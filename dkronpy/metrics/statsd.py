"""Figures to a statsd or a DogStatsD, by UDP: Dkron 1's events, the runs, and every ten seconds what /metrics shows of
the node. What nobody takes is lost, as is usual with statsd."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry

from dkronpy.model.execution import Execution, State

log = logging.getLogger(__name__)

PREFIX: Final = "dkron"
DATAGRAM: Final = 1400
"""Bytes of a datagram at most, which fits an Ethernet frame."""
GATHERING: Final = 0.1
"""Seconds that lines wait for others to go with."""
REPORTING: Final = 10.0
"""Seconds between two reports of the node's figures."""
_FLAT: Final = str.maketrans(dict.fromkeys(": |@#\n", "_"))


class Statsd:
    """Sends to one address. `tags` None: a plain statsd, which knows no tags, so that a job's name becomes the last
    part of a metric's name, and the node's the first of a gauge's, as Dkron 1 had it."""

    def __init__(self, host: str, port: int, node: str, tags: Sequence[str] | None) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._address = (host, port)
        self._node = node.translate(_FLAT).replace(".", "_")
        self._tags = None if tags is None else [*tags, f"node:{node}"]
        self._lines: list[str] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._failing = False
        self._counted: dict[str, float] = {}

    def close(self) -> None:
        """Send what waits."""
        self._send()
        self._socket.close()

    def count(self, name: str, number: float = 1, *, job: str = "") -> None:
        self._add(name, f"{number:g}|c", job)

    def timing(self, name: str, ns: int, *, job: str = "") -> None:
        self._add(name, f"{ns / 1e6:.3f}|ms", job)

    def gauge(self, name: str, value: float) -> None:
        self._add(name if self._tags is not None else f"{self._node}.{name}", f"{value:.12g}|g", "")

    def ended(self, execution: Execution) -> None:
        """A run has ended, and that is recorded."""
        self.count("grpc.execution_done")
        self.count(f"runs.{execution.state.value}", job=execution.job)
        if execution.started is None or execution.finished is None or execution.state is State.LOST:
            return
        self.timing("run.duration", max(execution.finished - execution.started, 0), job=execution.job)
        self.timing("run.latency", max(execution.started - execution.fire, 0), job=execution.job)

    def report(self, registry: CollectorRegistry) -> None:
        """What the registry holds: gauges, and by how much counters and histograms have grown."""
        for family in registry.collect():
            for sample in family.samples:
                if sample.name.endswith(("_created", "_bucket", "_info")):
                    continue
                name = sample.name.removeprefix("dkron_") + _suffix(sample.labels)
                if family.type == "gauge":
                    self.gauge(name, sample.value)
                elif grown := sample.value - self._counted.get(name, 0):
                    self._counted[name] = sample.value
                    self.count(name, grown)

    def _add(self, name: str, value: str, job: str) -> None:
        name = f"{PREFIX}.{name}".translate(_FLAT)
        if self._tags is None:
            line = f"{name}.{job.translate(_FLAT)}:{value}" if job else f"{name}:{value}"
        else:
            tags = [*self._tags, f"job_name:{job}"] if job else self._tags
            line = f"{name}:{value}|#{','.join(tags)}"
        if self._size + len(line) + 1 > DATAGRAM:
            self._send()
        self._lines.append(line)
        self._size += len(line) + 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHERING, self._send)

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines, self._size = self._lines, [], 0
        if not lines:
            return
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            if not self._failing:
                log.warning("figures can't be sent to %s:%d: %s", *self._address, error)
            self._failing = True
        else:
            self._failing = False


async def report(sinks: Iterable[Statsd], registry: CollectorRegistry) -> None:
    """Report again and again, until cancelled."""
    while True:
        await asyncio.sleep(REPORTING)
        for sink in sinks:
            sink.report(registry)


def _suffix(labels: Mapping[str, str]) -> str:
    """The labels as a part of a name, for those who know no labels."""
    return "".join(f".{value}" for value in labels.values() if value)
