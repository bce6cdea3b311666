"""One cluster of three servers and an agent, and one browser, which the tests of this folder share."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.browser import Browser
from tests.support.cluster import Cluster, ClusterNode
from tests.support.processes import until


@dataclass
class Dashboard:
    """A browser that shows the dashboard of `server`."""

    browser: Browser
    cluster: Cluster
    server: ClusterNode

    @property
    def origin(self) -> str:
        return f"http://{self.server.host}:{self.server.port}"

    def move(self, server: ClusterNode) -> None:
        """Show the dashboard of another server from now on. Nothing was asked of others by that of the one before."""
        assert self.browser.strangers(self.origin) == []
        self.server = server

    def open(self, view: str) -> None:
        """Show a view: what stands after `#`."""
        self.browser.open(f"{self.origin}/ui/#{view}")

    def job(self, name: str, command: str = "true", **fields: Any) -> Any:
        """Create a shell job by the API."""
        body = {"name": name, "executor": "shell", "executor_config": {"shell": "true", "command": command}, **fields}
        return self.server.call("POST", "/v1/jobs", body)

    def run(self, name: str) -> str:
        """Run a job and wait until the run began; its execution's id."""
        group = self.server.call("POST", f"/v1/jobs/{quote(name)}/run")["run"]["group"]

        def began() -> str | None:
            found = self.server.call("GET", f"/v1/jobs/{quote(name)}/executions?group={group}&output_size_limit=0")
            return next((run["id"] for run in found if run["started_at"]), None)

        return until(began, 60, f"{name} runs")


@pytest.fixture(scope="package")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Generator[Dashboard]:
    with ExitStack() as stack:
        cluster = Cluster(tmp_path_factory.mktemp("dashboard"), agents=1)
        stack.callback(cluster.clean_up)
        browser = Browser()
        stack.callback(browser.close)
        cluster.start()
        yield Dashboard(browser, cluster, cluster.follower())


@pytest.fixture
def dashboard(_shared: Dashboard) -> Generator[Dashboard]:
    """Afterwards the console was silent and nothing was asked of others. What a test that failed has killed is back."""
    if not all(node.alive for node in _shared.cluster.nodes):
        _shared.browser.open("about:blank")
        _shared.cluster.start()
    _shared.browser.complaints()
    _shared.browser.requests()
    yield _shared
    assert _shared.browser.complaints() == []
    assert _shared.browser.strangers(_shared.origin) == []
