"""The pictures of README and docs. With DKRONPY_PICTURES=write they are renewed; else it is only tried to make them.

What they show is a working day of a small company.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

from dkronpy.model.times import rfc3339
from tests.cluster.dashboard.conftest import Dashboard
from tests.support.browser import WIDE
from tests.support.processes import ROOT, SECOND

ONE = {"server": "true:1"}
HEIGHTS = {"overview": 860, "job": 1180, "output": 800, "editor": 800}


def remember(dashboard: Dashboard, job: str, runs: int, spacing: float, bad: int = 0) -> None:
    """A history of runs at about every `spacing` s up to now, of which every `bad`th has failed."""
    chance = random.Random(job)
    now = time.time_ns()
    told: list[dict[str, Any]] = []
    for back in range(1, runs + 1):
        due = now - int(back * spacing * SECOND)
        began = due + chance.randrange(10, 90) * 1_000_000
        ended = began + int(chance.lognormvariate(0, 0.3) * 2 * SECOND)
        failed = bool(bad) and back % bad == 0
        told.append(
            {
                "group": due, "node_name": f"s{back % 3 + 1}", "state": "failed" if failed else "success",
                "exit_code": int(failed), "started_at": rfc3339(began), "finished_at": rfc3339(ended),
            }
        )  # fmt: skip
    dashboard.server.call("POST", f"/v1/jobs/{job}/executions", told)


def fill(dashboard: Dashboard) -> str:
    """Jobs, some of which have run; the id of a run that writes."""
    progress = r"""i=0; while [ $i -lt 6000 ]; do i=$((i+1))
printf '\033[36m%s\033[0m orders batch %03d: \033[32m%d stored\033[0m' "$(date +%T)" $i $((i*7%90+40))
[ $((i%9)) -ne 0 ] || printf ', \033[1;33m1 retried\033[0m'; echo; sleep 0.05; done"""
    dashboard.job(
        "import-orders", progress, schedule="*/5 * * * *", tags=ONE, displayname="Import of orders", owner="Shop"
    )
    dashboard.job("send-invoices", "sleep 0.3", parent_job="import-orders", tags=ONE)
    dashboard.job("index-search", "sleep 0.2", parent_job="import-orders", tags=ONE)
    dashboard.job("report-sales", "sleep 0.5", tags=ONE, depends_on={"parents": ["send-invoices", "index-search"]})
    dashboard.job(
        "backup-db", "sleep 1", schedule="0 30 2 * * *", timezone="Europe/Berlin", tags=ONE, retries=2, owner="Platform"
    )
    dashboard.job("rotate-logs", "sleep 0.1", schedule="H H(0-5) * * *", tags={"server": "true"})
    dashboard.job("check-quota", "echo 'quota exceeded' >&2; exit 4", schedule="*/10 * * * *", tags=ONE)
    dashboard.job("sync-mirror", "sleep 0.2", schedule="@every 15s", tags=ONE)
    remember(dashboard, "import-orders", 600, 4 * 3600, bad=31)
    remember(dashboard, "sync-mirror", 250, 15)
    remember(dashboard, "check-quota", 20, 210, bad=5)
    for name in ("backup-db", "rotate-logs", "check-quota", "send-invoices"):
        dashboard.run(name)
    return dashboard.run("import-orders")


def test_pictures(dashboard: Dashboard, tmp_path: Path) -> None:
    browser = dashboard.browser
    folder = ROOT / "docs" / "pictures" if os.environ.get("DKRONPY_PICTURES") == "write" else tmp_path
    folder.mkdir(exist_ok=True)
    # a server whose overview nobody has asked for yet: it counts what is in the history now
    shown = [dashboard.server, *(server for server in dashboard.cluster.servers if server.alive)][-1]
    dashboard.move(shown)
    run = fill(dashboard)
    views = {
        "overview": ("/", "one of each job"),
        "job": ("/jobs/import-orders", "How long it took"),
        "output": (f"/jobs/import-orders/executions/{run}", "batch 030"),
        "editor": ("/edit/backup-db", "At 02:30"),
    }
    shown.call("GET", "/v1/overview")  # which is answered when all is counted
    try:
        for name, (address, text) in views.items():
            browser.size(1280, HEIGHTS[name])
            dashboard.open(address)
            browser.until(f"document.body.textContent.includes({text!r})")  # lines that are scrolled away count too
            if name == "job":
                browser.until("document.querySelectorAll('.u-over').length === 2")
            for scheme in ("light", "dark"):
                browser.colours(scheme)
                browser.picture(folder / f"{name}-{scheme}.png")
                assert (folder / f"{name}-{scheme}.png").stat().st_size > 20_000
    finally:
        browser.colours("light")
        browser.size(*WIDE)
        dashboard.server.call("DELETE", "/v1/jobs/report-sales")
    dashboard.server.call("POST", f"/v1/jobs/import-orders/executions/{run}/kill")


def test_pictures_are_there() -> None:
    for name in ("overview", "job", "output", "editor"):
        for scheme in ("light", "dark"):
            size = (ROOT / "docs" / "pictures" / f"{name}-{scheme}.png").stat().st_size
            assert 20_000 < size < 200_000, (
                "renew them: DKRONPY_PICTURES=write ./test tests/cluster/dashboard/test_pictures.py"
            )
