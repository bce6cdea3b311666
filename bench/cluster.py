"""A cluster for measurements: three servers and some agents on one real etcd, ended with all their processes."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.agent import spawns_per_second, syncs_per_second
from tests.support.cluster import Cluster


@contextmanager
def cluster(*, servers: int = 3, agents: int = 0) -> Generator[Cluster]:
    """A started cluster."""
    with tempfile.TemporaryDirectory(prefix="dkron-bench-") as folder:
        made = Cluster(Path(folder), servers=servers, agents=agents)
        try:
            made.start()
            yield made
        finally:
            made.clean_up()


def raw_limits() -> str:
    """What the machine gives at most, measured now, when nothing else runs."""
    with tempfile.TemporaryDirectory(prefix="dkron-bench-") as folder:
        syncs = syncs_per_second(Path(folder))
    return f"bare posix_spawn {spawns_per_second():,.0f}/s, fdatasync {syncs:,.0f}/s"
