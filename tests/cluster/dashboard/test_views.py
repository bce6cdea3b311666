"""Every view shows what there is, in light and dark, without what keeps people from using it."""

from __future__ import annotations

from tests.cluster.dashboard.conftest import Dashboard


def test_overview_and_jobs_are_live(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.open("/")
    browser.shows("The cluster is well", f"Leader {dashboard.cluster.wait_for_leader().name}", "3, 3 servers")
    dashboard.open("/jobs")
    browser.find("h1", "Jobs")
    dashboard.job("live", "echo seen; sleep 30", schedule="@every 1h", tags={"server": "true:1"})
    dashboard.open("/jobs?q=liv")
    browser.shows("@every 1h", "Never ran")
    execution = dashboard.run("live")
    browser.shows("Runs")
    browser.click("td a.name", "live")
    browser.shows("Next fires", "Last runs", "Running")
    browser.click(".list a", "")
    browser.shows("Output", "seen", "How it came about", "by hand")
    assert execution in browser.script("return location.href")
    dashboard.server.call("POST", f"/v1/jobs/live/executions/{execution}/kill")
    browser.shows("Killed", "complete")
