"""JSON answers. `?pretty` indents them by four spaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from aiohttp import web
from multidict import CIMultiDict

encode: Final = msgspec.json.Encoder().encode
_JSON: Final = CIMultiDict({"Content-Type": "application/json; charset=utf-8"})


def answer(
    request: web.Request, body: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """`body` as JSON; a struct, or what JSON can hold."""
    return answer_bytes(request, encode(body), status=status, headers=headers)


def answer_bytes(
    request: web.Request, body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """`body` is JSON already."""
    if "?" in request.raw_path and "pretty" in request.query:
        body = msgspec.json.format(body, indent=4)
    fields = CIMultiDict(_JSON)
    if headers is not None:
        fields.update(headers)
    return web.Response(body=body, status=status, headers=fields)
