"""Nodes as those see them who look for a place to run: what runs on each, and which jobs could."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import msgspec
from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.errors import Problem
from dkronpy.api.requests import integer, tags
from dkronpy.api.shapes import DrainShape, time_or_null
from dkronpy.api.views import unhurried
from dkronpy.model.execution import State
from dkronpy.model.member import Member
from dkronpy.scheduling.targeting import matching

MAX_NAMES: Final = 1000


class NodeShape(msgspec.Struct, frozen=True, gc=False):
    """A node. `running` and `ordered` count executions that its runner has, and that it was sent."""

    name: str
    address: str
    status: str
    server: bool
    leader: bool
    version: str
    tags: dict[str, str]
    drained: DrainShape | None
    running: int
    ordered: int


class NodeRoutes:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._cluster = context.services.cluster
        self._mirror = context.services.mirror

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/nodes", self.list),
            web.get("/v1/nodes/{node}", self.get),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """All nodes by name, or those that a job with these tags could run on now: `?tags[role]=web`."""
        members = sorted(self._cluster.members(), key=lambda member: member.name)
        if wanted := tags(request):
            picked = set(matching(wanted, self._open(members)))
            members = [member for member in members if member.name in picked]
        return answer(request, self._shapes(members))

    async def get(self, request: web.Request) -> web.Response:
        """One node, and the jobs whose tags pick it."""
        name = request.match_info["node"]
        limit = integer(request, "limit", 100, least=1, most=MAX_NAMES)
        found = [member for member in self._cluster.members() if member.name == name]
        if not found:
            raise Problem(404, f"there is no node {name[:200]!r}: GET /v1/nodes lists them")
        there = self._open(found)
        fitting = [
            held.value.name async for held in unhurried(self._context.views.jobs()) if matching(held.value.tags, there)
        ]
        body: dict[str, Any] = msgspec.to_builtins(self._shapes(found)[0])
        return answer(request, {**body, "jobs": fitting[:limit], "jobs_total": len(fitting)})

    def _open(self, members: list[Member]) -> list[Member]:
        """Those that are not drained."""
        return [member for member in members if member.name not in self._mirror.drains]

    def _shapes(self, members: list[Member]) -> list[NodeShape]:
        running, ordered = Counter[str](), Counter[str]()
        for execution in self._context.ledger.flying():
            if execution.state is State.RUNNING:
                running[execution.node] += 1
            elif execution.state is State.DISPATCHED:
                ordered[execution.node] += 1
        leader = self._cluster.leader()
        return [
            NodeShape(
                name=member.name,
                address=f"{member.addr}:{member.port}",
                status=member.status.name.lower(),
                server=member.tags.get("server") == "true",
                leader=member.name == leader,
                version=member.tags.get("version", ""),
                tags=member.tags,
                drained=None
                if (drain := self._mirror.drains.get(member.name)) is None
                else DrainShape(time_or_null(drain.value.since), drain.value.by),
                running=running[member.name],
                ordered=ordered[member.name],
            )
            for member in members
        ]
