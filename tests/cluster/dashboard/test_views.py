"""Every view shows what there is as it happens, in light and dark, on a phone, by keyboard, without barriers."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.cluster.dashboard.conftest import Dashboard
from tests.support.browser import PHONE, WIDE, Browser
from tests.support.processes import until

OF_COLOURS = ("color-contrast", "link-in-text-block")
"""The rules of axe-core whose verdict depends on the colours; the others have judged the same page already."""
ONE_NODE = {"server": "true:1"}


@pytest.fixture(scope="module")
def filled(_shared: Dashboard) -> Generator[Dashboard]:
    """A cluster with jobs of several kinds, which have run."""
    _shared.job("view-good", "printf '\\033[31mred\\033[0m plain\\n'; sleep 0.2", schedule="@every 1h", tags=ONE_NODE)
    _shared.job("view-bad", "echo oops; exit 3", schedule="0 30 2 * * *", timezone="Europe/Berlin", tags=ONE_NODE)
    _shared.job("view-child", parent_job="view-good", tags=ONE_NODE)
    _shared.job("view-nowhere", schedule="* * * * * *", tags={"gpu": "none"}, concurrency_groups=["view-group"])
    for name in ("view-good", "view-bad"):
        for _ in range(3):
            _shared.run(name)
    yield _shared
    _shared.server.call("DELETE", "/v1/jobs/view-nowhere")


def newest(dashboard: Dashboard, job: str) -> str:
    """The id of the job's newest execution."""
    path = f"/v1/jobs/{job}/executions?output_size_limit=0"
    return until(lambda: dashboard.server.call("GET", path), 60, f"{job} has executions")[0]["id"]


def views(dashboard: Dashboard) -> dict[str, str]:
    """Every view, and a text that it shows."""
    run, skipped = newest(dashboard, "view-bad"), newest(dashboard, "view-nowhere")
    return {
        "/": "The cluster is well",
        "/jobs?q=view": "view-good",
        "/jobs/view-good": "How long it took",
        "/jobs/view-good?tab=runs": "by hand",
        "/jobs/view-nowhere?tab=explain": "Because",
        "/jobs/view-bad?tab=changes": "created by",
        "/jobs/view-bad?tab=definition": '"Europe/Berlin"',
        f"/jobs/view-bad/executions/{run}": "exit code 3",
        f"/jobs/view-nowhere/executions/{skipped}": "no alive node had its tags",
        "/runs?status=failed": "view-bad",
        "/runs?output=oops&trigger=manual&exit_code=3": "view-bad",
        "/nodes": "leader",
        f"/nodes/{dashboard.server.name}": "view-good",
        "/groups": "view-group",
        "/load": "at most",
        "/new": "Nodes that fit now",
        "/edit/view-bad": "At 02:30",
        "/nowhere": "There is no such view",
    }


def test_all_views_in_light_and_dark(filled: Dashboard, dashboard: Dashboard) -> None:
    browser = dashboard.browser
    found: dict[str, list[str]] = {}
    for address, text in views(filled).items():
        dashboard.open(address)
        for scheme, rules in (("light", ()), ("dark", OF_COLOURS)):
            browser.colours(scheme)
            browser.shows(text)
            if violations := browser.violations(*rules):
                found[f"{address} {scheme}"] = violations
    browser.colours("light")
    assert found == {}


def test_nothing_is_wider_than_a_phone(filled: Dashboard, dashboard: Dashboard) -> None:
    browser = dashboard.browser
    browser.size(*PHONE)
    try:
        for address, text in views(filled).items():
            dashboard.open(address)
            browser.shows(text)
            wide = browser.script("return document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{address} is {wide} px too wide"
    finally:
        browser.size(*WIDE)


def test_jobs_and_runs_are_shown_as_they_happen(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.open("/")
    browser.shows("The cluster is well", "4, 3 servers")
    until(lambda: f"Leader {dashboard.cluster.wait_for_leader().name} " in browser.text(), 60, "the leader is named")
    dashboard.job("live", "echo seen; sleep 600", schedule="@every 1h", tags=ONE_NODE)
    dashboard.open("/jobs?q=liv")
    browser.shows("@every 1h", "Never ran")
    execution = dashboard.run("live")
    browser.shows("Runs")
    browser.click("td a.name", "live")
    browser.shows("Next fires", "Last runs", "Running")
    browser.click(".list .what a")
    browser.shows("Output", "seen", "How it came about", "by hand")
    assert browser.script("return location.href").endswith(f"#/jobs/live/executions/{execution}")
    dashboard.server.call("POST", f"/v1/jobs/live/executions/{execution}/kill")
    browser.shows("Killed", "complete")


def test_times_are_on_the_clock_of_the_viewer_or_the_job(filled: Dashboard, dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.open("/jobs/view-bad")
    browser.shows("02:30 in Europe/Berlin")
    browser.click('select option[value="job"]')
    browser.shows(", 02:30:00")
    browser.click('select option[value="viewer"]')
    browser.shows("02:30 in Europe/Berlin")


def focused(browser: Browser) -> str:
    return browser.script("return document.activeElement.innerText || document.activeElement.ariaLabel || ''")


def test_it_can_be_used_by_keyboard(filled: Dashboard, dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.open("/jobs?q=view-good")
    browser.shows("view-good")
    browser.driver.refresh()
    browser.shows("view-good")
    seen: list[str] = []
    for _ in range(40):
        browser.press("Tab")
        seen.append(focused(browser))
        if seen[-1] == "view-good":
            break
    assert seen[0] == "Skip to the content"
    assert {"Overview", "New job", "Search jobs by name", "Mark view-good", "view-good"} <= set(seen)
    outline = browser.script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "where one is, is seen"
    browser.press("Enter")
    browser.shows("What it is")
    until(lambda: browser.script("return document.activeElement.id") == "main", 60, "the focus is in the new view")
    browser.find("button", "Delete")
    browser.script("[...document.querySelectorAll('button')].find((one) => one.innerText === 'Delete').focus()")
    browser.press("Enter")
    browser.find("dialog[open]", "Delete view-good?")
    browser.press("Escape")
    browser.until("!document.querySelector('dialog')")
    until(lambda: focused(browser) == "Delete", 60, "the focus goes back to where it was")
    browser.press("Enter")
    browser.click("dialog button", "Cancel")
    browser.until("!document.querySelector('dialog')")
    until(lambda: focused(browser) == "Delete", 60, "the focus goes back to where it was")
