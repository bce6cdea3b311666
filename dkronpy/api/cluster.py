"""The node and its cluster: health, index, leader, members, leaving, the pause."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from dkronpy import __version__
from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.errors import Problem, invalid
from dkronpy.api.requests import MAY_WRITE, by, json_object
from dkronpy.api.shapes import MemberShape, member_shape, time_or_null
from dkronpy.model.member import Member, MemberStatus
from dkronpy.model.records import Pause
from dkronpy.web.routes import lead, wants_page

MAX_REASON = 1000
"""Characters of the reason for a pause."""


class ClusterRoutes:
    """The routes that are about no job."""

    def __init__(self, context: Context) -> None:
        self._services = context.services
        self._cluster = context.services.cluster

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/health", self.health),
            web.get("/", self.root),
            web.get("/v1", self.index),
            web.get("/v1/", self.index),
            web.get("/v1/whoami", self.whoami),
            web.get("/v1/leader", self.leader),
            web.get("/v1/isleader", self.is_leader),
            web.get("/v1/members", self.members),
            web.get("/v1/raft/peers", self.peers),
            web.post("/v1/nodes/{node}/drain", self.drain),
            web.post("/v1/nodes/{node}/undrain", self.undrain),
            web.post("/v1/leave", self.leave),
            web.get("/v1/pause", self.paused),
            web.post("/v1/pause", self.pause),
            web.post("/v1/unpause", self.unpause),
        ]

    def _shape(self, member: Member) -> MemberShape:
        return member_shape(member, self._services.mirror.drains.get(member.name))

    async def health(self, request: web.Request) -> web.Response:
        issues = [*self._services.faults()]
        store = "ok" if self._services.mirror.healthy else "unavailable"
        if store != "ok":
            issues.append("the store can't be reached")
        body: dict[str, Any] = {
            "status": "unhealthy" if issues else "healthy",
            "leader": self._cluster.leading(),
            "leader_name": self._cluster.leader(),
            "store": store,
        }
        if issues:
            body["issues"] = issues
        return answer(request, body, status=503 if issues else 200)

    async def root(self, request: web.Request) -> web.Response:
        """Leads a browser to the dashboard."""
        if wants_page(request):
            return lead(request)
        response = await self.index(request)
        response.headers["Vary"] = "Accept"
        return response

    async def index(self, request: web.Request) -> web.Response:
        """The node in short. All values are strings, as Dkron's clients expect."""
        settings = self._services.settings()
        members = self._cluster.members()
        tags = dict[str, str]()
        for member in members:
            if member.name == settings.node_name:
                tags = member.tags
        counts = {status: sum(member.status is status for member in members) for status in MemberStatus}
        zeros = (
            "health_score",
            "member_time",
            "event_time",
            "query_time",
            "intent_queue",
            "event_queue",
            "query_queue",
        )
        return answer(
            request,
            {
                "agent": {
                    "name": settings.node_name,
                    "version": __version__,
                    "backend": str(settings.backend),
                    "backend_status": "200" if self._services.mirror.healthy else "503",
                },
                "serf": {
                    "members": str(len(members)),
                    "failed": str(counts[MemberStatus.FAILED]),
                    "left": str(counts[MemberStatus.LEFT]),
                    **dict.fromkeys(zeros, "0"),
                    "encrypted": "true" if settings.encrypt else "false",
                    "coordinate_resets": "0",
                },
                "tags": tags,
            },
        )

    async def whoami(self, request: web.Request) -> web.Response:
        """Whose token the request bears, and whether it may change anything."""
        tokens = MAY_WRITE in request
        return answer(
            request,
            {"name": by(request), "write": request.get(MAY_WRITE, True), "tokens": tokens, "version": __version__},
        )

    async def leader(self, request: web.Request) -> web.Response:
        name = self._cluster.leader()
        for member in self._cluster.members():
            if member.name == name:
                return answer(request, self._shape(member))
        raise Problem(503, "nobody leads at this moment: try again", headers={"Retry-After": "1"})

    async def is_leader(self, request: web.Request) -> web.Response:
        if self._cluster.leading():
            return answer(request, "I am a leader")
        return answer(request, "I am a follower", status=404)

    async def members(self, request: web.Request) -> web.Response:
        shapes = [self._shape(member) for member in self._cluster.members()]
        return answer(request, shapes, headers={"X-Total-Count": str(len(shapes))})

    async def peers(self, request: web.Request) -> web.Response:
        return answer(request, [msgspec.to_builtins(peer) for peer in self._cluster.peers()])

    async def drain(self, request: web.Request) -> web.Response:
        member = self._member(request)
        await self._services.jobs.drain(member.name, by=by(request))
        return answer(request, self._shape(member))

    async def undrain(self, request: web.Request) -> web.Response:
        member = self._member(request)
        await self._services.jobs.undrain(member.name)
        return answer(request, self._shape(member))

    def _member(self, request: web.Request) -> Member:
        name = request.match_info["node"]
        for member in self._cluster.members():
            if member.name == name:
                return member
        raise Problem(404, f"there is no node {name[:200]!r}: GET /v1/members lists them")

    async def leave(self, request: web.Request) -> web.Response:
        """Answers with the members that remain."""
        name = self._services.settings().node_name
        await self._cluster.leave()
        return answer(request, [self._shape(member) for member in self._cluster.members() if member.name != name])

    async def paused(self, request: web.Request) -> web.Response:
        held = self._services.mirror.pause
        return answer(request, pause_shape(None if held is None else held.value))

    async def pause(self, request: web.Request) -> web.Response:
        reason = (await json_object(request)).get("reason") or ""
        if not isinstance(reason, str) or len(reason) > MAX_REASON:
            raise invalid(("reason", f"must be a string of at most {MAX_REASON} characters"))
        return answer(request, pause_shape(await self._services.jobs.pause(reason=reason, by=by(request))))

    async def unpause(self, request: web.Request) -> web.Response:
        return answer(request, pause_shape(await self._services.jobs.unpause()))


def pause_shape(pause: Pause | None) -> dict[str, Any]:
    if pause is None or not pause.holds:
        return {"paused": False}
    return {"paused": True, "since": time_or_null(pause.since), "reason": pause.reason, "by": pause.by}
