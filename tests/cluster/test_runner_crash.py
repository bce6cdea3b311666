"""The runner is killed: nothing runs twice, nothing stays open, and jobs go on."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import FULL
from tests.support.processes import Agent, Witness, fire_second, until

LINES = 40
"""A tenth of a second each."""
KILLS = 40 if FULL else 6


@pytest.mark.parametrize("with_agent", [False, True])
def test_a_run_is_adopted_or_lost_once(agent: Agent, witness: Witness, tmp_path: Path, with_agent: bool) -> None:
    go = tmp_path / "go"
    count = f'for i in $(seq 1 {LINES}); do echo "line $i"; sleep 0.1; done'
    agent.job(
        "count", f"{witness.note()}; {count}; until [ -e {go} ]; do sleep 0.1; done; exit 7", concurrency="forbid"
    )
    group = agent.run("count")
    until(lambda: len(agent.get("/v1/busy")) == 1 and witness.lines(), 60, "the run is running")
    os.kill(agent.runner(), signal.SIGKILL)
    if with_agent:
        agent.kill()
        agent.start()
    expected = b"".join(b"line %d\n" % number for number in range(1, LINES + 1))
    until(lambda: agent.output(agent.executions("count")[0]) == expected, 60, "the successor has its output")
    go.touch()
    execution = agent.ended("count", group)
    # Where the kernel tells how a process ended that is not the runner's child, nothing at all is lost.
    assert (execution["state"], execution["exit_code"]) in {("failed", 7), ("lost", None)}
    assert agent.output(execution) == expected
    assert [found["id"] for found in agent.executions("count")] == [execution["id"]]
    assert witness.lines() == [execution["id"]]
    assert agent.get("/v1/busy") == []
    agent.change("count", executor_config={"command": "true"})
    assert agent.ended("count", agent.run("count"))["state"] == "success"
    until(lambda: not list((agent.spool / "out").iterdir()), 60, "the runs are acknowledged, their spooled output gone")


def test_the_output_of_a_run_whose_shell_was_killed_too(agent: Agent, witness: Witness) -> None:
    """Nothing is left to adopt: the run is over, with what it had written."""
    agent.job("doomed", f"echo begun; {witness.note('$$')}; sleep 600")
    group = agent.run("doomed")
    until(witness.lines, 60, "the run is running")
    os.kill(agent.runner(), signal.SIGKILL)
    for pid in agent.runs():
        os.kill(pid, signal.SIGKILL)
    execution = agent.ended("doomed", group)
    assert execution["state"] in {"failed", "lost"}
    assert agent.output(execution) in {b"begun\n", b""}
    assert len(witness.lines()) == 1


def test_jobs_go_on_while_runners_die(agent: Agent, witness: Witness) -> None:
    pid = agent.process.pid
    names = [f"job-{number}" for number in range(4)]
    for name in names:
        agent.job(name, f"{witness.note('$DKRON_JOB_NAME/$DKRON_EXECUTION_ID')}; sleep 0.5", schedule="@every 1s")
    for _ in range(KILLS):
        before = len(witness.lines())
        until(lambda before=before: len(witness.lines()) > before, 60, "runs start")
        os.kill(runner := agent.runner(), signal.SIGKILL)
        until(lambda runner=runner: agent.runner() != runner, 60, "there is another runner")
    before = len(witness.lines())
    until(lambda: len(witness.lines()) >= before + 2 * len(names), 60, "runs start")
    for name in names:
        agent.change(name, disabled=True)
    until(lambda: agent.get("/v1/busy") == [], 60, "no run stays open")
    assert agent.alive
    assert agent.process.pid == pid
    started = Counter(witness.lines())
    assert set(started.values()) == {1}, "nothing runs twice"
    for name in names:
        executions = agent.executions(name)
        seconds = [fire_second(execution) for execution in executions]
        assert seconds == list(range(seconds[0], seconds[-1] + 1)), "each second has exactly one outcome"
        states = Counter(execution["state"] for execution in executions)
        assert set(states) <= {"success", "lost"}, [e for e in executions if e["state"] not in {"success", "lost"}]
        ran = {f"{name}/{e['id']}" for e in executions if e["state"] == "success"}
        assert ran <= set(started)
        assert set(started) & {f"{name}/{e['id']}" for e in executions} == {
            s for s in started if s.startswith(f"{name}/")
        }
        assert executions[-1]["state"] == "success", "what starts after the last kill is not touched by it"


def each_second_succeeded_once(agent: Agent, witness: Witness, names: list[str]) -> None:
    """Switch the jobs off; all of their fires up to then have run once, and no run stays open."""
    for name in names:
        agent.change(name, disabled=True)
    until(lambda: agent.get("/v1/busy") == [], 60, "no run stays open")
    ran: list[str] = []
    for name in names:
        executions = agent.executions(name)
        seconds = [fire_second(execution) for execution in executions]
        assert seconds == list(range(seconds[0], seconds[-1] + 1))
        for execution in executions:
            assert execution["state"] == "success", execution
        ran += [f"{name}/{execution['id']}" for execution in executions]
    assert sorted(witness.lines()) == sorted(ran)


def every_second(agent: Agent, witness: Witness, count: int) -> list[str]:
    """Create jobs that run every second; their names."""
    names = [f"job-{number}" for number in range(count)]
    for name in names:
        agent.job(name, witness.note("$DKRON_JOB_NAME/$DKRON_EXECUTION_ID"), schedule="@every 1s")
    until(lambda: len(witness.lines()) > count, 60, "runs start")
    return names


def stopped_between_runs(agent: Agent, runner: int) -> bool:
    """Try to stop the runner while no run is under way: how one ends whose runner dies is not always known. One that
    begins on this very moment is seen afterwards, since the runner can't end it any more."""
    if agent.get("/v1/busy") or not 0.3 < time.time() % 1 < 0.6:
        return False
    os.kill(runner, signal.SIGSTOP)
    if agent.get("/v1/busy"):
        os.kill(runner, signal.SIGCONT)
        return False
    return True


