"""The figures of jobs from a history, for Prometheus: a process of its own, beside any server or without one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web

from dkronpy.history.contract import History, HistoryError
from dkronpy.metrics.job_figures import JobRow, JobText, digested, version_info
from dkronpy.model.figures import JobFigures

log = logging.getLogger(__name__)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PAGE: Final = 500
"""Jobs whose figures are read together."""


class Exporter:
    """Reads figures again when they are older than `cache_time` seconds. What runs now is not in a history."""

    def __init__(
        self, history: History, text: JobText, *, cache_time: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._history = history
        self._text = text
        self._cache_time = cache_time
        self._clock = clock
        self._read_at: float | None = None
        self._took = 0.0
        self._rows: dict[str, tuple[tuple[int, int], JobRow]] = {}
        self._turn = asyncio.Lock()

    async def exposition(self) -> bytes:
        """The whole text. Raises HistoryError."""
        async with self._turn:
            if self._read_at is None or self._clock() - self._read_at >= self._cache_time:
                await self._read()
            return await asyncio.to_thread(self._written)

    def app(self, path: str) -> web.Application:
        """Serves the text at `path`."""

        async def get(_request: web.Request) -> web.Response:
            try:
                body = await self.exposition()
            except HistoryError as error:
                log.error("the history can't be read: %s", error)
                return web.Response(status=503, text=f"the history can't be read: {error}\n")
            return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

        app = web.Application()
        app.router.add_get(path, get)
        return app

    async def _read(self) -> None:
        begun = self._clock()
        rows: dict[str, tuple[tuple[int, int], JobRow]] = {}
        after = ""
        while True:
            page = await self._history.figures(after=after, limit=PAGE)
            rows.update(await asyncio.to_thread(self._digested, page))
            if len(page) < PAGE:
                break
            after = page[-1].job
        self._rows = rows
        self._read_at = self._clock()
        self._took = self._read_at - begun

    def _digested(self, page: Sequence[JobFigures]) -> dict[str, tuple[tuple[int, int], JobRow]]:
        """Rows of a page; those whose figures have not changed since are the same as before."""
        found: dict[str, tuple[tuple[int, int], JobRow]] = {}
        for of in page:
            held = self._rows.get(of.job)
            if held is None or held[0] != of.figures.age:
                values = digested(of, self._text.quantiles)
                held = (of.figures.age, JobRow(of.job, of.success, of.failed, of.figures, of.last, values))
            found[of.job] = held
        return found

    def _written(self) -> bytes:
        text = self._text
        rows = [row for _, row in self._rows.values()]
        return "".join((*text.parts(rows, ()), text.about(self._took), version_info("dkron_build_info"))).encode()
