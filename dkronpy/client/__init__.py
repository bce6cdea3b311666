"""A small synchronous client of the HTTP API: standard library only, so that it imports quickly.

Answers are the API's own JSON objects, typed as dictionaries: what a newer server adds stays in them, and a job that
was read can be written back whole. A `Client` is not thread-safe: give each thread its own.
"""

from __future__ import annotations

from dkronpy.client.api import DEFAULT_URL, Client
from dkronpy.client.errors import ClientError, Conflict, FieldError, NotFound, Refused, Unavailable, Unreachable
from dkronpy.client.shapes import (
    Backfill,
    BackfillAnswer,
    Chunk,
    ClusterSettings,
    ConcurrencyGroup,
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

__all__ = [
    "DEFAULT_URL",
    "Backfill",
    "BackfillAnswer",
    "Chunk",
    "Client",
    "ClientError",
    "ClusterSettings",
    "ConcurrencyGroup",
    "Conflict",
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
