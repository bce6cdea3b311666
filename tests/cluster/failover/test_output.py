"""Output arrives once and whole, whoever dies while it is on its way."""

from __future__ import annotations

import hashlib
import time
import urllib.request
from pathlib import Path
from typing import Any

from dkronpy.history.store import OUTPUT_LIMIT
from dkronpy.model.execution import State
from tests.support.cluster import Cluster, ClusterNode
from tests.support.processes import until

NUMBERS = 65_536 * 16
"""Bytes that `_numbers` writes."""


def _numbers(times: int, pause: float) -> str:
    """The shell command that writes so many MiB of numbers, and waits after each."""
    one = 'seq -f %015.0f "$((i * 65536))" "$((i * 65536 + 65535))"'
    return f"i=0; while [ $i -lt {times} ]; do {one}; sleep {pause}; i=$((i + 1)); done"


def _create(cluster: Cluster, name: str, command: str, node: ClusterNode) -> None:
    config = {"shell": "true", "command": command}
    job = {"name": name, "schedule": "@manually", "tags": {"node": node.name}, "executor": "shell"}
    cluster.any().call("POST", "/v1/jobs", job | {"executor_config": config})


def _the_execution(cluster: Cluster, name: str) -> Any:
    """The only execution of a job."""
    found = cluster.any().call("GET", f"/v1/jobs/{name}/executions")
    assert len(found) <= 1
    return found[0] if found else None


def _ended(cluster: Cluster, name: str, within: float) -> Any:
    def look() -> Any:
        try:
            found = _the_execution(cluster, name)
        except OSError:
            return None
        return found if found and State(found["state"]).final else None

    return until(look, within, f"the run of {name} is over")


def _output(node: ClusterNode, execution: Any) -> bytes:
    """What is stored, byte for byte."""
    url = f"http://{node.host}:{node.port}/v1/jobs/{execution['job_name']}/executions/{execution['id']}/output"
    with urllib.request.urlopen(url, timeout=30) as answer:
        data = answer.read()
        assert int(answer.headers["X-Output-Start"]) == execution["output_size"] - len(data)
    return data


def _whole(cluster: Cluster, execution: Any, produced: bytes) -> None:
    """Assert that size and sum are those of what was produced, and that every server has the same end of it."""
    assert execution["output_size"] == len(produced)
    assert execution["output_sha256"] == hashlib.sha256(produced).hexdigest()
    for server in cluster.servers:
        assert _output(server, execution) == produced[-OUTPUT_LIMIT:]


def test_a_node_killed_in_the_middle_of_a_run(cluster: Cluster, tmp_path: Path) -> None:
    node, produced = cluster.agents[0], tmp_path / "produced"
    line = "printf '%0999d\\n' $i"
    loop = f"i=0; while [ $i -lt 40 ]; do {line}; sleep 0.1; i=$((i + 1)); done"
    _create(cluster, "crashed", f"{cluster.note}; {{ {loop}; }} | tee {produced}; exit 7", node)
    since = int(time.time())
    cluster.any().call("POST", "/v1/jobs/crashed/run")
    until(lambda: produced.exists() and produced.stat().st_size > 10_000, 60, "it writes")
    node.kill()
    time.sleep(1)
    cluster.start()
    execution = _ended(cluster, "crashed", 120)
    assert (execution["state"], execution["exit_code"]) == ("failed", 7)
    assert produced.stat().st_size == 40_000
    _whole(cluster, execution, produced.read_bytes())
    assert not cluster.disagreements(since, int(time.time()))
    cluster.any().call("DELETE", "/v1/jobs/crashed")


def test_a_leader_killed_while_50_mb_stream(cluster: Cluster, tmp_path: Path) -> None:
    produced = tmp_path / "produced"
    _create(cluster, "stream", f"{cluster.note}; {{ {_numbers(50, 0.05)}; }} | tee {produced}", cluster.agents[0])
    since = int(time.time())
    cluster.any().call("POST", "/v1/jobs/stream/run")
    for share in (10, 30):
        until(lambda size=share: produced.exists() and produced.stat().st_size > size * NUMBERS, 120, "it writes")
        cluster.wait_for_leader().kill()
        cluster.start()
    execution = _ended(cluster, "stream", 240)
    assert execution["state"] == "success"
    assert produced.stat().st_size == 50 * NUMBERS
    _whole(cluster, execution, produced.read_bytes())
    assert not cluster.disagreements(since, int(time.time()))
    cluster.any().call("DELETE", "/v1/jobs/stream")
