"""Jobs of every kind of timing, with parameters, are made by the form alone; what is refused stands at its field."""

from __future__ import annotations

from json import dumps

import pytest

from tests.cluster.dashboard.conftest import Dashboard
from tests.support.browser import PHONE, WIDE, Browser
from tests.support.processes import until

pytestmark = pytest.mark.timeout(600)


def choose(browser: Browser, selector: str, text: str) -> None:
    """Choose what is called so in a list."""
    browser.click(f"{selector} option", text)


def says(browser: Browser, field: str, text: str) -> None:
    """Wait until the form says this at the field that the API names so."""
    browser.find(f"#field-{field.replace('.', '-')}-fault", text)


def add(browser: Browser, one: str) -> None:
    """Add a row by keyboard; the focus is then in its first input."""
    browser.find("button.add", f"Add a {one}")
    browser.script(
        "[...document.querySelectorAll('button.add')].find((one) => one.innerText === arguments[0]).focus()",
        f"Add a {one}",
    )
    browser.press("Enter")
    browser.until("!document.activeElement.matches('button, body')")


def value(browser: Browser, selector: str) -> str:
    return browser.script("return document.querySelector(arguments[0]).value", selector)


def test_a_job_with_several_schedules_exclusions_and_parameters_by_the_form(dashboard: Dashboard) -> None:
    browser, server = dashboard.browser, dashboard.server
    server.call("PUT", "/v1/calendars/company", {"days": ["12-25"]})
    server.call("PUT", "/v1/groups/forms", {"max": 2})
    dashboard.open("/new")
    browser.until("document.querySelector('#calendars option[value=company]')")
    browser.until("document.querySelector('#groups option[value=forms]')")
    browser.fill("#field-name", "by-form")
    browser.fill("#field-executor_config-command", "echo $REGION")
    browser.fill("#field-schedule", "0 0 9 * * MON-FRI")
    browser.fill("#field-timezone", "Europe/Berlin")
    for index, (zone, region) in enumerate((("America/New_York", "us"), ("Asia/Tokyo", "jp"))):
        add(browser, "schedule")
        row = f"#field-schedules-{index}"
        browser.fill(f"{row}-schedule", f"0 30 1{index} * * *")
        browser.fill(f"{row}-timezone", zone)
        browser.fill(f"{row}-env", f"REGION={region}")
        browser.find(".words", f"At 1{index}:30")
    browser.shows("At 09:00", "on the clock of Asia/Tokyo", "at UTC+09:00")

    add(browser, "calendar")
    browser.fill("#field-calendars-0", "company")
    add(browser, "blackout")
    browser.put("#field-blackouts-0-start", "2035-12-01T00:00:00")
    browser.put("#field-blackouts-0-end", "2035-12-03T12:00:00")
    add(browser, "blackout")
    choose(browser, "#field-blackouts-1-kind", "again and again")
    browser.fill("#field-blackouts-1-schedule", "0 0 22 * * FRI")
    browser.fill("#field-blackouts-1-duration", "8h")
    add(browser, "parameter")
    browser.fill("#field-parameters-0-name", "DAY")
    choose(browser, "#field-parameters-0-type", "a whole number")
    browser.fill("#field-parameters-0-default", "1")
    browser.fill("#field-parameters-0-description", "ago")
    add(browser, "parameter")
    browser.fill("#field-parameters-1-name", "MODE")
    browser.fill("#field-parameters-1-choices", "full\ndelta")
    choose(browser, "#field-parameters-1-default", "delta")
    add(browser, "group")
    browser.fill("#field-concurrency_groups-0", "forms")
    assert browser.violations() == []
    browser.click("button", "Create")
    browser.shows("by-form was created.")
    browser.refused(400)  # of what was half typed
    made = server.call("GET", "/v1/jobs/by-form")
    assert (made["schedule"], made["timezone"]) == ("0 0 9 * * MON-FRI", "Europe/Berlin")
    assert made["schedules"] == [
        {"schedule": "0 30 10 * * *", "timezone": "America/New_York", "env": {"REGION": "us"}},
        {"schedule": "0 30 11 * * *", "timezone": "Asia/Tokyo", "env": {"REGION": "jp"}},
    ]
    assert (made["calendars"], made["concurrency_groups"]) == (["company"], ["forms"])
    once, again = made["blackouts"]
    assert once == {"start": "2035-12-01T00:00:00Z", "end": "2035-12-03T12:00:00Z"}
    assert again == {"schedule": "0 0 22 * * FRI", "duration": "8h"}
    assert made["parameters"] == [
        {"name": "DAY", "type": "integer", "default": "1", "choices": [], "description": "ago"},
        {"name": "MODE", "type": "string", "default": "delta", "choices": ["full", "delta"], "description": ""},
    ]


