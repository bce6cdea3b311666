"""What a leader works with."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dkronpy.catalog.feed import Feed
from dkronpy.catalog.jobs import Jobs
from dkronpy.catalog.keys import Keys
from dkronpy.catalog.mirror import Mirror
from dkronpy.history.contract import History
from dkronpy.metrics import Metrics
from dkronpy.model.member import Member
from dkronpy.store.contract import Store


@dataclass(frozen=True)
class Parts:
    """What a leader works with. `now` gives ns since the epoch."""

    store: Store
    keys: Keys
    mirror: Mirror
    jobs: Jobs
    history: History
    feed: Feed
    metrics: Metrics
    members: Callable[[], Sequence[Member]]
    now: Callable[[], int]
    rng: random.Random
    lost_after: int
    """How long (ns) a node may be out of contact before its runs count as lost."""
    holds: Callable[[], bool]
    """Whether this server renewed its lease so lately that it may let nodes start runs."""
