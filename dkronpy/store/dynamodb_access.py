"""Where a table of DynamoDB is, and what the errors of requests mean."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from aiohttp import ClientConnectorError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    SSLError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE: Final = "dkron"
"""The table's name where none is given."""

_REGION: Final = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
_AWS_HOST: Final = re.compile(r"(?:.*\.)?dynamodb(?:-fips)?\.([a-z0-9-]+)\.(?:vpce\.)?(?:amazonaws\.com|api\.aws).*")
_TABLE: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}")
_BUSY: Final = frozenset(
    {
        *("LimitExceededException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"),
        *("ThrottlingException", "TransactionConflictException", "TransactionInProgressException"),
    }
)
_NO_ACCESS: Final = frozenset(
    {
        *("AccessDeniedException", "ExpiredTokenException", "IncompleteSignatureException"),
        *("InvalidSignatureException", "MissingAuthenticationTokenException", "UnrecognizedClientException"),
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table is. `endpoint` is the URL of the service where that is not the region's own."""

    region: str | None
    endpoint: str | None
    table: str

    def __str__(self) -> str:
        return f"{self.endpoint or self.region}/{self.table}"


def parse_place(machine: str) -> Place:
    """Of `REGION/TABLE`, `https://HOST/TABLE` or `HOST:PORT/TABLE`, each also without a table. Raises ValueError."""
    wrong = ValueError(f"not a table of DynamoDB: {machine!r}; give it as REGION/TABLE, or as https://HOST:PORT/TABLE")
    if "://" not in machine:
        first, _, table = machine.partition("/")
        if _REGION.fullmatch(first):
            place = Place(first, None, table or TABLE)
            if not _TABLE.fullmatch(place.table):
                raise wrong
            return place
        if ":" not in first:
            raise wrong
        machine = f"http://{machine}"
    try:
        url = urlsplit(machine)
        port = url.port
    except ValueError:
        raise wrong from None
    table = url.path.strip("/") or TABLE
    if url.scheme not in ("http", "https") or not url.hostname or port == 0 or not _TABLE.fullmatch(table):
        raise wrong
    known = _AWS_HOST.fullmatch(url.hostname)
    return Place(known[1] if known else None, f"{url.scheme}://{url.netloc}", table)


class Failure(Enum):
    """What a failed request means."""

    CANCELLED = "cancelled"
    """A transaction was not carried out, and the reasons tell why."""
    AGAIN = "again"
    """Nothing was done; tried again, it may be."""
    REFUSED = "refused"
    """Nothing was done, and asking again would not help."""
    UNKNOWN = "unknown"
    """Whether it was done is unknown."""


class Failed(Exception):
    """A request was not answered, or with an error."""

    def __init__(self, error: BotoCoreError | ClientError) -> None:
        super().__init__(told(error))
        self.failure = failure(error)
        self.code = _code(error)
        self.reasons: Sequence[dict[str, Any]] = ()
        """For each item of a cancelled transaction, why."""
        if isinstance(error, ClientError):
            self.reasons = error.response.get("CancellationReasons", ())


def failure(error: BotoCoreError | ClientError) -> Failure:
    """What `error` means."""
    if isinstance(error, ClientError):
        if _code(error) == "TransactionCanceledException":
            return Failure.CANCELLED
        if _code(error) in _BUSY:
            return Failure.AGAIN
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return Failure.UNKNOWN if status >= 500 else Failure.REFUSED
    if isinstance(error, EndpointConnectionError):  # raised as well when a connection breaks
        unsent = isinstance(error.kwargs.get("error"), ClientConnectorError | socket.gaierror)
        return Failure.AGAIN if unsent else Failure.UNKNOWN
    if isinstance(error, ConnectTimeoutError | ProxyConnectionError | SSLError):
        return Failure.AGAIN
    return Failure.UNKNOWN if isinstance(error, HTTPClientError) else Failure.REFUSED


def told(error: BotoCoreError | ClientError) -> str:
    """The error in words, with what to mend where that is known."""
    text = str(error)
    if _code(error) in _NO_ACCESS:
        return f"{text}: check the access key, its secret and what they permit"
    if type(error).__name__ == "NoCredentialsError":
        return (
            "no credentials: give an access key as backend-username and its secret as backend-password, or leave them "
            "where AWS's tools look for them"
        )
    return text


def _code(error: Exception) -> str:
    return error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
