"""What others wrote, in any field and any output, is shown as text: nothing of it becomes a part of the page."""

from __future__ import annotations

from urllib.parse import quote

from tests.cluster.dashboard.conftest import Dashboard

XSS = '"><img src=x onerror=window.pwned=1><script>window.pwned=1</script>{{7*7}}${7*7}'
NODE = {"server": "true:1"}


def intact(dashboard: Dashboard) -> None:
    """Nothing of what was written has become an element, or was carried out."""
    assert dashboard.browser.script("return window.pwned") is None
    strange = 'img, iframe, object, script:not([src*="/main.js"]), [onerror], b.pwned'
    assert dashboard.browser.script("return document.querySelectorAll(arguments[0]).length", strange) == 0


def test_every_field_is_text(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.job(
        "hostile", f"echo '{XSS}'; exit 1", schedule="@every 1h", displayname=XSS, owner=XSS, owner_email=XSS,
        tags=NODE, metadata={"key": XSS},
    )  # fmt: skip
    dashboard.job("hostile-tags", schedule="@every 1h", tags={"role": XSS})
    dashboard.job("hostile-child", parent_job="hostile")
    dashboard.server.call("PUT", "/v1/groups/hostile-group", {"max": 1, "description": XSS})
    asked = {"env": {"NAME": XSS}, "at": "2035-01-01T00:00:00Z", "description": XSS, "type": XSS[:90]}
    dashboard.server.call("POST", "/v1/jobs/hostile/run", asked)
    dashboard.server.call("POST", "/v1/pause", {"reason": XSS})
    run = dashboard.run("hostile")
    try:
        for view in (
            "/", "/jobs?q=hostile", "/jobs/hostile", "/jobs/hostile?tab=runs", "/jobs/hostile?tab=changes",
            "/jobs/hostile?tab=definition", "/jobs/hostile?tab=explain", f"/jobs/hostile/executions/{run}",
            "/edit/hostile", "/edit/hostile-tags", "/jobs/hostile-tags", "/load", "/groups", "/new?from=hostile",
        ):  # fmt: skip
            dashboard.open(view)
            browser.shows("<img src=x onerror=window.pwned=1>")
            intact(dashboard)
    finally:
        dashboard.server.call("POST", "/v1/unpause")
        dashboard.server.call("DELETE", "/v1/jobs/hostile-child")


def test_addresses_are_text(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    for address in (
        f"/jobs/{quote(XSS, safe='')}",
        f"/{quote(XSS, safe='')}",
        f"/jobs?q={quote(XSS)}",
        "/jobs/%zz",
        "/nodes/%22%3E%3Cb%3E",
    ):
        dashboard.open(address)
        browser.find("h1")
        intact(dashboard)
    dashboard.open("/jobs")
    browser.find("h1", "Jobs")
    browser.refused(404)


def test_output_with_html_and_escapes_is_text(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    command = r"""printf '<b class="pwned">bold</b> <script>window.pwned=1</script>\n'
printf '\033[31mred\033[0m \033[1;38;5;208morange\033[0m \033[48;2;1;2;3mdeep\033[0m\n'
printf '\033]0;title\007 \033[2J\033[10;10Hmoved \033]8;;javascript:window.pwned=1\033\\link\033]8;;\033\\\n'
printf 'half\rwhole\n'; printf '\377\376 not utf-8\n'; exit 0"""
    dashboard.job("escapes", command, schedule="@every 1h", tags=NODE)
    run = dashboard.run("escapes")
    dashboard.open(f"/jobs/escapes/executions/{run}")
    browser.shows('<b class="pwned">bold</b> <script>window.pwned=1</script>', "complete")
    browser.shows(
        "red orange deep",
        "␛]0;title␇ ␛[2J␛[10;10Hmoved ␛]8;;javascript:window.pwned=1␛\\link",
        "whole",
        "\ufffd\ufffd not utf-8",
    )
    assert "half" not in browser.text_of(".terminal"), "it was written over"
    assert browser.script("return document.querySelectorAll('.terminal a').length") == 0
    assert browser.text_of(".terminal .fg1") == "red"
    assert browser.script("return document.querySelector('.terminal .bold').style.color") == "rgb(255, 135, 0)"
    intact(dashboard)
    browser.fill('input[aria-label="Search the output"]', "ORANGE")
    browser.shows("1 line")
    assert "red" in browser.text_of(".line.hit")