def test_parents_by_the_form_on_a_phone_and_what_is_refused_at_its_field(dashboard: Dashboard) -> None:
    browser, server = dashboard.browser, dashboard.server
    for name in ("form-extract", "form-check"):
        dashboard.job(name, schedule="@every 1h")
    dashboard.job("after-both", schedule="@every 1h", owner="me")
    browser.size(*PHONE)
    try:
        dashboard.open("/edit/after-both")
        browser.click(".mode", "After other jobs")
        browser.fill("#field-depends_on-parents-0-job", "form-nobody")
        add(browser, "parent")
        browser.fill("#field-depends_on-parents-1-job", "form-check")
        choose(browser, "#field-depends_on-parents-1-on", "ended, in any way")
        browser.fill("#field-depends_on-window", "6h")
        add(browser, "calendar")
        browser.fill("#field-calendars-0", "form-none")
        add(browser, "blackout")
        add(browser, "parameter")
        browser.fill("#field-parameters-0-name", "1ST")
        browser.click("#field-parameters-0-needed")
        browser.click("button", "Save …")
        browser.click("dialog button", "Save")
        browser.shows("It was not saved.", "must have start and end")
        says(browser, "parameters.0.name", "not begin with a digit")
        assert browser.violations() == []
        browser.colours("dark")
        assert browser.violations("color-contrast") == []
        assert browser.script("return document.documentElement.scrollWidth - innerWidth") <= 0
        browser.click(".error-box button", "parameters.0.name")
        until(lambda: focused(browser) == "field-parameters-0-name", 60, "the list leads to the field")
        browser.fill("#field-parameters-0-name", "FIRST")
        assert focused(browser) == "field-parameters-0-name", "what is still wrong elsewhere takes no focus"
        browser.until("!document.querySelector('#field-parameters-0-name-fault')")
        browser.click('[aria-label="Remove blackout 1"]')
        for field, text, mended in (
            ("parameters.0-needed", "also runs without being asked", ""),
            ("calendars.0", "no calendar 'form-none'", ""),
            ("depends_on.parents.0.job", "'form-nobody' does not exist", "form-extract"),
        ):
            browser.click("button", "Save …")
            browser.click("dialog button", "Save")
            says(browser, field, text)
            if mended:
                browser.fill(f"#field-{field.replace('.', '-')}", mended)
            elif field == "calendars.0":
                browser.click('[aria-label="Remove calendar 1"]')
            else:
                browser.click(f"#field-{field.replace('.', '-')}")
        browser.click("button", "Save …")
        browser.shows("Save after-both?", "form-extract")
        browser.click("dialog button", "Save")
        browser.shows("after-both was changed.")
        assert browser.refused(400) >= 4
    finally:
        browser.colours("light")
        browser.size(*WIDE)
    made = server.call("GET", "/v1/jobs/after-both")
    assert made["depends_on"] == {
        "parents": [{"job": "form-extract", "on": "success"}, {"job": "form-check", "on": "completion"}],
        "require": "all",
        "window": "6h",
    }
    assert (made["schedule"], made["blackouts"], made["calendars"], made["owner"]) == ("", [], [], "me")
    assert (made["parameters"][0]["name"], made["parameters"][0]["default"]) == ("FIRST", "")


def focused(browser: Browser) -> str:
    return browser.script("return document.activeElement.id")


