"""GET /metrics: figures in Prometheus' text format.

prometheus-client takes 12 µs a line. Counters with a label for each job are most of the lines, and are written here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class MetricsRoutes:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/metrics", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        """Collects at once, as collectors read what belongs to the loop; writes in a thread, as that takes time."""
        families = list(self._registry.collect())
        body = await asyncio.to_thread(exposition, families)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def exposition(families: Iterable[Metric]) -> bytes:
    """The families' text, as `generate_latest` of a registry that collects them, but for the order of the families."""
    plain: list[Metric] = []
    others: list[Metric] = []
    for family in families:
        only_totals = family.type == "counter" and all(
            sample.name == f"{family.name}_total" for sample in family.samples
        )
        (plain if only_totals else others).append(family)
    return generate_latest(_Collected(others)) + "".join(map(_counter, plain)).encode()


def _counter(family: Metric) -> str:
    name = f"{family.name}_total"
    text = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
    lines = [f"# HELP {name} {text}\n# TYPE {name} counter\n"]
    for sample in family.samples:
        labels = ",".join([f'{label}="{value.translate(_ESCAPES)}"' for label, value in sorted(sample.labels.items())])
        lines.append(f"{name}{{{labels}}} {float(sample.value)!r}\n" if labels else f"{name} {float(sample.value)!r}\n")
    return "".join(lines)


class _Collected(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
