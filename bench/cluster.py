"""A cluster for measurements: three servers and some agents on one real etcd, ended with all their processes."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

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
