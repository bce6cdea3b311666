"""What the API is given by the agent: everything it needs to answer, and nothing that it could build itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dkronpy.catalog.backfills import Backfills
from dkronpy.catalog.feed import Feed
from dkronpy.catalog.jobs import Jobs
from dkronpy.catalog.links import Links
from dkronpy.catalog.mirror import Mirror
from dkronpy.catalog.requests import Requests
from dkronpy.config import Settings
from dkronpy.gossip.gossip import KeyReport
from dkronpy.history.contract import History
from dkronpy.metrics import Metrics
from dkronpy.model.member import Member, Peer
from dkronpy.model.source import SourceReport


class Keyring(Protocol):
    """The keys of all nodes; what was done, or not, is told by the reports."""

    async def list_keys(self) -> KeyReport: ...

    async def install_key(self, key: bytes) -> KeyReport: ...

    async def use_key(self, key: bytes) -> KeyReport: ...

    async def remove_key(self, key: bytes) -> KeyReport: ...


class Cluster(Protocol):
    """The node's view of the cluster."""

    def members(self) -> Sequence[Member]:
        """Every member known, this node among them."""
        ...

    def leader(self) -> str | None:
        """Name of the node that leads, None when nobody does."""
        ...

    def leading(self) -> bool:
        """Whether this node leads now."""
        ...

    def peers(self) -> Sequence[Peer]:
        """The servers that take part in the election."""
        ...

    def keyring(self) -> Keyring | None:
        """The cluster's keys; None where it has none."""
        ...

    async def leave(self) -> None:
        """Begin to leave the cluster and stop; returns as soon as that is under way."""
        ...


@dataclass(frozen=True)
class Services:
    """`settings` is a function because HUP may replace them (tokens, tags); `now` gives ns since the epoch; `faults`
    names what is wrong with this node (an empty list: healthy)."""

    settings: Callable[[], Settings]
    mirror: Mirror
    jobs: Jobs
    requests: Requests
    backfills: Backfills
    links: Links
    history: History
    cluster: Cluster
    feed: Feed
    metrics: Metrics
    now: Callable[[], int]
    faults: Callable[[], Sequence[str]]
    sources: Callable[[], Sequence[SourceReport]]
