"""Ten thousand jobs and a long history: how quick the views are, how much the first load weighs, and that a page that
is left open does not grow.

In CI the history has 20,000 executions and the page is watched for 20 s; with --full it has a million, for ten minutes.
What is measured is told with `-o junit_family=xunit1 --junitxml FILE`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Generator

import pytest

from tests.conftest import FULL
from tests.support.browser import Browser
from tests.support.machine import measured
from tests.support.processes import HOST, ROOT, free_port, until

Record = Callable[[str, object], None]
JOBS = 10_000
EXECUTIONS = 1_000_000 if FULL else 20_000
RATE = 50
"""Runs that begin and end each second."""
WATCHED = 600 if FULL else 20
TRIES = 3
FIRST, LATER = 1.0, 0.5
"""Seconds until the first view can be used, and until another one shows what is asked for."""
WEIGHT = 250_000
"""Bytes of the first load, as they are sent."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The origin of a node with all that."""
    folder, port = tmp_path_factory.mktemp("large"), free_port()
    command = [sys.executable, "-m", "tests.support.large_node", str(folder), str(port), str(JOBS), str(EXECUTIONS)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, str(RATE)], cwd=ROOT, stdout=log, stderr=log)
    try:
        until(lambda: (folder / "log").read_text().startswith("ready"), 300 + EXECUTIONS / 10_000, "the node answers")
        yield f"http://{HOST}:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    browser = Browser()
    yield browser
    browser.close()


@pytest.mark.timeout(600 if not FULL else 1200)
def test_views_are_quick(large: str, browser: Browser, record_property: Record) -> None:
    views = {
        "/jobs": (".table .name", "job-00000"),
        "/jobs?page=150": (".table .name", "job-07450"),
        "/jobs?q=0999": (".table .name", "job-00999"),
        "/jobs?sort=next&order=DESC": (".table .name", "job-"),
        "/jobs/job-00042": (".list li", "Succeeded"),
        "/runs?status=failed": (".table .name", "job-"),
        "/nodes/node1": (".card", "100 of 10000"),
    }
    took: dict[str, list[float]] = {}
    with measured() as machine:
        for _ in range(TRIES):
            browser.open("about:blank")
            browser.open(f"{large}/ui/#/")
            took.setdefault("first", []).append(browser.takes("", ".health .verdict", "The cluster is well"))
            for address, shown in views.items():
                took.setdefault(address, []).append(browser.takes(address, *shown))
                browser.takes("/nowhere", "h1", "There is no such view")
    for view, all in took.items():
        record_property(f"seconds {view}", [round(seconds, 3) for seconds in all])
    slow = {view: all for view, all in took.items() if min(all) > machine.allowed(FIRST if view == "first" else LATER)}
    assert slow == {}
    assert browser.complaints() == []


def test_first_load_is_light(large: str, browser: Browser, record_property: Record) -> None:
    browser.command("Network.clearBrowserCache", {})
    browser.open("about:blank")
    browser.open(f"{large}/ui/#/")
    browser.shows("The cluster is well")
    entries = "performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource'))"
    sizes = f"return {entries}.filter((e) => e.name.includes('/ui/')).map((e) => [e.name, e.transferSize])"
    files = browser.script(sizes)
    weight = sum(size for _, size in files)
    record_property("bytes", weight)
    assert len(files) > 30
    assert 20_000 < weight <= WEIGHT
    assert all("uplot.js" not in name and "/later/" not in name for name, _ in files)


@pytest.mark.timeout(600 + 2 * WATCHED)
def test_a_page_that_is_left_open_does_not_grow(large: str, browser: Browser, record_property: Record) -> None:
    browser.open("about:blank")
    browser.open(f"{large}/ui/#/runs")
    browser.find(".table .state", "Running")
    rows = "return document.querySelector('.table .name').closest('tr').innerText"
    first = browser.script(rows)
    time.sleep(3)  # until the page has everything that it keeps
    before, nodes_before = browser.memory()
    time.sleep(WATCHED)
    after, nodes_after = browser.memory()
    record_property("heap and nodes", [(before, nodes_before), (after, nodes_after)])
    assert browser.script(rows) != first, "it was live"
    assert after - before < 2_000_000, f"{before:,} bytes became {after:,}"
    assert nodes_after - nodes_before < 3000, f"{nodes_before:,} nodes became {nodes_after:,}"
    assert browser.complaints() == []
