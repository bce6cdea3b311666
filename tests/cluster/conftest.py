"""Agents for the tests with real processes, and their logs beside what failed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Agent, Witness

_AGENTS = pytest.StashKey[list[Agent]]()


@pytest.fixture
def make_agent(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Callable[..., Agent]]:
    """Makes agents, not started yet, each in a directory of its own; afterwards nothing of them is left running."""
    made = request.node.stash[_AGENTS] = []

    def make(name: str = "node", **how: Any) -> Agent:
        made.append(Agent(tmp_path / name, **how))
        return made[-1]

    yield make
    for agent in made:
        agent.clean_up()


@pytest.fixture
def agent(make_agent: Callable[..., Agent]) -> Agent:
    """A started agent."""
    return make_agent().start()


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(tmp_path / "witness")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A slow machine has time for a test here, and for what it begins with, such as a cluster."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(600))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        given = getattr(item, "funcargs", {}).values()
        agents = {id(agent): agent for agent in (*given, *item.stash.get(_AGENTS, [])) if isinstance(agent, Agent)}
        report.sections += [("the agent's log", agent.logged()) for agent in agents.values()]
    return report
