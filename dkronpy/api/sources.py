"""/v1/sources: the directory that this server takes jobs from, and what became of it."""

from __future__ import annotations

import msgspec
from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.shapes import time_or_null
from dkronpy.model.source import SourceReport, SourceState


class SourceShape(msgspec.Struct, frozen=True):
    directory: str
    state: SourceState
    looked_at: str | None
    digest: str
    files: tuple[str, ...]
    jobs: tuple[str, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


class SourceRoutes:
    def __init__(self, context: Context) -> None:
        self._sources = context.services.sources

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/sources", self.all)]

    async def all(self, request: web.Request) -> web.Response:
        return answer(request, [_shape(report) for report in self._sources()])


def _shape(report: SourceReport) -> SourceShape:
    return SourceShape(
        directory=report.directory,
        state=report.state,
        looked_at=time_or_null(report.at),
        digest=report.digest,
        files=report.files,
        jobs=report.jobs,
        problems=report.problems,
        warnings=report.warnings,
    )
