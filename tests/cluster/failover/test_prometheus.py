"""A Prometheus scrapes three servers while the leader is killed: its sums are the history's counts."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import yaml

from dkronpy.model.execution import State
from tests.support.cluster import Cluster
from tests.support.processes import HOST, free_port, until


class Prometheus:
    def __init__(self, port: int) -> None:
        self._url = f"http://{HOST}:{port}/api/v1/query"

    def ask(self, query: str) -> dict[str, float]:
        """The values by the job's name."""
        with urllib.request.urlopen(f"{self._url}?{urllib.parse.urlencode({'query': query})}", timeout=30) as answer:
            found = json.load(answer)["data"]["result"]
        return {series["metric"].get("job_name", ""): float(series["value"][1]) for series in found}

    def ready(self) -> bool:
        try:
            return len(self.ask("count by (job_name) (dkron_runs_total)")) > 0
        except OSError:
            return False


@contextmanager
def scraping(folder: Path, cluster: Cluster) -> Generator[Prometheus]:
    """A Prometheus that scrapes all servers each second."""
    targets = [f"{server.host}:{server.port}" for server in cluster.servers]
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "dkron", "static_configs": [{"targets": targets}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={HOST}:{port}",
    ]
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield Prometheus(port)
        finally:
            process.terminate()


def test_sums_are_the_historys_counts(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = make_cluster()
    cluster.start()
    cluster.add_jobs(3)
    bad = {"name": "bad", "schedule": "@every 1s", "tags": {"server": "true:1"}, "executor": "shell"}
    cluster.any().call("POST", "/v1/jobs", bad | {"executor_config": {"command": "false"}})
    with scraping(tmp_path, cluster) as prometheus:
        until(prometheus.ready, 60, "the leader's figures are scraped")
        # A scrape that failed, on a slow machine, leaves no values.
        until(lambda: min(prometheus.ask("dkron_runs_total").values(), default=0) >= 4, 60, "every job ran")
        cluster.wait_for_leader().kill()
        cluster.wait_for_leader()
        until(lambda: min(prometheus.ask("dkron_runs_total").values(), default=0) >= 8, 90, "every job ran on")
        cluster.any().call("POST", "/v1/pause")

        def settled() -> list[State]:
            found = [State(execution["state"]) for execution in cluster.any().executions("")]
            return found if all(state.final for state in found) else []

        until(settled, 90, "all that was started is over")

        # A run that was on the killed server is lost later; what is scraped and what is recorded come together.
        def differing() -> list[str]:
            counts: dict[str, Counter[str]] = {"runs": Counter(), "success": Counter(), "failure": Counter()}
            for execution in cluster.any().executions(""):
                state, name = State(execution["state"]), execution["job_name"]
                if state.ran:
                    counts["runs"][name] += state.final
                    counts["success" if state is State.SUCCESS else "failure"][name] += state.final
            asked = {
                "runs": "sum by (job_name) (dkron_runs_total)",
                "success": "sum by (job_name) (dkron_runs_success_total) > 0",
                "failure": "sum by (job_name) (dkron_runs_failure_total) > 0",
            }
            found = {figure: prometheus.ask(query) for figure, query in asked.items()}
            return [
                f"{figure}: {found[figure]}, {counts[figure]}" for figure in asked if found[figure] != counts[figure]
            ]

        until(lambda: differing() == [], 90, "sums equal the history's counts")
        whole = until(lambda: prometheus.ask("sum(dkron_runs_total)"), 60, "there is a scrape")[""]
        assert whole >= 32
        # Until a scrape of the killed server has failed, what it said last may stand beside what the next one says.
        told = "max by (job_name) (dkron_runs_total)"
        assert prometheus.ask(f"max_over_time(sum({told})[10m:500ms])")[""] <= whole
        assert not prometheus.ask(f"resets({told}[10m:500ms]) > 0")
        lost = "on (job_name) dkron_job_executions_total{outcome='lost'}"
        observed = "sum by (job_name) (dkron_run_duration_seconds_count)"
        same = f"{observed} == sum by (job_name) (dkron_runs_total - {lost})"
        until(lambda: len(prometheus.ask(same)) == 4, 60, "durations are counted for every run that is not lost")
        quantiles = "count by (job_name) (dkron_run_duration_seconds{quantile='0.99'})"
        until(lambda: len(prometheus.ask(quantiles)) == 4, 60, "there are quantiles of each job")
