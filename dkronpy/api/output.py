"""The output of an execution: what is stored, and what comes while it runs."""

from __future__ import annotations

import codecs

from aiohttp import web

from dkronpy.api.answers import encode
from dkronpy.api.context import Context
from dkronpy.api.executions import found_execution
from dkronpy.api.requests import integer, present
from dkronpy.api.shapes import execution_shape
from dkronpy.api.streams import Stream, sent_event
from dkronpy.history.contract import Output
from dkronpy.model.run import Key

PIECE = 1 << 18
"""Bytes read from the history at once."""


class OutputRoutes:
    """GET /v1/jobs/{job}/executions/{execution}/output, whole or followed."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._history = context.services.history
        self._feed = context.services.feed

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/jobs/{job}/executions/{execution}/output", self.get)]

    async def get(self, request: web.Request) -> web.StreamResponse:
        key = (await found_execution(self._context, request)).key
        offset = integer(request, "offset", 0, least=-(2**53))
        if present(request, "follow"):
            resumed = request.headers.get("Last-Event-ID", "")
            if resumed.isascii() and resumed.isdigit() and len(resumed) < 16:
                offset = int(resumed)
            return await self._context.streams.serve(request, lambda stream: self._follow(stream, key, offset))
        return await self._whole(request, key, offset)

    async def _whole(self, request: web.Request, key: Key, offset: int) -> web.StreamResponse:
        """Everything that is stored from the offset on, byte for byte."""
        piece = await self._read(key, offset)
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "X-Content-Type-Options": "nosniff",
            "X-Output-Start": str(piece.start),
            "X-Output-Size": str(piece.size),
        }
        end = piece.start + len(piece.data)
        if end >= piece.size or request.method == "HEAD":
            return web.Response(body=piece.data, headers=headers)
        response = web.StreamResponse(headers=headers)
        response.content_length = piece.size - piece.start
        await response.prepare(request)
        while piece.data and end <= piece.size:
            await response.write(piece.data)
            if end == (size := int(headers["X-Output-Size"])):
                break
            piece = await self._read(key, end)
            piece = Output(piece.start, piece.data[: size - end], size)
            end += len(piece.data)
        return response

    async def _follow(self, stream: Stream, key: Key, offset: int) -> None:
        """Each byte once and in order, then the record of how it ended.

        An event's id is the offset to go on from; a character whose bytes come apart is held back until it is whole."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        shown = 0
        with self._feed.follow(key) as grew:
            alive = True
            while alive:
                execution = await self._context.ledger.get(key)
                over = (
                    execution is None or execution.state.final
                )  # asked before the last read, so that nothing is missed
                while True:
                    piece = await self._read(key, offset)
                    if not piece.data:
                        break
                    pending = len(decoder.getstate()[0])
                    if piece.start > offset >= 0 and pending:
                        decoder.reset()
                        pending = 0
                    offset = piece.start + len(piece.data)
                    text = decoder.decode(piece.data)
                    await self._piece(stream, piece.start - pending, text, offset - len(decoder.getstate()[0]))
                    shown = offset
                if over:
                    if rest := decoder.decode(b"", final=True):
                        await self._piece(stream, shown - len(rest), rest, shown)
                    record = None if execution is None else execution_shape(execution, None, with_output=False)
                    await stream.write(sent_event("end", encode(record), str(max(shown, offset, 0))))
                    return
                alive = await stream.wait(grew)

    @staticmethod
    async def _piece(stream: Stream, offset: int, text: str, following: int) -> None:
        if text:
            await stream.write(sent_event("output", encode({"offset": offset, "data": text}), str(following)))

    async def _read(self, key: Key, offset: int) -> Output:
        return await self._history.output(*key, offset=offset, limit=PIECE)
