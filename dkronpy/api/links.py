"""Signed links: each lets whoever has it run one job, without a token.

A link's token is in its path. It is shown once, when the link is made, and is never logged.
"""

from __future__ import annotations

import logging
from html import escape
from typing import Final
from urllib.parse import quote

import msgspec
from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.errors import Problem
from dkronpy.api.requests import by, json_object
from dkronpy.api.shapes import time_or_null
from dkronpy.catalog.links import LinkNotFound, LinkOver
from dkronpy.model.fields import validated
from dkronpy.model.link import Link, LinkSpec
from dkronpy.model.times import rfc3339

log = logging.getLogger(__name__)

USE: Final = "/v1/links/{job}/{token}"
"""The route that is open to everybody."""
_PRIVATE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
_PAGE_HEADERS: Final = {
    **_PRIVATE,
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
}
_PAGE: Final = """<!doctype html><meta charset="utf-8"><title>Run {job}</title>
<p>This link runs the job <b>{job}</b>{once}. It holds until {expires}.</p><p>{description}</p>
<form method="post"><button>Run {job}</button></form>
"""


class LinkShape(msgspec.Struct, frozen=True):
    """A link; `path` is given only in the answer that makes it, for it holds the token."""

    job_name: str
    id: str
    created_at: str | None
    created_by: str
    expires_at: str | None
    once: bool
    uses: int
    used_at: str | None
    fault: str | None
    type: str
    description: str
    env: dict[str, str]
    path: str | msgspec.UnsetType = msgspec.UNSET


class LinkRoutes:
    """/v1/links and /v1/jobs/{job}/links."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._mirror = context.services.mirror
        self._links = context.services.links
        self._now = context.services.now

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/links", self.of_all),
            web.get("/v1/jobs/{job}/links", self.of_job),
            web.post("/v1/jobs/{job}/links", self.create),
            web.delete("/v1/jobs/{job}/links/{link}", self.revoke),
            web.get(USE, self.ask),
            web.post(USE, self.use),
        ]

    async def of_all(self, request: web.Request) -> web.Response:
        """Every job's links, without their tokens."""
        found = [shape for job in sorted(self._mirror.links) for shape in self._of(job)]
        return answer(request, found)

    async def of_job(self, request: web.Request) -> web.Response:
        self._context.held(name := request.match_info["job"])
        return answer(request, self._of(name))

    async def create(self, request: web.Request) -> web.Response:
        """Makes a link. Its `path` is told now and never again."""
        name = request.match_info["job"]
        self._context.held(name)
        spec = validated(LinkSpec, await json_object(request))
        id, link, token = await self._links.create(name, spec, by=by(request))
        path = f"/v1/links/{quote(name, safe='')}/{token}"
        return answer(request, self._shape(name, id, link, path), status=201, headers=_PRIVATE)

    async def revoke(self, request: web.Request) -> web.Response:
        self._context.held(name := request.match_info["job"])
        link = await self._links.revoke(name, id := request.match_info["link"])
        if link is None:
            raise Problem(404, f"job {name!r} has no link {id[:40]!r}")
        return answer(request, self._shape(name, id, link))

    async def ask(self, request: web.Request) -> web.Response:
        """A page with a button: what only looks at links, as mail programs do, runs nothing."""
        name = request.match_info["job"]
        link = self._opened(name, request)
        page = _PAGE.format(
            job=escape(name),
            once=", once" if link.once else "",
            expires=rfc3339(link.expires)[:19].replace("T", " ") + " UTC",
            description=escape(link.description),
        )
        return web.Response(text=page, content_type="text/html", headers=_PAGE_HEADERS)

    async def use(self, request: web.Request) -> web.Response:
        """Runs the job; what the request holds is not read."""
        name = request.match_info["job"]
        self._opened(name, request)
        try:
            group = await self._links.use(name, request.match_info["token"])
        except (LinkNotFound, LinkOver) as error:
            raise _refused(error) from None
        id, _, _ = request.match_info["token"].partition(".")
        log.info("a link asks for a run", extra={"job": name, "link": id, "group": group})
        return answer(request, {"job_name": name, "run": {"group": group}}, headers=_PRIVATE)

    def _opened(self, name: str, request: web.Request) -> Link:
        try:
            return self._links.check(name, request.match_info["token"])
        except (LinkNotFound, LinkOver) as error:
            raise _refused(error) from None

    def _of(self, job: str) -> list[LinkShape]:
        found = sorted(self._links.of(job).items(), key=lambda item: (item[1].value.since, item[0]))
        return [self._shape(job, id, held.value) for id, held in found]

    def _shape(self, job: str, id: str, link: Link, path: str | msgspec.UnsetType = msgspec.UNSET) -> LinkShape:
        return LinkShape(
            job_name=job,
            id=id,
            created_at=time_or_null(link.since),
            created_by=link.by,
            expires_at=time_or_null(link.expires),
            once=link.once,
            uses=link.uses,
            used_at=time_or_null(link.used),
            fault=link.fault(self._now()),
            type=link.type,
            description=link.description,
            env=link.env,
            path=path,
        )


def is_use(request: web.Request) -> bool:
    """Whether a request is the use of a link: that needs no token, and its path is a secret."""
    resource = request.match_info.route.resource
    return resource is not None and resource.canonical == USE


def _refused(error: LinkNotFound | LinkOver) -> Problem:
    return Problem(404 if isinstance(error, LinkNotFound) else 410, str(error))