def test_the_run_dialog_says_what_is_wrong_with_a_value(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.job("form-asked", schedule="@manually", parameters=[{"name": "SIZE", "type": "integer"}])
    dashboard.open("/jobs/form-asked")
    browser.click("button", "Run now")
    browser.fill("#run-parameter-SIZE", "many")
    browser.fill("#run-env", "MORE=yes")
    browser.click("dialog button", "Run")
    browser.find("#run-parameter-SIZE-fault", "must be an integer")
    assert browser.refused(400) == 1
    assert value(browser, "#run-env") == "MORE=yes", "nothing that was typed is lost"
    browser.fill("#run-parameter-SIZE", "7")
    browser.click("dialog button", "Run")
    browser.until("!document.querySelector('dialog')")
    browser.shows("Succeeds")


def test_what_others_ask_for_is_seen(dashboard: Dashboard) -> None:
    browser, server = dashboard.browser, dashboard.server
    dashboard.job("form-later", schedule="@manually")
    dashboard.open("/jobs/form-later")
    browser.shows("It has not run yet.")
    server.call("POST", "/v1/jobs/form-later/run", {"at": "2035-05-06T07:08:09Z", "description": "of somebody else"})
    browser.shows("Asked to run", "of somebody else")
    dashboard.open(f"/nodes/{server.name}")
    browser.shows("Jobs that could run here")
    server.call("POST", f"/v1/nodes/{server.name}/drain")
    try:
        browser.shows("None: it is drained.")
    finally:
        server.call("POST", f"/v1/nodes/{server.name}/undrain")
    browser.until("!document.body.innerText.includes('None: it is drained.')")


def test_the_form_and_the_json_are_one(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.job("both-ways", schedules=[{"schedule": "@daily", "env": {"A": "1"}}, {"schedule": "@hourly"}])
    dashboard.open("/edit/both-ways")
    browser.fill("#field-schedules-1-timezone", "Asia/Nowhere")
    says(browser, "schedules.1.timezone", "'Asia/Nowhere' is not known")
    browser.fill("#field-schedules-1-timezone", "Asia/Tokyo")
    browser.click("button", "Save …")
    browser.shows("schedules.1.timezone")
    browser.click("dialog button", "Back")
    browser.script("document.querySelector('[aria-label=\"Remove schedule 2\"]').focus()")
    browser.press("Enter")
    browser.until("!document.querySelector('#field-schedules-1-schedule')")
    browser.until("document.activeElement.ariaLabel === 'Remove schedule 2'")  # the one that came after it
    assert value(browser, "#field-schedules-0-schedule") == "@hourly"
    assert value(browser, "#field-schedules-0-timezone") == "Asia/Tokyo"
    browser.click("button", "JSON")
    json = ".beside textarea"
    browser.until(f"document.querySelector('{json}')?.value.includes('Asia/Tokyo')")
    parameters = [{"choices": "abc"}]
    strange = {"schedule": 5, "schedules": 7, "calendars": {}, "blackouts": [3, None], "parameters": parameters}
    for odd in ({}, {"depends_on": "both"}, {"depends_on": {"parents": [None, 3]}}):
        browser.put(json, dumps({"name": "both-ways", **strange, **odd}))
        browser.until("!document.querySelector('#field-schedules-0-schedule')")
        browser.click("button", "Preview")
        browser.until("document.querySelectorAll('.entry.box').length >= 3")
        browser.click("button", "JSON")
    browser.put(json, '{"name": "both-ways", "depends_on": {"parents": ["view-good"], "require": "any"}}')
    browser.until("document.querySelector('.mode input[value=parents]').checked")
    browser.put(json, '{"name": "both-ways", "schedule": "@manually"}')
    browser.click("button", "Save …")
    browser.click("dialog button", "Save")
    browser.shows("It was not saved.", "executor")
    browser.click(".error-box button", "executor")
    until(lambda: focused(browser) == "field-executor", 60, "the list leads to the field")
    browser.put(json, '{"name": "both-ways", "schedule": "@manually", "executor": "shell"}')
    browser.until("!document.querySelector('.error-box')")
    browser.click(".mode", "Only when asked")
    browser.shows("It never fires by itself")
    browser.click(".mode", "By schedule")
    browser.until("document.querySelector('#field-schedule')?.value === '@manually'")
    browser.refused(400)  # of the number in place of schedules
