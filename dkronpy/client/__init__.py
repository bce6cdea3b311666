"""Clients of the HTTP API: `Client`, of the standard library only, so that it imports quickly, and `AsyncClient` for
asyncio, by aiohttp. Their methods are the same.

    with Client("http://cron.example.com:8080", token="…") as client:
        for execution in client.executions("backup", {"status": "failed"}):
            print(execution["id"])

Answers are the API's own JSON objects, typed as dictionaries: what a newer server adds stays in them, and a job that
was read can be written back whole. A `Client` is not thread-safe: give each thread its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.client.api import DEFAULT_URL, Client
from dkronpy.client.errors import ClientError, Conflict, FieldError, NotFound, Refused, Unavailable, Unreachable
from dkronpy.client.shapes import (
    Backfill,
    BackfillAnswer,
    Calendar,
    Chunk,
    ClusterSettings,
    ConcurrencyGroup,
    Day,
    Execution,
    Explanation,
    Fire,
    GraphJob,
    GroupUse,
    Job,
    KeyReport,
    Link,
    Member,
    Pause,
    Peer,
    Piece,
    Trigger,
)

if TYPE_CHECKING:
    from dkronpy.client.aio import AsyncClient

__all__ = [
    "DEFAULT_URL",
    "AsyncClient",
    "Backfill",
    "BackfillAnswer",
    "Calendar",
    "Chunk",
    "Client",
    "ClientError",
    "ClusterSettings",
    "ConcurrencyGroup",
    "Conflict",
    "Day",
    "Execution",
    "Explanation",
    "FieldError",
    "Fire",
    "GraphJob",
    "GroupUse",
    "Job",
    "KeyReport",
    "Link",
    "Member",
    "NotFound",
    "Pause",
    "Peer",
    "Piece",
    "Refused",
    "Trigger",
    "Unavailable",
    "Unreachable",
]


def __getattr__(name: str) -> object:
    """`AsyncClient`, without aiohttp for those who do not ask for it."""
    if name != "AsyncClient":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dkronpy.client.aio import AsyncClient

    return AsyncClient
