"""What can go wrong with a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field, and how to mend it."""

    field: str
    message: str


class ClientError(Exception):
    """Something asked of the server was not done."""


class Unreachable(ClientError):
    """No whole answer came: no connection, none in time, or it broke off. A write may or may not have been done."""


class Refused(ClientError):
    """The server answered with an error."""

    def __init__(self, status: int, title: str, detail: str = "", errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail or title)
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = errors


class NotFound(Refused):
    """404: no such job, execution or route."""


class Conflict(Refused):
    """409 or 412: it is not as the request took it to be; read it again."""


class Unavailable(Refused):
    """503: there is no leader, or the store cannot be reached; 502 and 504: a proxy reaches no server."""


REFUSALS: Final = {404: NotFound, 409: Conflict, 412: Conflict, 502: Unavailable, 503: Unavailable, 504: Unavailable}
"""The kinds of refusals that have a class of their own, by status."""
