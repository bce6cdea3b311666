"""GET /v1/events: jobs, executions, leaders and pauses, as they change."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from dkronpy.api.answers import encode
from dkronpy.api.shapes import execution_shape
from dkronpy.api.streams import Stream, Streams, sent_event
from dkronpy.api.views import JobViews
from dkronpy.catalog.mirror import Change, Mirror


class Events:
    """One change is encoded once, however many read it.

    There is no replay: an event's id only tells the store's revision, and a reader that was away reads the state again,
    which the first event reminds it of."""

    def __init__(self, mirror: Mirror, views: JobViews, streams: Streams) -> None:
        self._mirror = mirror
        self._views = views
        self._streams = streams
        self._readers: set[Stream] = set()
        mirror.subscribe(self._changed)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/events", self.get, allow_head=False)]

    async def get(self, request: web.Request) -> web.StreamResponse:
        return await self._streams.serve(request, self._write)

    async def _write(self, stream: Stream) -> None:
        self._readers.add(stream)
        try:
            revision = self._mirror.revision
            stream.put(sent_event("ready", encode({"revision": revision}), str(revision)))
            await stream.run()
        finally:
            self._readers.discard(stream)

    def _changed(self, changes: Sequence[Change]) -> None:
        if not self._readers:
            return
        id = str(self._mirror.revision)
        for change in changes:
            found = self._event(change)
            if found is not None:
                event = sent_event(*found, id)
                for reader in tuple(self._readers):
                    reader.put(event)

    def _event(self, change: Change) -> tuple[str, bytes] | None:
        """The event's name and its JSON; None for changes that nobody is told of."""
        match change.kind:
            case "jobs" if change.new is None:
                return "job", encode({"change": "deleted", "name": change.name, "job": None})
            case "jobs" | "states":
                held = self._mirror.jobs.get(change.name)
                if held is None:
                    return None
                what = "created" if change.kind == "jobs" and change.old is None else "changed"
                return "job", b'{"change":"%b","name":%b,"job":%b}' % (
                    what.encode(),
                    encode(change.name),
                    self._views.body(held),
                )
            case "runs" if change.new is not None:
                return "execution", encode(execution_shape(change.new, None, with_output=False))
            case "leader" if change.new is not None:
                return "leader", encode({"leader": change.new.node, "epoch": change.new.epoch})
            case "pause" if change.new is not None:
                return "pause", encode({"paused": not change.new.until, "reason": change.new.reason})
            case _:
                return None
