"""Many jobs each second: what ran, what is recorded and what was due are the same."""

from __future__ import annotations

import sys
import time
from collections import Counter

import pytest

from dkronpy.model.times import parse_rfc3339
from tests.conftest import FULL
from tests.support.processes import SECOND, Agent, Witness, fire_second, lateness, until

JOBS = 10
SECONDS = 60 if FULL else 20


def test_witness_and_history_and_fires_agree(
    agent: Agent, witness: Witness, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"job-{number}" for number in range(JOBS)]
    for name in names:
        agent.job(name, witness.note("$DKRON_JOB_NAME/$DKRON_EXECUTION_ID"), schedule="@every 1s")
    time.sleep(SECONDS)
    jobs = {name: agent.change(name, disabled=True) for name in names}
    until(lambda: agent.get("/v1/busy") == [], 60, "nothing runs")
    recorded: list[str] = []
    late: list[float] = []
    for name, job in jobs.items():
        executions = agent.executions(name)
        begun, ended = (parse_rfc3339(job[key]) // SECOND for key in ("created_at", "updated_at"))
        assert [fire_second(execution) for execution in executions] == list(range(begun + 1, ended + 1))
        assert {execution["state"] for execution in executions} == {"success"}
        assert {execution["trigger"] for execution in executions} == {"schedule"}
        recorded += [f"{name}/{execution['id']}" for execution in executions]
        late += [lateness(execution, "started_at") for execution in executions]
        assert agent.get(f"/v1/jobs/{name}")["success_count"] == len(executions)
    assert Counter(witness.lines()) == Counter(recorded)
    assert len(recorded) >= JOBS * (SECONDS - 1)
    late.sort()
    assert late[0] >= 0, "nothing starts early"
    shown = [f"{late[int(len(late) * share)] * 1000:.0f} ms" for share in (0.5, 0.99)]
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(late)} runs; late: median {shown[0]}, 99 % {shown[1]}, most {late[-1] * 1000:.0f} ms\n"
        )
