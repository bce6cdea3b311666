"""Concurrency groups: how many runs of the jobs that name one may be in flight, who holds its places, who waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.errors import Problem, invalid
from dkronpy.api.requests import by, json_object, present
from dkronpy.api.shapes import time_or_null
from dkronpy.model.execution import Execution
from dkronpy.model.fields import MAX_TEXT, check_group_name
from dkronpy.model.records import ConcurrencyGroup

MAX_PLACES: Final = 100_000
_UNDEFINED: Final = ConcurrencyGroup()


class HolderShape(msgspec.Struct, frozen=True):
    """A fire that holds a place, or waits for one; `since` is when it was decided."""

    job: str
    group: int
    since: str | None


class GroupShape(msgspec.Struct, frozen=True):
    """`defined` is false for one that jobs name and nobody has defined."""

    name: str
    max: int
    description: str
    defined: bool
    updated_at: str | None
    updated_by: str
    source: str
    running: list[HolderShape]
    waiting: list[HolderShape]


class GroupRoutes:
    """/v1/groups."""

    def __init__(self, context: Context) -> None:
        self._mirror = context.services.mirror
        self._jobs = context.services.jobs

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/groups", self.list),
            web.get("/v1/groups/{group}", self.get),
            web.put("/v1/groups/{group}", self.put),
            web.delete("/v1/groups/{group}", self.delete),
        ]

    async def list(self, request: web.Request) -> web.Response:
        held, waiting = self._users()
        return answer(request, [self._shape(name, held, waiting) for name in sorted(self._names())])

    async def get(self, request: web.Request) -> web.Response:
        name = request.match_info["group"]
        if name not in self._names():
            raise _unknown(name)
        return answer(request, self._shape(name, *self._users()))

    async def put(self, request: web.Request) -> web.Response:
        """Define a group, or change it: `{"max": 2, "description": "…"}`."""
        name = request.match_info["group"]
        body = await json_object(request)
        try:
            check_group_name(name)
        except ValueError as error:
            raise invalid(("name", str(error))) from None
        if body.get("name") not in (None, name):
            raise invalid(("name", f"must be {name!r}, as in the path"))
        places, description = _places(body), _description(body)
        created = await self._jobs.define_group(
            name, places, description, by=by(request), take=present(request, "take")
        )
        return answer(request, self._shape(name, *self._users()), status=201 if created else 200)

    async def delete(self, request: web.Request) -> web.Response:
        """Undefine a group: while jobs name it, it has one place."""
        name = request.match_info["group"]
        shape = self._shape(name, *self._users())
        if not await self._jobs.undefine_group(name, take=present(request, "take")):
            raise _unknown(name)
        return answer(request, shape)

    def _names(self) -> set[str]:
        named = (name for held in self._mirror.jobs.values() for name in held.value.concurrency_groups)
        return {*self._mirror.limits, *named}

    def _users(self) -> tuple[dict[str, dict[tuple[str, int], Execution]], dict[str, dict[tuple[str, int], Execution]]]:
        """Who holds places and who waits for one, by concurrency group."""
        held: dict[str, dict[tuple[str, int], Execution]] = {}
        waiting: dict[str, dict[tuple[str, int], Execution]] = {}
        for execution in self._open():
            place = (execution.job, execution.group)
            if execution.concurrency_group:
                held.setdefault(execution.concurrency_group, {})[place] = execution
            elif execution.waits and (job := self._mirror.jobs.get(execution.job)) is not None:
                for name in job.value.concurrency_groups:
                    waiting.setdefault(name, {})[place] = execution
        return held, waiting

    def _open(self) -> Iterator[Execution]:
        for runs in self._mirror.runs.values():
            for held in runs.values():
                if not held.value.state.final:
                    yield held.value

    def _shape(
        self,
        name: str,
        held: dict[str, dict[tuple[str, int], Execution]],
        waiting: dict[str, dict[tuple[str, int], Execution]],
    ) -> GroupShape:
        found = self._mirror.limits.get(name)
        group = _UNDEFINED if found is None else found.value
        return GroupShape(
            name=name,
            max=group.max,
            description=group.description,
            defined=found is not None,
            updated_at=time_or_null(group.since),
            updated_by=group.by,
            source=group.source,
            running=_holders(held.get(name, {})),
            waiting=_holders(waiting.get(name, {})),
        )


def _holders(found: dict[tuple[str, int], Execution]) -> list[HolderShape]:
    oldest_first = sorted(found.items(), key=lambda item: item[1].decided)
    return [HolderShape(job, group, time_or_null(execution.decided)) for (job, group), execution in oldest_first]


def _places(body: dict[str, Any]) -> int:
    places = body.get("max", 1)
    if type(places) is not int or not 1 <= places <= MAX_PLACES:
        raise invalid(("max", f"must be a whole number from 1 to {MAX_PLACES}"))
    return places


def _description(body: dict[str, Any]) -> str:
    description = body.get("description") or ""
    if not isinstance(description, str) or len(description) > MAX_TEXT:
        raise invalid(("description", f"must be a text of at most {MAX_TEXT} characters"))
    return description


def _unknown(name: str) -> Problem:
    return Problem(404, f"there is no concurrency group {name[:200]!r}: GET /v1/groups lists them")
