"""What people do with it: create, run, watch, kill, read why; edit; many at once; all while a leader fails."""

from __future__ import annotations

import json
import re

from tests.cluster.dashboard.conftest import Dashboard
from tests.support.processes import until

COUNTING = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i; sleep 0.05; done"


def test_create_run_watch_through_a_failover_kill_and_read_why(dashboard: Dashboard) -> None:
    browser, cluster = dashboard.browser, dashboard.cluster
    dashboard.open("/new")
    browser.fill("#field-name", "made-here")
    browser.fill("#field-schedule", "0 30 2 * * *")
    browser.shows("At 02:30")
    browser.fill("#field-tags", f"node={cluster.agents[0].name}")
    browser.fill("#field-executor_config-command", COUNTING)
    browser.until("document.querySelectorAll('.beside .pill').length === 1")
    browser.click("button", "Create")
    browser.shows("made-here was created.", "It has not run yet.")
    browser.click("button", "Run now")
    browser.shows("Running")
    browser.click(".list .what a")
    browser.shows("line 5")

    # The one that dies is not the one that is shown: which of them leads may have changed.
    while (leader := cluster.wait_for_leader()) is dashboard.server:
        view = browser.script("return location.hash.slice(1)")
        dashboard.move(cluster.follower())
        dashboard.open(view)
        browser.shows("line 5", "live")
    leader.kill()
    lost_at = last_line(dashboard)
    browser.shows("live")
    until(lambda: last_line(dashboard) > lost_at + 40, 60, "output streams on while another server takes the lead")
    assert cluster.wait_for_leader() is not leader
    lines = browser.script("return [...document.querySelectorAll('.terminal .line')].map((one) => one.textContent)")
    numbers = [int(found[1]) for line in lines if (found := re.fullmatch(r"line (\d+)", line))]
    assert numbers == list(range(1, len(numbers) + 1)), "no line is missing, none comes twice"

    browser.click("button", "Kill")
    browser.click("dialog button", "Kill")
    browser.shows("Killed", "complete", within=60)
    browser.click("dd a", "")
    browser.shows("Because", "killed")
    cluster.start()


def last_line(dashboard: Dashboard) -> int:
    text = dashboard.browser.script(
        "return document.querySelector('.terminal').lastChild?.previousSibling?.textContent"
    )
    found = re.search(r"line (\d+)", text or "")
    return int(found[1]) if found else 0


