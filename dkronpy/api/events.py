"""GET /v1/events: jobs, executions, what people ask for, leaders and pauses, as they change, and the overview."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import web

from dkronpy.api.answers import encode
from dkronpy.api.errors import invalid
from dkronpy.api.shapes import execution_shape
from dkronpy.api.streams import Stream, Streams, sent_event
from dkronpy.api.views import JobViews
from dkronpy.catalog.mirror import Change, Mirror
from dkronpy.history.contract import HistoryError

log = logging.getLogger(__name__)

NAMES: Final = ("job", "execution", "trigger", "backfill", "drain", "group", "leader", "pause", "overview")
"""The events that a reader can choose from."""
_OF_KIND: Final = {
    "jobs": "job",
    "states": "job",
    "runs": "execution",
    "triggers": "trigger",
    "backfills": "backfill",
    "drains": "drain",
    "groups": "group",
    "leader": "leader",
    "pause": "pause",
}
"""The event that tells of a change, by its kind."""
_OF_JOBS: Final = frozenset({"job", "execution", "trigger", "backfill"})
_UNASKED: Final = frozenset(NAMES) - {"overview"}
MAX_JOBS: Final = 200
_OVERVIEW_EVERY: Final = 1.0
"""Seconds between two looks at the overview."""


@dataclass(frozen=True)
class Choice:
    """What a reader is told of: events of these names, and of jobs and executions those of these jobs (none: all)."""

    names: frozenset[str]
    jobs: frozenset[str]

    def takes(self, event: str, job: str) -> bool:
        return event in self.names and (not self.jobs or not job or job in self.jobs)


class Events:
    """One change is encoded once, however many read it.

    There is no replay: an event's id only tells the store's revision, and a reader that was away reads the state again,
    which the first event reminds it of."""

    def __init__(
        self, mirror: Mirror, views: JobViews, streams: Streams, overview: Callable[[], Awaitable[dict[str, Any]]]
    ) -> None:
        self._mirror = mirror
        self._views = views
        self._streams = streams
        self._overview = overview
        self._readers: dict[Stream, Choice] = {}
        self._telling: asyncio.Task[None] | None = None
        mirror.subscribe(self._changed)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/events", self.get, allow_head=False)]

    async def get(self, request: web.Request) -> web.StreamResponse:
        choice = _choice(request)
        return await self._streams.serve(request, lambda stream: self._write(stream, choice))

    async def _write(self, stream: Stream, choice: Choice) -> None:
        self._readers[stream] = choice
        try:
            revision = self._mirror.revision
            stream.put(sent_event("ready", encode({"revision": revision}), str(revision)))
            if "overview" in choice.names:
                if self._telling is not None:
                    self._telling.cancel()  # and begun anew, so that this reader is told at once
                self._telling = asyncio.create_task(self._tell_overview())
                self._telling.add_done_callback(_watched)
            await stream.run()
        finally:
            del self._readers[stream]
            if self._telling is not None and not self._overview_readers():
                self._telling.cancel()
                self._telling = None

    def _overview_readers(self) -> bool:
        return any("overview" in choice.names for choice in self._readers.values())

    async def _tell_overview(self) -> None:
        """Tell of the overview where it changed, until cancelled."""
        last: dict[str, Any] = {}
        while True:
            try:
                body = await self._overview()
            except HistoryError as error:
                log.warning("the overview can't be shown now: %s", error)
            else:
                if body != last:
                    last = body
                    self._put("overview", "", sent_event("overview", encode(body), str(self._mirror.revision)))
            await asyncio.sleep(_OVERVIEW_EVERY)

    def _changed(self, changes: Sequence[Change]) -> None:
        if not self._readers:
            return
        id = str(self._mirror.revision)
        for change in changes:
            name = _OF_KIND.get(change.kind)
            job = change.name if name in _OF_JOBS else ""
            if name is None or not any(choice.takes(name, job) for choice in self._readers.values()):
                continue
            body = self._body(change)
            if body is not None:
                self._put(name, job, sent_event(name, body, id))

    def _put(self, name: str, job: str, event: bytes) -> None:
        for reader, choice in tuple(self._readers.items()):
            if choice.takes(name, job):
                reader.put(event)

    def _body(self, change: Change) -> bytes | None:
        """The event's JSON; None for changes that nobody is told of."""
        match change.kind:
            case "jobs" if change.new is None:
                return encode({"change": "deleted", "name": change.name, "job": None})
            case "jobs" | "states":
                held = self._mirror.jobs.get(change.name)
                if held is None:
                    return None
                what = _change(change) if change.kind == "jobs" else "changed"
                return b'{"change":"%b","name":%b,"job":%b}' % (
                    what.encode(),
                    encode(change.name),
                    self._views.body(held),
                )
            case "runs" if change.new is not None:
                return encode(execution_shape(change.new, None, with_output=False))
            case "triggers":
                return encode({"change": _change(change), "job_name": change.name, "group": int(change.key)})
            case "backfills":
                return encode({"change": _change(change), "job_name": change.name})
            case "drains":
                return encode({"node": unquote(change.name), "drained": change.new is not None})
            case "groups":
                return encode({"change": _change(change), "name": unquote(change.name)})
            case "leader" if change.new is not None:
                return encode({"leader": change.new.node, "epoch": change.new.epoch})
            case "pause" if change.new is not None:
                return encode({"paused": not change.new.until, "reason": change.new.reason})
            case _:
                return None


def _change(change: Change) -> str:
    return "deleted" if change.new is None else "created" if change.old is None else "changed"


def _choice(request: web.Request) -> Choice:
    """What the query asks for. Raises Problem 400."""
    asked = [name for text in request.query.getall("only", []) for name in text.split(",") if name]
    for name in asked:
        if name not in NAMES:
            raise invalid(("only", f"must be among {', '.join(NAMES)}, not {name[:40]!r}"))
    jobs = frozenset(request.query.getall("job", []))
    if len(jobs) > MAX_JOBS:
        raise invalid(("job", f"at most {MAX_JOBS} jobs can be followed by name"))
    return Choice(frozenset(asked) or _UNASKED, jobs)


def _watched(telling: asyncio.Task[None]) -> None:
    if not telling.cancelled() and (error := telling.exception()) is not None:
        log.error("nobody is told of the overview any more", exc_info=error)
