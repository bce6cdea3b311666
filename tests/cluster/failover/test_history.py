"""A history in a database that goes away: nothing is lost, and nothing else waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dkronpy.model.times import rfc3339
from tests.conftest import FULL
from tests.support.cluster import Cluster
from tests.support.databases import Postgres
from tests.support.machine import measured
from tests.support.processes import SECOND, until

AWAY = 30 if FULL else 5
"""Seconds."""
BETWEEN = 5 if FULL else 2


def test_a_database_that_is_stopped_and_killed(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    folder = tmp_path / "database"
    folder.mkdir()
    with Postgres(folder) as database:
        cluster = make_cluster(options=[f"--history={database.dsn('public')}"])
        cluster.start()
        for index in range(10):
            job = {
                "name": f"job{index}",
                "schedule": "* * * * * *",
                "tags": {"server": "true:1"},
                "executor": "shell",
                "executor_config": {"shell": "true", "command": f"{cluster.note}; echo of $DKRON_EXECUTION_ID"},
            }
            cluster.any().call("POST", "/v1/jobs", job)
        with measured() as machine:
            since = int(time.time()) + 2
            time.sleep(2 + BETWEEN)
            database.stop()
            time.sleep(AWAY)
            database.start()
            time.sleep(BETWEEN)
            database.kill()
            time.sleep(1)
            database.start()
            time.sleep(BETWEEN)
            until_ = int(time.time()) - 1
            verdict = replace(cluster.judge(since, until_), machine=machine)
        assert (verdict.missed, verdict.doubled) == ([], [])
        assert cluster.disagreements(since, until_) == []
        assert verdict.silent_at_most(1.5)

        # All of it is in the database, not only in flight, and with its output.
        span = f"since={rfc3339(since * SECOND)}&until={rfc3339(until_ * SECOND - 1)}"
        leader = cluster.wait_for_leader()

        def wrong() -> list[str]:
            found, _ = leader._ask("GET", f"/v1/executions?limit=1000&output_size_limit=100&{span}")
            return [e["id"] for e in found if e["output"] != f"of {e['id']}\n"]

        until(lambda: wrong() == [], 60, "each execution has its output")
        assert verdict.runs == 10 * (until_ - since)