def test_edit_shows_the_difference_and_refuses_what_is_old(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.job("edited", schedule="@every 1h")
    dashboard.open("/edit/edited")
    browser.find("#field-name")
    assert browser.script("return document.querySelector('#field-name').disabled")
    browser.fill("#field-schedule", "@every 30")
    browser.find("#field-schedule-fault")
    browser.fill("#field-schedule", "@every 2h")
    browser.shows("Every 2h")
    browser.click("button", "JSON")
    assert (
        json.loads(browser.script("return document.querySelector('.beside textarea').value"))["schedule"] == "@every 2h"
    )
    browser.click("button", "Save …")
    browser.shows("Save edited?", "schedule", "@every 1h", "@every 2h")
    assert browser.violations() == []
    dashboard.server.call("PATCH", "/v1/jobs/edited", {"owner": "somebody"})
    browser.click("dialog button", "Save")
    browser.shows("It was not saved.", "read it again")
    assert browser.refused(400) >= 1, "of the schedule that was no schedule"
    assert browser.refused(412) == 1
    dashboard.open("/jobs/edited?tab=changes")
    browser.shows("somebody", "created by")
    assert dashboard.server.call("GET", "/v1/jobs/edited")["schedule"] == "@every 1h"


def test_clone_and_what_the_server_refuses(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.job("model", "echo one", schedule="@every 1h", metadata={"team": "a"})
    dashboard.open("/new?from=model")
    browser.fill("#field-name", "No Good")
    browser.click("button", "Create")
    browser.shows("It was not saved.")
    assert browser.text_of("#field-name-fault")
    browser.fill("#field-name", "model-2")
    browser.click("button", "Create")
    browser.shows("model-2 was created.")
    copy = dashboard.server.call("GET", "/v1/jobs/model-2")
    assert copy["metadata"] == {"team": "a"}
    assert copy["executor_config"]["command"] == "echo one"
    assert browser.refused(400) >= 1


def test_many_at_once(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    names = [f"many-{number}" for number in range(8)]
    for name in names:
        dashboard.job(name, schedule="@every 1h", tags={"server": "true:1"})
    dashboard.open("/jobs?q=many-")
    browser.shows("1–8 of 8")
    browser.click('input[aria-label="Mark all on this page"]')
    browser.shows("8 jobs marked")
    browser.click(".bulk button", "Disable")
    browser.click("dialog button", "Disable")
    browser.shows("8 jobs disabled.")
    assert all(dashboard.server.call("GET", f"/v1/jobs/{name}")["disabled"] for name in names)
    browser.until("document.querySelectorAll('td .tone-quiet').length >= 8")
    browser.click('input[aria-label="Mark many-0"]')
    browser.click(".bulk button", "Run")
    browser.click("dialog button", "Run")
    browser.shows("1 job asked to run.")
    until(lambda: dashboard.server.call("GET", "/v1/jobs/many-0")["success_count"] == 1, 60, "many-0 ran")
    browser.click('input[aria-label="Mark all on this page"]')
    browser.click(".bulk button", "Delete")
    browser.click("dialog button", "Delete")
    browser.shows("8 jobs deleted.", "No job is like that.")


def test_pause_and_go_on(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.open("/")
    browser.click("button", "Pause scheduling")
    browser.fill("#pause-reason", "moving house")
    browser.click("dialog button", "Pause")
    browser.shows("All scheduling has been paused", "moving house")
    assert dashboard.server.call("GET", "/v1/pause")["paused"]
    browser.click("button", "Go on")
    browser.until("!document.body.innerText.includes('moving house')")
    assert not dashboard.server.call("GET", "/v1/pause")["paused"]


def test_a_run_at_a_later_time_is_shown_and_cancelled(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    parameters = [{"name": "SIZE", "type": "integer"}, {"name": "COLOUR", "default": "red", "choices": ["red", "blue"]}]
    dashboard.job("later", schedule="@manually", parameters=parameters)
    dashboard.open("/jobs/later")
    browser.click("button", "Run now")  # which can't be without a size
    browser.put("#run-at", "2035-05-06T07:08:09")
    browser.fill("#run-parameter-SIZE", "3")
    browser.click("#run-parameter-COLOUR option", "blue")
    browser.fill("#run-env", "MORE=yes")
    assert browser.violations() == []
    browser.fill("#run-why", "stocktaking")
    browser.click("dialog button", "Run")
    browser.shows("Asked to run", "stocktaking", "2035")
    assert dashboard.server.call("GET", "/v1/jobs/later/triggers")[0]["env"] == {
        "SIZE": "3",
        "COLOUR": "blue",
        "MORE": "yes",
    }
    browser.click(".list button", "Cancel")
    browser.until("!document.body.innerText.includes('stocktaking')")
    assert dashboard.server.call("GET", "/v1/jobs/later/triggers") == []


def test_fires_of_the_past_are_shown_before_they_are_run(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.job("past", schedule="0 0 * * * *", tags={"server": "true:1"})
    dashboard.open("/jobs/past?tab=runs")
    browser.click("button", "Run fires of the past …")
    browser.put("#backfill-from", "2020-01-01T00:00:00")
    browser.put("#backfill-to", "2020-01-01T02:30:00")
    browser.click("dialog button", "Show what would run")
    browser.shows("3 fires would run", "1 Jan 2020, 02:00:00")
    assert dashboard.server.call("GET", "/v1/jobs/past")["success_count"] == 0
    browser.click("dialog button", "Run 3 fires")
    browser.shows("3 fires of past are run.", "by a backfill")
    until(lambda: dashboard.server.call("GET", "/v1/jobs/past")["success_count"] == 3, 60, "they ran")


def test_a_group_is_defined_and_changed(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.job(
        "places", "sleep 600", schedule="@every 1h", tags={"server": "true:1"}, concurrency_groups=["forklifts"]
    )
    run = dashboard.run("places")
    dashboard.open("/groups")
    browser.shows("1 of 1")
    browser.click('button[aria-label="Change forklifts"]')
    browser.fill("#group-places", "3")
    browser.click("dialog button", "Save")
    browser.shows("forklifts has 3 places.", "1 of 3")
    assert dashboard.server.call("GET", "/v1/groups/forklifts")["max"] == 3
    dashboard.server.call("POST", f"/v1/jobs/places/executions/{run}/kill")
    browser.shows("0 of 3")
