"""The output of an execution: what is stored, and what comes while it runs."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

from aiohttp import web

from dkronpy.api.answers import encode
from dkronpy.api.context import Context
from dkronpy.api.executions import found_execution
from dkronpy.api.requests import integer, present
from dkronpy.api.shapes import execution_shape
from dkronpy.api.streams import Stream, sent_event
from dkronpy.catalog.mirror import Change
from dkronpy.history.contract import Output
from dkronpy.model.execution import execution_id
from dkronpy.model.run import Key

_PIECE: Final = 1 << 18
"""Bytes read from the history at once."""
_PATIENCE: Final = 5.0
"""Seconds that a stream waits for the rest of the output of a run that is over: it is stored a little later than the
run's end is known, or never where it could not be kept."""


class OutputRoutes:
    """GET /v1/jobs/{job}/executions/{execution}/output, whole or followed."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._mirror = context.services.mirror
        self._history = context.services.history
        self._feed = context.services.feed

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/jobs/{job}/executions/{execution}/output", self.get)]

    async def get(self, request: web.Request) -> web.StreamResponse:
        execution = await found_execution(self._context, request)
        key = execution.key
        offset = integer(request, "offset", 0, least=-(2**53))
        if present(request, "follow") and request.method == "GET":
            resumed = request.headers.get("Last-Event-ID", "")
            if resumed.isascii() and resumed.isdigit() and len(resumed) < 16:
                offset = int(resumed)
            return await self._context.streams.serve(request, lambda stream: self._follow(stream, key, offset))
        await self._context.ledger.settled([execution])
        return await self._whole(key, offset)

    async def _whole(self, key: Key, offset: int) -> web.Response:
        """What is stored from the offset on, byte for byte."""
        piece = await self._read(key, offset)
        start, size, data = piece.start, piece.size, [piece.data]
        end = start + len(piece.data)
        while end < size and (piece := await self._read(key, end)).data and piece.start == end:
            data.append(piece.data)
            end += len(piece.data)
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "X-Content-Type-Options": "nosniff",
            "X-Output-Start": str(start),
            "X-Output-Size": str(end),
        }
        return web.Response(body=b"".join(data), headers=headers)

    async def _follow(self, stream: Stream, key: Key, offset: int) -> None:
        """Each byte once and in order, then the record of how the run ended.

        An event's id is the offset to go on from; a character whose bytes come apart is held back until it is whole."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        clock = asyncio.get_running_loop().time
        patient_until = clock() + _PATIENCE
        with self._changes(key) as changed:
            alive = True
            while alive:
                execution = await self._context.ledger.get(key)
                over = execution is None or execution.state.final
                before = offset
                while (piece := await self._read(key, offset)).data:
                    if piece.start != offset:
                        decoder.reset()
                    held = len(decoder.getstate()[0])
                    text = decoder.decode(piece.data)
                    offset = piece.start + len(piece.data)
                    await self._tell(stream, piece.start - held, text, offset - len(decoder.getstate()[0]))
                if not over or offset != before:
                    patient_until = clock() + _PATIENCE
                offset = max(offset, 0)
                if execution is None or (over and (offset >= execution.output_size or clock() > patient_until)):
                    held = len(decoder.getstate()[0])
                    await self._tell(stream, offset - held, decoder.decode(b"", final=True), offset)
                    record = None if execution is None else execution_shape(execution, None, with_output=False)
                    await stream.write(sent_event("end", encode(record), str(offset)))
                    return
                alive = await stream.wait(changed)

    @contextmanager
    def _changes(self, key: Key) -> Generator[asyncio.Event]:
        """An event that is set when the execution's output or its record changes."""
        job, group, attempt, node = key
        id = execution_id(group, attempt, node)

        def listen(changes: Sequence[Change]) -> None:
            if any(change.kind == "runs" and change.name == job and change.key == id for change in changes):
                changed.set()

        with self._feed.follow(key) as changed:
            unsubscribe = self._mirror.subscribe(listen)
            try:
                yield changed
            finally:
                unsubscribe()

    @staticmethod
    async def _tell(stream: Stream, offset: int, text: str, following: int) -> None:
        if text:
            await stream.write(sent_event("output", encode({"offset": offset, "data": text}), str(following)))

    async def _read(self, key: Key, offset: int) -> Output:
        return await self._history.output(*key, offset=offset, limit=_PIECE)
