"""GET /v1/jobs/{job}/changes: who changed a job's definition, when, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.errors import no_job
from dkronpy.model.job import Edit
from dkronpy.model.spec import to_document
from dkronpy.model.times import rfc3339


class Difference(msgspec.Struct, frozen=True):
    """A field before and after; null where there was or is no job."""

    old: Any
    new: Any


class ChangeShape(msgspec.Struct, frozen=True):
    """One change: `action` is created, changed or deleted; `job` is the definition from then on, null when deleted."""

    at: str
    by: str
    action: str
    changes: dict[str, Difference]
    job: dict[str, Any] | None


class ChangeRoutes:
    def __init__(self, context: Context) -> None:
        self._services = context.services

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/jobs/{job}/changes", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        """Newest first; also of a job that is deleted, as long as its changes are kept."""
        name = request.match_info["job"]
        edits = await self._services.jobs.edits(name)
        if not edits:
            raise no_job(name)
        return answer(request, changes(edits))


def changes(edits: Sequence[Edit]) -> list[ChangeShape]:
    """What each edit changed, newest first; `edits` are oldest first."""
    shapes: list[ChangeShape] = []
    before: dict[str, Any] | None = None
    for edit in edits:
        after = None if edit.job is None else to_document(edit.job)
        if after is None:
            action, differences = "deleted", {}
        elif before is None:
            action, differences = "created", {}
        else:
            action = "changed"
            differences = {
                field: Difference(before[field], after[field]) for field in after if before[field] != after[field]
            }
        shapes.append(ChangeShape(rfc3339(edit.since), edit.by, action, differences, after))
        before = after
    return shapes[::-1]
