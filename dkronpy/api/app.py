"""The HTTP application: its routes, and the one middleware that every request passes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiohttp import web

from dkronpy.api.auth import Gate
from dkronpy.api.backfills import BackfillRoutes
from dkronpy.api.calendars import CalendarRoutes
from dkronpy.api.changes import ChangeRoutes
from dkronpy.api.cluster import ClusterRoutes
from dkronpy.api.context import Context
from dkronpy.api.document import DocumentRoutes
from dkronpy.api.errors import EXPECTED, Problem, problem
from dkronpy.api.events import Events
from dkronpy.api.executions import ExecutionRoutes
from dkronpy.api.explain import ExplainRoutes
from dkronpy.api.exposition import MetricsRoutes
from dkronpy.api.figures import Figures
from dkronpy.api.graph import GraphRoutes
from dkronpy.api.groups import GroupRoutes
from dkronpy.api.heatmap import HeatmapRoutes
from dkronpy.api.history import HistoryRoutes
from dkronpy.api.imports import ImportRoutes
from dkronpy.api.jobs import JobRoutes
from dkronpy.api.keyring import KeyringRoutes
from dkronpy.api.ledger import Ledger
from dkronpy.api.links import USE, LinkRoutes, is_use
from dkronpy.api.nodes import NodeRoutes
from dkronpy.api.output import OutputRoutes
from dkronpy.api.overview import OverviewRoutes
from dkronpy.api.requests import MAX_BODY
from dkronpy.api.restore import RestoreRoutes
from dkronpy.api.schedules import ScheduleRoutes
from dkronpy.api.services import Services
from dkronpy.api.settings import SettingsRoutes
from dkronpy.api.sources import SourceRoutes
from dkronpy.api.streams import Streams
from dkronpy.api.triggers import TriggerRoutes
from dkronpy.api.views import JobViews
from dkronpy.web.routes import DashboardRoutes

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

log = logging.getLogger(__name__)


def build(services: Services) -> web.Application:
    """The API of one server, to be given to an aiohttp runner (with its access log off). Its event streams end when the
    application shuts down."""
    streams = Streams()
    views = JobViews(services.mirror, services.now)
    context = Context(services, views, Ledger(services.mirror, services.history, services.feed), streams)
    overview = OverviewRoutes(context, Figures(services.mirror, services.history, services.now))
    gate = Gate(services.settings)
    node = services.settings().node_name
    app = web.Application(middlewares=[_middleware(gate)], client_max_size=MAX_BODY)
    for resource in (
        JobRoutes(context),
        ExecutionRoutes(context),
        TriggerRoutes(context),
        LinkRoutes(context),
        ImportRoutes(context),
        OutputRoutes(context),
        ScheduleRoutes(context),
        HeatmapRoutes(context),
        CalendarRoutes(context),
        BackfillRoutes(context),
        ExplainRoutes(context),
        ChangeRoutes(context),
        RestoreRoutes(context),
        ClusterRoutes(context),
        GraphRoutes(context),
        GroupRoutes(context),
        SettingsRoutes(context),
        SourceRoutes(context),
        KeyringRoutes(context),
        overview,
        HistoryRoutes(context),
        NodeRoutes(context),
        Events(services.mirror, views, streams, overview.body),
        DocumentRoutes(),
        MetricsRoutes(services.metrics),
        DashboardRoutes(),
    ):
        app.add_routes(resource.routes())

    async def dress(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Whom"] = node
        response.headers.extend(gate.sharing_headers(request))  # beside a Vary of the answer's own

    async def end_streams(_: web.Application) -> None:
        streams.close()

    app.on_response_prepare.append(dress)
    app.on_shutdown.append(end_streams)
    return app


def _middleware(gate: Gate) -> Middleware:
    @web.middleware
    async def serve(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = gate.refusal(request)
        if refusal is not None:
            response: web.StreamResponse = refusal.response()
        else:
            try:
                response = await handler(request)
            except EXPECTED as error:
                response = problem(error).response()
            except web.HTTPException as error:
                response = gate.preflight(request) or await _unrouted(request, error)
            except web.RequestPayloadError as error:
                detail = " ".join(str(error).split())[:200]
                response = Problem(400, f"the body can't be read as its headers say: {detail}").response()
            except Exception as error:
                if isinstance(error, ConnectionResetError) and request.transport is None:
                    return Problem(400, "the connection ended in the middle of the request").response()
                log.exception("a request failed", extra={"method": request.method, "path": _told(request)})
                response = Problem(500, "the node failed to answer; its log tells why").response()
        return response

    return serve


def _told(request: web.Request) -> str:
    """The request's path as logs may have it: that of a link is a secret."""
    return USE if is_use(request) else request.path


async def _unrouted(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """404 and 405, and the redirect of a path with one slash too many."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{request.method} is not allowed here: use {allowed}"
        return Problem(405, detail, headers={"Allow": allowed}).response()
    path = request.rel_url.raw_path
    if error.status == 404 and len(path) > 1 and path.endswith("/"):
        there = request.rel_url.with_path(path[:-1], encoded=True, keep_query=True)
        found = await request.app.router.resolve(request.clone(rel_url=there))
        if found.http_exception is None:
            status = 301 if request.method in ("GET", "HEAD") else 307
            return web.Response(status=status, headers={"Location": str(there)})
    if error.status == 404:
        return Problem(404, f"there is nothing at {request.path[:200]!r}").response()
    return Problem(error.status, error.text or error.reason).response()
