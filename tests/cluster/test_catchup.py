"""An outage: every fire in it has exactly one outcome, which the job's catch-up policy decides."""

from __future__ import annotations

import time
from typing import Any

from tests.conftest import FULL
from tests.support.processes import Agent, Witness, fire_second, lateness, until

OUTAGE = 30 if FULL else 10
"""Seconds."""
POLICIES = {
    "all": {"policy": "all"},
    "latest": {"policy": "latest"},
    "none": {"policy": "none"},
    "short": {"policy": "all", "window": "5s"},
}


def test_what_becomes_of_the_fires_of_an_outage(agent: Agent, witness: Witness) -> None:
    for name, catchup in POLICIES.items():
        agent.job(name, witness.note("$DKRON_JOB_NAME/$DKRON_EXECUTION_ID"), schedule="@every 1s", catchup=catchup)
    until(lambda: all(len(agent.executions(name)) >= 2 for name in POLICIES), 60, "every job runs")
    agent.kill()
    stopped = time.time()
    time.sleep(OUTAGE)
    agent.start()
    started = time.time()

    def on_time_again() -> bool:
        newest = [agent.executions(name)[-1] for name in POLICIES]
        return all(fire_second(e) > started and e["state"] == "success" for e in newest)

    until(on_time_again, 60, "every job runs on time again")
    for name in POLICIES:
        agent.change(name, disabled=True)
    until(lambda: agent.get("/v1/busy") == [], 60, "nothing runs")

    ran = witness.lines()
    assert len(ran) == len(set(ran)), "nothing runs twice"
    late: dict[str, list[Any]] = {}
    for name in POLICIES:
        executions = agent.executions(name)
        seconds = [fire_second(execution) for execution in executions]
        assert seconds == list(range(seconds[0], seconds[-1] + 1)), "each second has exactly one outcome"
        succeeded = {f"{name}/{e['id']}" for e in executions if e["state"] == "success"}
        assert succeeded == {line for line in ran if line.startswith(f"{name}/")}
        for execution in executions:
            assert execution["count"] == 1
            if lateness(execution) < 1:
                assert (execution["state"], execution["reason"]) == ("success", ""), execution
        late[name] = [e for e in executions if lateness(e) >= 1 and fire_second(e) > stopped]
        assert len(late[name]) >= OUTAGE - 1

    def outcomes(name: str) -> list[tuple[str, str]]:
        return [(execution["state"], execution["reason"]) for execution in late[name]]

    assert set(outcomes("all")) == {("success", "")}
    assert set(outcomes("none")) == {("missed", "not_wanted")}
    assert set(outcomes("latest")) <= {("missed", "superseded"), ("success", "")}
    # The newest fire of the outage runs. It may be less than a second late, and so not be among these.
    assert ("success", "") not in outcomes("latest")[:-1]
    within = [e for e in late["short"] if lateness(e) <= 5]
    assert {(e["state"], e["reason"]) for e in within} == {("success", "")}
    assert len(within) >= 3
    outside = [e for e in late["short"] if lateness(e) > 5]
    assert {(e["state"], e["reason"]) for e in outside} == {("missed", "outside_window")}
