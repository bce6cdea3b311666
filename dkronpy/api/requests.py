"""What a request holds, checked: JSON bodies, parameters of the query, preconditions."""

from __future__ import annotations

import re
from typing import Any, Final, cast

import msgspec
from aiohttp import web

from dkronpy.api.errors import Problem, invalid
from dkronpy.model.times import parse_rfc3339

MAX_BODY: Final = 1 << 20
"""Bytes of a request's body, but for a restore."""
ANONYMOUS: Final = "api"
"""Who an edit was made by when no token says more."""
BY: Final = web.RequestKey("by", str)
"""The name of the request's token."""
MAY_WRITE: Final = web.RequestKey("may_write", bool)
"""Whether the request's token lets it change anything; not there where no tokens are set up."""


def by(request: web.Request) -> str:
    """Who asks."""
    return request.get(BY, ANONYMOUS)


async def json_body(request: web.Request) -> Any:
    """The body as JSON, whatever its Content-Type. Raises Problem 400 or 413."""
    return decode(await read_body(request))


async def json_object(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object; an empty body is an empty object. Raises Problem 400 or 413."""
    raw = await read_body(request)
    if not raw.strip():
        return {}
    body = decode(raw)
    if not isinstance(body, dict):
        raise invalid(("", "the body must be a JSON object"))
    return cast("dict[str, Any]", body)


async def read_body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Problem(413, f"the body is too large: at most {request.client_max_size} bytes are allowed") from None


def decode(raw: bytes) -> Any:
    """JSON text as Python values. Raises Problem 400, saying where it is broken."""
    try:
        return msgspec.json.decode(raw)
    except RecursionError:
        raise Problem(400, "the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from None


def integer(request: web.Request, name: str, default: int, *, least: int = 0, most: int = 2**53) -> int:
    """A whole number of the query. Raises Problem 400."""
    text = request.query.get(name, "")
    if not text:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20 and least <= int(text) <= most):
        raise invalid((name, f"must be a whole number from {least} to {most}, not {text[:40]!r}"))
    return int(text)


def tags(request: web.Request) -> dict[str, str]:
    """The tags of the query, as in `tags[role]=web`."""
    return {found[1]: value for name, value in request.query.items() if (found := _TAG.fullmatch(name))}


def switch(request: web.Request, name: str) -> bool | None:
    """A truth value of the query; None when it is not given. Raises Problem 400."""
    text = request.query.get(name, "").lower()
    if text not in _SWITCH:
        raise invalid((name, f"must be true or false, not {text[:40]!r}"))
    return _SWITCH[text]


def present(request: web.Request, name: str) -> bool:
    """Whether a flag of the query is given: `?name`, `?name=` or `?name=true`, but not `?name=false`."""
    return name in request.query and request.query[name].lower() not in ("false", "0")


_TAG: Final = re.compile(r"tags\[(.+)\]", re.DOTALL)
_SWITCH: Final = {"": None, "true": True, "1": True, "false": False, "0": False}


def time(request: web.Request, name: str, default: int | None) -> int | None:
    """An RFC 3339 time of the query as ns since the epoch. Raises Problem 400."""
    text = request.query.get(name, "")
    if not text:
        return default
    try:
        return parse_rfc3339(text.replace(" ", "+"))  # a + in a query stands for a space
    except ValueError as error:
        raise invalid((name, str(error))) from None


def expected_revision(request: web.Request, held: int) -> int | None:
    """The revision that the caller wants to change, from If-Match and If-None-Match; None: whichever there is.

    `held` is the job's revision now, 0 when there is none. Raises Problem 412.
    """
    wanted = request.headers.get("If-Match")
    if wanted is not None:
        tags = [tag.strip() for tag in wanted.split(",")]
        if held and ("*" in tags or etag(held) in tags):
            return held
        raise Problem(412, "the job is not as it was when it was read: read it again (its ETag names its revision)")
    if request.headers.get("If-None-Match") == "*":
        if held:
            raise Problem(412, "the job exists already")
        return 0
    return None


def etag(revision: int) -> str:
    """The entity tag of a job's definition at a revision."""
    return f'"{revision}"'
