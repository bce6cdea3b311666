"""GET /metrics: figures in Prometheus' text format."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from dkronpy.metrics import Metrics


class MetricsRoutes:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._writing = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/metrics", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        """Collects at once, as collectors read what belongs to the loop; writes in a thread, as that takes time."""
        async with self._writing:
            metrics, lead = self._metrics, self._metrics.lead
            begun = time.perf_counter()
            families = list(metrics.registry.collect())
            rows, running = ([], []) if lead is None else (lead.rows(), lead.running())

            def written() -> bytes:
                texts = [generate_latest(_Collected(families)).decode()]
                if lead is not None:
                    texts.extend(metrics.text.parts(rows, running))
                    texts.append(metrics.text.about(time.perf_counter() - begun))
                return "".join(texts).encode()  # of 100,000 jobs 200 MB and more: copied no oftener than this

            body = await asyncio.to_thread(written)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Collected(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
