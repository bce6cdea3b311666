"""Tokens are asked for, stay out of addresses and give what they allow, behind a proxy with a path of its own; a server
that is away is told of, and that it is back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cluster.dashboard.conftest import Dashboard
from tests.support.prefix_proxy import prefix_proxy
from tests.support.processes import Agent

READ, WRITE = "r" * 24, "w" * 24


def test_sign_in_with_a_token_that_reads_and_one_that_writes(
    dashboard: Dashboard, make_agent: Callable[..., Agent], tmp_path: Path
) -> None:
    browser = dashboard.browser
    tokens = tmp_path / "tokens"
    tokens.write_text(f"read {READ} reader\nwrite {WRITE} writer\n")
    tokens.chmod(0o600)
    agent = make_agent(options=[f"--http-token-file={tokens}"]).start()
    with prefix_proxy(agent.port, "/cron/east") as address:
        browser.open(f"{address}/dashboard/#/jobs")
        browser.fill("#token", "wrong-token-wrong-token")
        browser.click("button", "Sign in")
        browser.shows("The server did not take this token.")
        assert browser.violations() == []
        browser.fill("#token", READ)
        browser.click("button", "Sign in")
        browser.shows("There are no jobs yet.", "The token reader may only read")
        assert "New job" not in browser.text()
        browser.open(f"{address}/ui/#/")
        browser.shows("The cluster is well")
        assert "Pause scheduling" not in browser.text()
        browser.click("button", "Sign out reader")
        browser.fill("#token", WRITE)
        browser.click("button", "Sign in")
        browser.shows("Pause scheduling")
        browser.open(f"{address}/ui/#/new")
        browser.fill("#field-name", "written")
        browser.fill("#field-executor_config-command", "echo by whom")
        browser.click("button", "Create")
        browser.shows("written was created.")
        browser.click("a", "Changes")
        browser.shows("created by writer")
        assert browser.refused(401) > 0
        assert browser.complaints() == []
        asked = browser.requests()
        assert [url for url in asked if READ in url or WRITE in url] == []
        assert [url for url in asked if url.startswith("http") and not url.startswith(address)] == []
        agent.kill()
        browser.shows("This server can't be reached; what is shown may be old.")
        agent.start()
        browser.until("!document.body.innerText.includes('reached')")
        browser.open("about:blank")
        browser.complaints()  # of a server that was away
        browser.requests()
