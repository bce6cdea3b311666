"""Executions: of one job, of all, one of them; those that run now; their ends and their deletion."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from dkronpy.api.answers import answer, answer_bytes
from dkronpy.api.context import Context
from dkronpy.api.errors import Problem, invalid, no_execution
from dkronpy.api.ledger import FULL_OUTPUT
from dkronpy.api.requests import by, etag, integer, tags, time
from dkronpy.api.shapes import execution_shape
from dkronpy.history.contract import Query
from dkronpy.history.search import Criteria
from dkronpy.model.execution import Execution, State, parse_execution_id
from dkronpy.model.times import rfc3339

DEFAULT_LIMIT: Final = 100
"""Executions of a list that asks for no number; up to as many come with their whole stored output."""
MAX_LIMIT: Final = 1000
LONG_LIST_TAIL: Final = 10_000
"""Bytes of each output in longer lists, unless `output_size_limit` asks for others."""
MAX_OUTPUT: Final = 64 << 20
"""Bytes of output in one list, of which each execution has an equal share at most."""
CLEAR_WAIT: Final = 5.0
"""Seconds until a deletion of executions is answered with 202."""
DEFAULT_DAYS: Final = 30
MAX_DAYS: Final = 365
_SORTS: Final[dict[str, Callable[[Execution], Any]]] = {
    "id": lambda e: (e.started or e.group, e.attempt, e.node),
    "started_at": lambda e: (e.started or e.group, e.attempt, e.node),
    "finished_at": lambda e: e.finished or 0,
    "group": lambda e: (e.group, e.attempt),
    "attempt": lambda e: e.attempt,
    "job_name": lambda e: e.job,
    "node_name": lambda e: e.node,
    "success": lambda e: e.success,
    "state": lambda e: e.state,
}


class ExecutionRoutes:
    """The routes of executions, but for their output."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._mirror = context.services.mirror
        self._ledger = context.ledger

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/jobs/{job}/executions", self.of_job),
            web.delete("/v1/jobs/{job}/executions", self.clear),
            web.get("/v1/jobs/{job}/executions/{execution}", self.get),
            web.post("/v1/jobs/{job}/executions/{execution}/kill", self.kill),
            web.get("/v1/executions", self.of_all),
            web.get("/v1/busy", self.busy),
            web.get("/v1/stats", self.stats),
        ]

    async def of_job(self, request: web.Request) -> web.Response:
        job = request.match_info["job"]
        self._context.held(job)
        return await self._list(request, job)

    async def of_all(self, request: web.Request) -> web.Response:
        return await self._list(request, request.query.get("job") or None)

    async def get(self, request: web.Request) -> web.Response:
        execution = await self._found(request)
        tail = integer(request, "output_size_limit", FULL_OUTPUT)
        outputs = await self._ledger.outputs([execution], tail)
        return answer(request, execution_shape(execution, outputs.get(execution.key)))

    async def busy(self, request: web.Request) -> web.Response:
        """What runs now, oldest first."""
        running = [execution for execution in self._ledger.flying() if execution.state is not State.QUEUED]
        running.sort(key=lambda execution: (execution.started or execution.group, execution.job))
        shapes = [execution_shape(execution, None) for execution in running]
        return answer(request, shapes, headers={"X-Total-Count": str(len(shapes))})

    async def kill(self, request: web.Request) -> web.Response:
        """Asks, durably, for the end of a run, and answers at once with the run as it is."""
        execution = await self._found(request)
        if execution.state.final:
            raise Problem(409, f"the execution is over already: {execution.state}")
        await self._context.services.jobs.kill(execution.key, by=by(request))
        return answer(request, execution_shape(execution, None))

    async def clear(self, request: web.Request) -> web.Response:
        """Deletes the finished executions and sets the counters to zero; 202 where the leader has not done so yet."""
        held = self._context.held(name := request.match_info["job"])
        consumed = asyncio.Event()
        unsubscribe = self._mirror.subscribe(lambda _: None if name in self._mirror.clears else consumed.set())
        try:
            await self._context.services.jobs.clear(name, by=by(request))
            status = 200
            if name in self._mirror.clears:
                consumed.clear()
                try:
                    async with asyncio.timeout(CLEAR_WAIT):
                        await consumed.wait()
                except TimeoutError:
                    status = 202
        finally:
            unsubscribe()
        held = self._mirror.jobs.get(name, held)
        body = self._context.views.body(held)
        return answer_bytes(request, body, status=status, headers={"ETag": etag(held.revision)})

    async def stats(self, request: web.Request) -> web.Response:
        """Successes and failures of each of the last days, by UTC date, oldest first."""
        days = integer(request, "days", DEFAULT_DAYS, least=1, most=MAX_DAYS)
        today = rfc3339(self._context.services.now())[:10]
        counts = await self._context.services.history.stats(days, today=today)
        stats = [{"date": day.date, "success_count": day.success, "failed_count": day.failed} for day in counts]
        return answer(request, {"stats": stats})

    async def _list(self, request: web.Request, job: str | None) -> web.Response:
        query = _query(request, job)
        sort = _SORTS.get(request.query.get("_sort") or "id")
        if sort is None:
            raise invalid(("_sort", f"must be one of {', '.join(_SORTS)}"))
        order = (request.query.get("_order") or "DESC").upper()
        if order not in ("ASC", "DESC"):
            raise invalid(("_order", "must be ASC or DESC"))
        limit = integer(request, "limit", DEFAULT_LIMIT, least=1, most=MAX_LIMIT)
        tail = integer(request, "output_size_limit", FULL_OUTPUT if limit <= DEFAULT_LIMIT else LONG_LIST_TAIL)
        tail = min(tail, MAX_OUTPUT // limit)
        criteria = self._criteria(request)
        cursor = request.query.get("cursor") or None
        executions, cursor = await self._ledger.page(query, limit=limit, cursor=cursor, criteria=criteria)
        if "_sort" in request.query or order == "ASC":
            executions.sort(key=sort, reverse=order == "DESC")
        headers: dict[str, str] = {}
        if job is not None and not criteria:  # counting those of all jobs would read them all
            headers["X-Total-Count"] = str(await self._ledger.count(query))
        if cursor is not None:
            headers["X-Next-Cursor"] = cursor
        return answer(request, await self._shapes(executions, tail), headers=headers)

    def _criteria(self, request: web.Request) -> Criteria:
        """The filters of the query that no history has an index of. Raises Problem 400."""
        codes = [text for text in request.query.get("exit_code", "").split(",") if text]
        if not all(text.isascii() and text.removeprefix("-").isdigit() and len(text) < 10 for text in codes):
            raise invalid(("exit_code", "must be a whole number, or several separated by commas"))
        wanted = tags(request)
        return Criteria(
            exit_codes=frozenset(map(int, codes)),
            triggers=frozenset(text for text in request.query.get("trigger", "").split(",") if text),
            jobs=self._tagged(wanted) if wanted else None,
            text=request.query.get("output", ""),
        )

    def _tagged(self, wanted: Mapping[str, str]) -> frozenset[str]:
        """The jobs that have these tags."""
        return frozenset(job for job, held in self._mirror.jobs.items() if wanted.items() <= held.value.tags.items())

    async def _shapes(self, executions: Sequence[Execution], tail: int) -> list[Any]:
        outputs = await self._ledger.outputs(executions, tail)
        return [execution_shape(execution, outputs.get(execution.key)) for execution in executions]

    async def _found(self, request: web.Request) -> Execution:
        return await found_execution(self._context, request)


async def found_execution(context: Context, request: web.Request) -> Execution:
    """The execution that the path names. Raises Problem 404."""
    job, text = request.match_info["job"], request.match_info["execution"]
    try:
        group, attempt, node = parse_execution_id(text)
    except ValueError:
        raise no_execution(job, text) from None
    execution = await context.ledger.get((job, group, attempt, node))
    if execution is None:
        raise no_execution(job, text)
    return execution


def _query(request: web.Request, job: str | None) -> Query:
    """The filters of the query. Raises Problem 400."""
    states: set[State] = set()
    for text in request.query.get("status", "").split(","):
        if text:
            try:
                states.add(State(text))
            except ValueError:
                raise invalid(("status", f"must be among {', '.join(State)}, not {text[:40]!r}")) from None
    return Query(
        job=job,
        group=integer(request, "group", 0, most=2**63 - 1) or None,
        states=frozenset(states) or None,
        node=request.query.get("node") or None,
        since=time(request, "since", None),
        until=time(request, "until", None),
    )
