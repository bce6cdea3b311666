"""Requests over one kept connection, and answers that come in pieces. Knows HTTP and JSON, not the routes."""

from __future__ import annotations

import json
import re
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import SplitResult, urlencode, urlsplit

from dkronpy import __version__
from dkronpy.client.errors import REFUSALS, FieldError, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from email.message import Message

_CHUNK: Final = 64 * 1024
_LONGEST_TEXT: Final = 300
"""Characters of a plain-text error that are worth showing; longer ones are a proxy's pages."""
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_BROKEN: Final = (OSError, HTTPException, UnicodeError)
"""What the standard library raises where no whole answer comes; UnicodeError for a host name that can't be one."""


def checked_url(url: str, token: str) -> tuple[SplitResult, str]:
    """A server's address in parts, and its host. Raises ValueError if the URL or the token cannot be used."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is not the URL of a server; write it like https://cron.example.com:8080")
    if parts.username is not None:
        raise ValueError("the URL must not hold a user or password; servers take a token")
    if token and not _TOKEN.fullmatch(token):
        raise ValueError("the token holds characters that no token has, such as a line break or a space")
    return parts, parts.hostname


def headers_for(token: str) -> dict[str, str]:
    """What every request carries."""
    headers = {"Accept": "application/json", "User-Agent": f"dkron/{__version__}"}
    return {**headers, "Authorization": f"Bearer {token}"} if token else headers


def unreachable(url: str, timeout: float, error: Exception) -> Unreachable:
    """What is raised where no whole answer came from `url` within `timeout` (s): because of this error."""
    if isinstance(error, TimeoutError):
        return Unreachable(f"{url} did not answer within {timeout:g} s")
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Unreachable(f"cannot reach {url}: {reason}")


class Transport:
    """A server's address and the way to it. Requests raise `Unreachable`, `Refused` or one of its kinds."""

    def __init__(self, url: str, token: str, timeout: float) -> None:
        """Raises ValueError if the URL or the token cannot be used. Does not connect yet."""
        parts, host = checked_url(url, token)
        self._base = parts.path.rstrip("/")
        self.url: Final = f"{parts.scheme}://{parts.netloc}{self._base}"
        self._address = (host, parts.port)
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._timeout = timeout
        self._headers = headers_for(token)
        self._connection = self._connect()

    def close(self) -> None:
        """Close the connection; it is made again when needed."""
        self._connection.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        headers: Mapping[str, str] | None = None,
        fine: int = 200,
    ) -> tuple[Any, Message, int]:
        """Ask, and read the whole answer: (its JSON, headers, status). A status that is no success is raised as the
        refusal that it means, unless it is `fine`."""
        sent = None if body is None else json.dumps(body).encode()
        asked = {**self._headers, **(headers or {}), **({"Content-Type": "application/json"} if sent else {})}
        target = self._target(path, query)
        kept = getattr(self._connection, "sock", None) is not None
        try:
            response, answer = self._exchange(method, target, sent, asked)
        except Unreachable:
            if not kept or method != "GET":
                raise
            response, answer = self._exchange(method, target, sent, asked)  # the server had closed it while it was idle
        if response.status != fine:
            check(response.status, response.reason, answer)
        try:
            return json.loads(answer), response.headers, response.status
        except ValueError as error:
            raise Unreachable(f"{self.url} did not answer with JSON: is it the address of a dkron server?") from error

    @contextmanager
    def stream(self, path: str, query: Mapping[str, str], accept: str) -> Generator[Stream]:
        """An answer that is read piece by piece, on a connection of its own."""
        with closing(self._connect()) as connection:
            try:
                connection.request("GET", self._target(path, query), headers={**self._headers, "Accept": accept})
                response = connection.getresponse()
                refusal = response.read() if response.status != 200 else b""
            except _BROKEN as error:
                raise unreachable(self.url, self._timeout, error) from error
            check(response.status, response.reason, refusal)
            yield Stream(self, response)

    def read(self, response: HTTPResponse, *, line: bool) -> bytes:
        """The next piece or line of an answer, empty at its end."""
        try:
            data = response.readline() if line else response.read1(_CHUNK)
        except _BROKEN as error:
            raise unreachable(self.url, self._timeout, error) from error
        if not data and response.length:
            raise Unreachable(f"{self.url} broke the answer off, {response.length} bytes before its end")
        return data

    def _connect(self) -> HTTPConnection:
        return self._kind(*self._address, timeout=self._timeout)

    def _target(self, path: str, query: Mapping[str, str] | None) -> str:
        return f"{self._base}{path}?{urlencode(query)}" if query else self._base + path

    def _exchange(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[HTTPResponse, bytes]:
        try:
            self._connection.request(method, target, body, headers)
            response = self._connection.getresponse()
            return response, response.read()
        except _BROKEN as error:
            self._connection.close()
            raise unreachable(self.url, self._timeout, error) from error


class Stream:
    """An answer that is read while it comes."""

    def __init__(self, transport: Transport, response: HTTPResponse) -> None:
        self._transport = transport
        self._response = response
        self.headers: Final = response.headers

    def chunks(self) -> Iterator[bytes]:
        """The body's bytes."""
        while data := self._transport.read(self._response, line=False):
            yield data

    def events(self) -> Iterator[tuple[str, str, str]]:
        """Server-sent events as (event, data, id); comments and retry times are left out."""
        parser = EventParser()
        while line := self._transport.read(self._response, line=True):
            if event := parser.feed(line):
                yield event


class EventParser:
    """Server-sent events, line by line."""

    def __init__(self) -> None:
        self._event, self._data, self._id = "message", list[str](), ""

    def feed(self, line: bytes) -> tuple[str, str, str] | None:
        """The event (its name, data, id) that this line ends, if it does."""
        name, _, value = line.decode().rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "id":
                self._id = value
            case "data":
                self._data.append(value)
            case "" if not value and self._data:
                event = self._event, "\n".join(self._data), self._id
                self._event, self._data = "message", []
                return event
            case _:
                pass
        return None


def check(status: int, reason: str | None, body: bytes) -> None:
    """Raise the refusal that an answer is; none for 2xx."""
    if 200 <= status < 300:
        return
    try:
        problem: Any = json.loads(body)
    except ValueError:
        problem = body.decode(errors="replace").strip() if len(body) <= _LONGEST_TEXT else ""
    if not isinstance(problem, dict):  # an error of something between here and the server
        problem = {"detail": str(problem)}
    said = cast("dict[str, Any]", problem)
    errors = tuple(FieldError(str(e.get("field", "")), str(e.get("message", ""))) for e in said.get("errors") or ())
    title = str(said.get("title") or f"{status} {reason}")
    raise REFUSALS.get(status, Refused)(status, title, str(said.get("detail") or ""), errors)
