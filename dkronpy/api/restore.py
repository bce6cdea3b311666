"""POST /v1/restore: the jobs of a backup, as `GET /v1/jobs` of a Dkron answered them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final, cast

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from dkronpy.api.answers import answer, encode
from dkronpy.api.context import Context
from dkronpy.api.definitions import checked_job, name_in
from dkronpy.api.errors import Problem, invalid
from dkronpy.api.requests import by, decode, read_body
from dkronpy.catalog.jobs import MAX_ANCESTORS, MAX_CHILDREN, Owned
from dkronpy.model.fields import SpecError
from dkronpy.model.job import Job, JobState
from dkronpy.model.lineage import LoopError, ancestors, generations
from dkronpy.model.spec import parse_state

MAX_BACKUP: Final = 64 << 20
"""Bytes."""
MAX_ERRORS: Final = 100
"""Errors that an answer names."""
_AT_ONCE: Final = 64
"""Jobs that are written at the same time."""
Backup = dict[str, tuple[Job, JobState]]


class RestoreRoutes:
    def __init__(self, context: Context) -> None:
        self._mirror = context.services.mirror
        self._jobs = context.services.jobs

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/restore", self.restore)]

    async def restore(self, request: web.Request) -> web.Response:
        """Checks every job before it stores the first; stores parents before their children, whatever their order.

        Answers, as Dkron does, with a JSON string that holds a JSON list."""
        backup = _checked(decode(await _file(request)))
        for name in backup:
            if (held := self._mirror.jobs.get(name)) is not None and held.value.source:
                raise Owned.job(held.value)
        who = by(request)
        for generation in self._generations(backup):
            for start in range(0, len(generation), _AT_ONCE):
                part = [backup[name] for name in generation[start : start + _AT_ONCE]]
                await asyncio.gather(*(self._jobs.put(job, by=who, state=state) for job, state in part))
        return answer(request, encode([f"success create {name}" for name in backup]).decode())

    def _generations(self, backup: Backup) -> list[list[str]]:
        """The jobs' names in the order in which they can be stored, parents before their children.

        Raises SpecError for parents that are missing, too many, or form a loop."""
        stored = self._mirror.jobs

        def parents(name: str) -> tuple[str, ...]:
            if name in backup:
                return backup[name][0].parents
            return stored[name].value.parents if name in stored else ()

        errors: list[tuple[str, str]] = []
        try:
            found = generations({name: parents(name) for name in backup})
            for name, (job, _) in backup.items():
                missing = [parent for parent in job.parents if parent not in backup and parent not in stored]
                errors += [(_parents_of(job), f"{parent!r} is neither in the backup nor stored") for parent in missing]
                if len(ancestors(name, parents)) > MAX_ANCESTORS:
                    errors.append((_parents_of(job), f"a job has at most {MAX_ANCESTORS} ancestors"))
        except LoopError as error:
            raise SpecError([(_parents_of(backup[error.path[-1]][0]), str(error))]) from None
        children = Counter(parent for job, _ in backup.values() for parent in job.parents)
        errors += [
            (f"{name}.dependent_jobs", f"a job is the parent of at most {MAX_CHILDREN} others, not {count}")
            for name, count in children.items()
            if count + len(self._mirror.children.get(name, set()) - backup.keys()) > MAX_CHILDREN
        ]
        if errors:
            raise SpecError(errors[:MAX_ERRORS])
        return found


def _parents_of(job: Job) -> str:
    """The field that names the parents."""
    return f"{job.name}.{'parent_job' if job.parent_job else 'depends_on'}"


async def _file(request: web.Request) -> bytes:
    """The backup: the field `file` of a form, or the body itself. Raises Problem 400 or 413."""
    request = request.clone(client_max_size=MAX_BACKUP)
    if not request.content_type.startswith("multipart/"):
        return await read_body(request)
    try:
        form = await request.multipart()
        while (part := await form.next()) is not None:
            if isinstance(part, BodyPartReader) and part.name == "file":
                return await _whole(part)
    except (ValueError, web.HTTPBadRequest, HttpProcessingError) as error:
        raise Problem(400, f"the form can't be read: {' '.join(str(error).split())[:300]}") from None
    raise invalid(("file", "is missing: send the backup as the form's field 'file', or as the body"))


async def _whole(part: BodyPartReader) -> bytes:
    read = bytearray()
    while chunk := await part.read_chunk():
        read += chunk
        if len(read) > MAX_BACKUP:
            raise Problem(413, f"the backup is too large: at most {MAX_BACKUP} bytes are allowed")
    return bytes(read)


def _checked(data: Any) -> Backup:
    """The jobs of a backup with their counters, by name. Raises SpecError that names every bad job."""
    if not isinstance(data, list):
        raise invalid(("", "a backup is a JSON list of jobs"))
    backup: Backup = {}
    errors: list[tuple[str, str]] = []
    for index, item in enumerate(cast("list[object]", data)):
        where = (name_in(item) or f"[{index}]")[:64]
        try:
            # What has fired already is kept as it was: a backup may hold times that are past.
            job, state = checked_job(item, now=0), parse_state(item)
        except SpecError as error:
            errors.extend((f"{where}.{field}" if field else where, message) for field, message in error.errors)
        else:
            if job.name in backup:
                errors.append((f"{where}.name", "is in the backup twice"))
            backup[job.name] = (job, state)
        if len(errors) >= MAX_ERRORS:
            break
    if errors:
        raise SpecError(errors[:MAX_ERRORS])
    return backup
