"""Errors as RFC 9457 problem documents: {type, title, status, detail, errors: [{field, message}]}."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from dkronpy.catalog.jobs import EditConflict, HasDependents, JobError, JobNotFound, Owned
from dkronpy.history.contract import HistoryError, HistoryFull
from dkronpy.model.fields import SpecError
from dkronpy.store.contract import OutcomeUnknown, StoreError, StoreFull, TooLarge

PROBLEM_JSON: Final = "application/problem+json"


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field, and how to mend it."""

    field: str
    message: str


class _Document(msgspec.Struct, frozen=True):
    title: str
    status: int
    detail: str
    errors: Sequence[FieldError]
    type: str = "about:blank"


class Problem(Exception):
    """An answer that is an error. `errors` holds (field, message) pairs."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = [FieldError(_printable(field), _printable(message)) for field, message in errors]
        self.headers = headers

    def response(self) -> web.Response:
        document = _Document(HTTPStatus(self.status).phrase, self.status, _printable(self.detail), self.errors)
        return web.Response(
            body=msgspec.json.encode(document), status=self.status, headers=self.headers, content_type=PROBLEM_JSON
        )


def _printable(text: str) -> str:
    """The text without lone surrogates: they stand for bytes of a request that are no UTF-8, and no JSON holds them."""
    return text.encode("utf-8", "replace").decode()


def invalid(*errors: tuple[str, str]) -> Problem:
    """400 for values that are refused, as (field, message) pairs."""
    return Problem(400, str(SpecError(list(errors))), errors)


def no_job(name: str) -> Problem:
    return Problem(404, f"there is no job {name[:80]!r}")


def no_execution(job: str, execution: str) -> Problem:
    return Problem(404, f"job {job!r} has no execution {execution[:200]!r}")


EXPECTED: Final = (Problem, SpecError, JobError, StoreError, HistoryError)
"""What handlers raise on purpose; `problem` turns each into an answer."""


def problem(error: Exception) -> Problem:
    """The answer for one of the `EXPECTED` errors."""
    match error:
        case Problem():
            return error
        case SpecError():
            return Problem(400, str(error), error.errors)
        case JobNotFound():
            return Problem(404, str(error))
        case HasDependents() | Owned():
            return Problem(409, str(error), [(error.field, str(error))])
        case EditConflict():
            return Problem(412, str(error))
        case JobError():
            return Problem(400, str(error), [(error.field, str(error))])
        case StoreFull():
            return Problem(507, f"the store has no room, nothing was written: make room on its disk ({error})")
        case HistoryFull():
            return Problem(507, f"the run history has no room: make room on its disk ({error})")
        case TooLarge():
            return Problem(413, f"the job is too large to store: {error}")
        case OutcomeUnknown():
            return Problem(
                503, f"the store did not answer: it may or may not have been written; read before you retry ({error})"
            )
        case StoreError():
            return Problem(503, f"the store can't be reached, nothing was written: try again ({error})", headers=_RETRY)
        case HistoryError():
            return Problem(503, f"the run history can't be reached: try again ({error})", headers=_RETRY)
        case _:
            raise TypeError(f"not an expected error: {error!r}")


_RETRY: Final = {"Retry-After": "1"}
