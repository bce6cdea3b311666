"""POST /v1/jobs/{job}/executions: finished executions from elsewhere, written into the job's history."""

from __future__ import annotations

from typing import Any, Final, cast

from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.errors import Problem, invalid
from dkronpy.api.requests import decode, read_body
from dkronpy.model.execution import Execution, OutputChunk
from dkronpy.model.execution_spec import parse_execution
from dkronpy.model.fields import SpecError

MAX_IMPORT: Final = 16 << 20
"""Bytes of a request's body."""
MAX_ERRORS: Final = 100
"""Errors that an answer names."""


class ImportRoutes:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._mirror = context.services.mirror
        self._history = context.services.history
        self._now = context.services.now

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/jobs/{job}/executions", self.add)]

    async def add(self, request: web.Request) -> web.Response:
        """Checks every execution before it writes the first; writing them again changes nothing. Counters stay."""
        name = request.match_info["job"]
        self._context.held(name)
        state = self._mirror.states.get(name)
        if name in self._mirror.clears or (state is not None and state.value.purge):
            raise Problem(409, f"the history of job {name!r} is being deleted: try again", headers={"Retry-After": "1"})
        executions, chunks = self._checked(decode(await read_body(request.clone(client_max_size=MAX_IMPORT))), name)
        await self._history.write(executions, chunks)
        return answer(request, {"stored": len(executions)})

    def _checked(self, data: Any, job: str) -> tuple[list[Execution], list[OutputChunk]]:
        if not isinstance(data, list):
            raise invalid(("", "the body must be a JSON list of executions"))
        executions: list[Execution] = []
        chunks: list[OutputChunk] = []
        errors: list[tuple[str, str]] = []
        flying = self._mirror.runs.get(job, {})
        for index, item in enumerate(cast("list[object]", data)):
            try:
                execution, chunk = parse_execution(item, job)
                if execution.group > self._now():
                    raise SpecError([("group", "lies ahead: it is when the run was due, in ns since 1970")])
                if execution.key in flying:
                    raise SpecError([("", "this server runs it: it can't be written from elsewhere")])
            except SpecError as error:
                errors.extend((f"[{index}].{field}".rstrip("."), message) for field, message in error.errors)
                if len(errors) >= MAX_ERRORS:
                    break
            else:
                executions.append(execution)
                chunks += [] if chunk is None else [chunk]
        if errors:
            raise invalid(*errors[:MAX_ERRORS])
        return executions, chunks
