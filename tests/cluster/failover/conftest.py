"""Clusters for the tests of failover, the logs of their nodes beside what failed, and the table of faults."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FULL
from tests.support.cluster import Cluster, Verdict

REPEATS = range(5 if FULL else 1)
"""How often each fault is tried, each time with another seed."""
TAGS = ({"server": "true:1"}, {"dc": "dc1:1"})
"""Half of the witnesses run on any one server, half on any one node."""
_FAILED = pytest.StashKey[bool]()
_TABLE = pytest.StashKey[dict[str, list[Verdict]]]()


@dataclass
class _Kept:
    """A cluster that one test leaves to the next."""

    folder: Path
    cluster: Cluster | None = None
    made: int = 0

    def end(self) -> None:
        if self.cluster is not None:
            self.cluster.clean_up()
            self.cluster = None


@pytest.fixture(scope="package")
def _kept(tmp_path_factory: pytest.TempPathFactory) -> Generator[_Kept]:
    kept = _Kept(tmp_path_factory.mktemp("kept"))
    yield kept
    kept.end()


@pytest.fixture(scope="module")
def _alone(_kept: _Kept) -> None:
    """The processor is free for another cluster, until a test asks for `cluster` again."""
    _kept.end()


@pytest.fixture
def make_cluster(_alone: None, tmp_path: Path) -> Generator[Callable[..., Cluster]]:
    """Makes clusters, not started yet; afterwards nothing of them is left running."""
    made: list[Cluster] = []

    def make(**how: Any) -> Cluster:
        made.append(Cluster(tmp_path / f"cluster{len(made)}", **how))
        return made[-1]

    yield make
    for cluster in made:
        cluster.clean_up()


@pytest.fixture
def cluster(request: pytest.FixtureRequest, _kept: _Kept) -> Generator[Cluster]:
    """Three servers and two agents with ten witnesses that fire each second, in good health; a test that fails has
    spoiled it for those that follow."""
    if _kept.cluster is None:
        _kept.made += 1
        made = Cluster(_kept.folder / str(_kept.made), agents=2)
        try:
            made.start()
            made.add_jobs(tags=TAGS)
        except BaseException:
            made.clean_up()
            raise
        _kept.cluster = made
    yield _kept.cluster
    if request.node.stash.get(_FAILED, True):
        _kept.end()


@pytest.fixture
def table(request: pytest.FixtureRequest) -> dict[str, list[Verdict]]:
    """The verdicts by fault, printed in the end."""
    return request.config.stash.setdefault(_TABLE, {})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call":
        item.stash[_FAILED] = report.failed
    if report.failed:
        for name in ("cluster", "network_cluster"):
            found = getattr(item, "funcargs", {}).get(name)
            if isinstance(found, Cluster):
                report.sections += [(f"the log of {node.name}", node.logged()) for node in found.nodes]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    found = config.stash.get(_TABLE, {})
    if found:
        terminalreporter.section("faults")
        terminalreporter.line(f"{'fault':42} times   runs  missed  run twice  longest silence  machine slower")
    for fault, verdicts in found.items():
        runs, missed, doubled = (
            sum(counts) for counts in zip(*((v.runs, len(v.missed), len(v.doubled)) for v in verdicts), strict=True)
        )
        silence = max(verdict.silence for verdict in verdicts)
        slower = max(verdict.machine.slowdown for verdict in verdicts)
        terminalreporter.line(
            f"{fault:42} {len(verdicts):5} {runs:6} {missed:7} {doubled:10} {silence:12.2f} s {slower:12.1f} x"
        )
