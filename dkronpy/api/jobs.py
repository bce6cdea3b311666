"""Jobs: list, read, create, replace, change, delete, switch on and off, run."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final
from urllib.parse import quote

import msgspec
from aiohttp import web

from dkronpy.api.answers import answer_bytes
from dkronpy.api.context import Context
from dkronpy.api.definitions import checked_job, merged, name_in
from dkronpy.api.errors import invalid
from dkronpy.api.requests import by, etag, expected_revision, integer, json_body, json_object, present, switch
from dkronpy.api.views import NEVER, unhurried
from dkronpy.catalog.jobs import Written
from dkronpy.catalog.mirror import Held
from dkronpy.model.job import Job, JobState, JobStatus
from dkronpy.model.parameter_spec import given
from dkronpy.model.trigger_spec import parse_trigger, to_trigger

_UNTRIGGERED: Final = "untriggered"
_STATUSES: Final = {_UNTRIGGERED: JobStatus.UNTRIGGERED} | {str(status): status for status in JobStatus if status}
_ENTRY: Final = re.compile(r"(tags|metadata)\[(.+)\]", re.DOTALL)
_STATELESS: Final = JobState()


class JobRoutes:
    """The routes under /v1/jobs that are about the job itself."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._mirror = context.services.mirror
        self._jobs = context.services.jobs
        self._views = context.views
        self._now = context.services.now

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/jobs/{job}", self.get),
            web.get("/v1/jobs", self.list),
            web.post("/v1/jobs", self.create),
            web.patch("/v1/jobs", self.patch),
            web.put("/v1/jobs/{job}", self.replace),
            web.patch("/v1/jobs/{job}", self.patch),
            web.delete("/v1/jobs/{job}", self.delete),
            web.post("/v1/jobs/{job}", self.run),
            web.post("/v1/jobs/{job}/run", self.run),
            web.post("/v1/jobs/{job}/toggle", self.toggle),
        ]

    async def get(self, request: web.Request) -> web.Response:
        held = self._context.held(request.match_info["job"])
        return answer_bytes(request, self._views.body(held), headers={"ETag": etag(held.revision)})

    async def list(self, request: web.Request) -> web.Response:
        if "?" not in request.raw_path:
            body = await self._views.all()
            return answer_bytes(request, body, headers={"X-Total-Count": str(len(self._mirror.jobs))})
        found = await self._sorted(request, self._selected(request))
        start = integer(request, "_start", 0)
        end = integer(request, "_end", len(found))
        body = await self._views.array(found[start:end])
        return answer_bytes(request, body, headers={"X-Total-Count": str(len(found))})

    async def create(self, request: web.Request) -> web.Response:
        data = await json_body(request)
        return await self._put(request, data, status=201)

    async def replace(self, request: web.Request) -> web.Response:
        name = request.match_info["job"]
        data = await json_object(request)
        _same_name(data, name)
        return await self._put(request, {**data, "name": name}, status=200)

    async def patch(self, request: web.Request) -> web.Response:
        """RFC 7396 merge; without a name in the path the body names the job, and one that is new is created."""
        data = await json_object(request)
        name = request.match_info.get("job")
        if name is None:
            named = data.get("name")
            if not isinstance(named, str) or named not in self._mirror.jobs:
                return await self._put(request, data, status=201)
            name = named
        _same_name(data, name)
        expect = expected_revision(request, self._context.held(name).revision)
        written = await self._jobs.change(
            name,
            lambda job: self._checked(merged(job, data), job),
            by=by(request),
            expect=expect,
            take=present(request, "take"),
        )
        return self._written(request, written, status=200)

    async def delete(self, request: web.Request) -> web.Response:
        held = self._context.held(name := request.match_info["job"])
        body = self._views.body(held)
        expect = expected_revision(request, held.revision)
        await self._jobs.delete(name, by=by(request), expect=expect, take=present(request, "take"))
        return answer_bytes(request, body)

    async def toggle(self, request: web.Request) -> web.Response:
        name = request.match_info["job"]
        expect = expected_revision(request, self._context.held(name).revision)
        written = await self._jobs.change(name, _toggled, by=by(request), expect=expect)
        return self._written(request, written, status=200)

    async def run(self, request: web.Request) -> web.Response:
        """Asks for a run, durably, and answers at once; a body tells when it shall be, and what comes with it."""
        name = request.match_info["job"]
        held = self._context.held(name)
        spec = parse_trigger(await json_object(request))
        who = by(request)
        group = await self._context.services.requests.ask(
            name, lambda job, now: to_trigger(spec, job.parameters, now=now, by=who)
        )
        assert group is not None, "a request without guards of its own is repeated until it is written"
        body = self._views.body(self._mirror.jobs.get(name, held))
        return answer_bytes(request, _with_run(body, group), headers={"Location": request.path})

    async def _put(self, request: web.Request, data: Any, *, status: int) -> web.Response:
        """Create or replace; `status` is for a replaced job, a new one is 201."""
        held = self._mirror.jobs.get(name) if (name := name_in(data)) is not None else None
        expect = expected_revision(request, 0 if held is None else held.revision)
        job = self._checked(data, None if held is None else held.value)
        run = "?" in request.raw_path and present(request, "runoncreate")
        if run:
            given(job.parameters, {}, {})
        take = "?" in request.raw_path and present(request, "take")
        written = await self._jobs.put(job, by=by(request), expect=expect, run=run, take=take)
        return self._written(request, written, status=201 if written.created else status)

    def _checked(self, data: object, old: Job | None) -> Job:
        return checked_job(data, now=self._now(), old=old, calendars=self._context.calendars)

    def _written(self, request: web.Request, written: Written, *, status: int) -> web.Response:
        held = written.job
        body = self._views.body(held)
        if written.group is not None:
            body = _with_run(body, written.group)
        headers = {"Location": f"/v1/jobs/{quote(held.value.name)}", "ETag": etag(held.revision)}
        return answer_bytes(request, body, status=status, headers=headers)

    def _selected(self, request: web.Request) -> list[Held[Job]]:
        """The jobs that pass every filter of the query, by name."""
        query = request.query
        tests: list[Callable[[Held[Job]], bool]] = []
        if wanted := query.get("q", "").lower():
            tests.append(lambda held: wanted in held.value.name or wanted in held.value.displayname.lower())
        if status_text := query.get("status", ""):
            if status_text not in _STATUSES:
                raise invalid(("status", f"must be one of {', '.join(_STATUSES)}, not {status_text[:40]!r}"))
            status = _STATUSES[status_text]
            tests.append(lambda held: self._state(held).status is status)
        if (disabled := switch(request, "disabled")) is not None:
            tests.append(lambda held: held.value.disabled is disabled)
        for parameter, value in query.items():
            if (entry := _ENTRY.fullmatch(parameter)) is not None:
                tests.append(_has_entry(entry[1], entry[2], value))
        return [held for held in self._views.jobs() if all(test(held) for test in tests)]

    async def _sorted(self, request: web.Request, found: list[Held[Job]]) -> list[Held[Job]]:
        sort = request.query.get("_sort", "") or "name"
        order = request.query.get("_order", "").upper() or "ASC"
        key = self._sort_keys().get(sort)
        if key is None:
            raise invalid(("_sort", f"must be one of {', '.join(self._sort_keys())}, not {sort[:40]!r}"))
        if order not in ("ASC", "DESC"):
            raise invalid(("_order", f"must be ASC or DESC, not {order[:40]!r}"))
        if sort in ("id", "name"):
            return found if order == "ASC" else found[::-1]
        keys = [key(held) async for held in unhurried(found)]
        pairs = sorted(zip(keys, found, strict=True), key=itemgetter(0), reverse=order == "DESC")
        return [held for _, held in pairs]

    def _sort_keys(self) -> dict[str, Callable[[Held[Job]], Any]]:
        return {
            "id": lambda held: held.value.name,
            "name": lambda held: held.value.name,
            "displayname": lambda held: held.value.displayname,
            "schedule": lambda held: held.value.schedule,
            "timezone": lambda held: held.value.timezone,
            "owner": lambda held: held.value.owner,
            "executor": lambda held: held.value.executor,
            "disabled": lambda held: held.value.disabled,
            "status": lambda held: self._state(held).status,
            "success_count": lambda held: self._state(held).success_count,
            "error_count": lambda held: self._state(held).error_count,
            "last_success": lambda held: self._state(held).last_success or 0,
            "last_error": lambda held: self._state(held).last_error or 0,
            "next": lambda held: self._views.next(held) or NEVER,
        }

    def _state(self, held: Held[Job]) -> JobState:
        state = self._mirror.states.get(held.value.name)
        return _STATELESS if state is None else state.value


def _has_entry(table: str, key: str, value: str) -> Callable[[Held[Job]], bool]:
    if table == "tags":
        return lambda held: held.value.tags.get(key) == value
    return lambda held: held.value.metadata.get(key) == value


def _toggled(job: Job) -> Job:
    return msgspec.structs.replace(job, disabled=not job.disabled)


def _with_run(body: bytes, group: int) -> bytes:
    """A job's JSON with the group of the run that was asked for."""
    return b'%b,"run":{"group":%d}}' % (body[:-1], group)


def _same_name(data: dict[str, Any], name: str) -> None:
    if data.get("name") not in (None, name):
        raise invalid(("name", f"must be {name!r}, as in the path: a job can't be renamed, create another"))