def test_orders_on_their_way_to_a_dying_runner(agent: Agent, witness: Witness) -> None:
    """Nobody knows what it took of them: its successor does, and what that does not know is ordered again."""
    names = every_second(agent, witness, 5)
    pid = agent.process.pid
    for _ in range(10 if FULL else 2):
        runner = agent.runner()
        until(lambda runner=runner: stopped_between_runs(agent, runner), 60, "the runner is stopped, nothing runs")
        decided = len(agent.executions(names[0]))
        until(lambda decided=decided: len(agent.executions(names[0])) >= decided + 1, 60, "runs are ordered")
        time.sleep(0.9 - time.time() % 1 % 0.9)  # so that the next runs are due while there is no runner
        os.kill(runner, signal.SIGKILL)
        before = len(witness.lines())
        until(lambda before=before: len(witness.lines()) >= before + 3 * len(names), 60, "runs go on")
    assert agent.alive
    assert agent.process.pid == pid
    each_second_succeeded_once(agent, witness, names)


def test_orders_of_a_dead_agent_that_its_runner_has_yet_to_read(agent: Agent, witness: Witness) -> None:
    names = every_second(agent, witness, 5)
    for _ in range(5 if FULL else 1):
        os.kill(runner := agent.runner(), signal.SIGSTOP)
        decided = len(agent.executions(names[0]))
        until(lambda decided=decided: len(agent.executions(names[0])) >= decided + 2, 60, "runs are ordered")
        agent.kill()
        agent.launch()
        until(lambda: agent.has_open("history.db"), 60, "the next agent is about to connect")
        time.sleep(0.5)
        os.kill(runner, signal.SIGCONT)
        agent.wait_ready()
        before = len(witness.lines())
        until(lambda before=before: len(witness.lines()) >= before + 3 * len(names), 60, "runs go on")
    each_second_succeeded_once(agent, witness, names)


def test_a_stopped_runner_holds_runs_back_but_loses_none(agent: Agent, witness: Witness) -> None:
    names = every_second(agent, witness, 1)
    runner = agent.runner()
    os.kill(runner, signal.SIGSTOP)
    try:
        time.sleep(3)
    finally:
        os.kill(runner, signal.SIGCONT)
    before = len(witness.lines())
    until(lambda: len(witness.lines()) >= before + 5, 60, "runs go on")
    each_second_succeeded_once(agent, witness, names)
