"""The agent is killed, stopped or restarted: what it answered stays, and what runs goes on."""

from __future__ import annotations

import hashlib
import http.client
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dkronpy.model.times import parse_rfc3339
from tests.conftest import FULL
from tests.support.machine import measured
from tests.support.processes import Agent, Sent, Witness, until

CLIENTS = 16
ROUNDS = 20 if FULL else 3
LINES = 200 if FULL else 80
"""A tenth of a second each."""


@pytest.mark.timeout(900)
def test_jobs_answered_with_201_survive_kill_9(make_agent: Callable[..., Agent], witness: Witness) -> None:
    agent = make_agent()
    rng = random.Random(16)
    created: dict[str, str] = {}
    asked: set[str] = set()
    for round_ in range(ROUNDS):
        agent.start()
        enough = len(created) + rng.randint(50, 400)

        def create(client: int, round_: int = round_) -> str:
            """Create jobs until the agent is gone; the last that was answered."""
            name = ""
            for number in range(10_000):
                tried, mark, run = f"job-{round_}-{client}-{number}", str(random.random()), number % 10 == 3
                document = {
                    "name": tried,
                    "schedule": "@manually",
                    "executor": "shell",
                    "executor_config": {"command": witness.note("$DKRON_JOB_NAME"), "shell": "true"},
                    "metadata": {"mark": mark},
                }
                try:
                    answer = agent.call("POST", f"/v1/jobs{'?runoncreate' if run else ''}", document)
                except (OSError, http.client.HTTPException):
                    return name
                assert answer.status == 201, answer.body
                name = tried
                created[name] = mark
                if run:
                    asked.add(name)
            return name

        def created_enough(enough: int = enough, round_: int = round_) -> bool:
            first = (f"job-{round_}-{client}-0" for client in range(CLIENTS))
            return len(created) >= enough and all(name in created for name in first)

        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(create, client) for client in range(CLIENTS)]
            until(created_enough, 120, f"{enough} jobs are created, by all clients")
            agent.kill()
            last = [name for name in (client.result() for client in clients) if name]
        assert len(last) == CLIENTS
        agent.start()
        found = {job["name"]: job["metadata"]["mark"] for job in agent.get("/v1/jobs")}
        assert {name: found.get(name) for name in created} == created
        before = Counter(witness.lines())
        for name in last:
            agent.run(name)
        for name in last:
            seen = before[name]
            until(lambda name=name, seen=seen: Counter(witness.lines())[name] > seen, 60, f"{name} runs")
        until(lambda: asked <= set(witness.lines()), 60, "every run that was asked for with its job has been")
        agent.kill()
    manual = Counter(witness.lines())
    assert all(manual[name] <= 2 for name in asked)
    agent.start()
    # Ended or not when the agent was last killed: each run is recorded once, and none is left open.
    until(lambda: agent.get("/v1/busy") == [], 60, "nothing runs")
    for name in asked:
        assert manual[name] == len(agent.executions(name)), name


def counting(agent: Agent, witness: Witness, lines: int = LINES) -> tuple[int, bytes]:
    """Start a run that counts a line each tenth of a second, and then waits for `go`; its group, and the output it
    will have."""
    count = f'for i in $(seq 1 {lines}); do echo "line $i"; sleep 0.1; done'
    agent.job("count", f"{witness.note()}; {count}; until [ -e {witness.path}-go ]; do sleep 0.1; done; exit 7")
    return agent.run("count"), b"".join(b"line %d\n" % number for number in range(1, lines + 1))


def go(witness: Witness) -> None:
    """Let the run end once it has counted."""
    Path(f"{witness.path}-go").touch()


def running(agent: Agent, group: int, lines: int) -> Any:
    """Wait until a run has written so many lines that are stored."""

    def look() -> Any:
        found = agent.executions("count", f"&group={group}")
        return found[0] if found and agent.output(found[0]).count(b"\n") >= lines else None

    return until(look, LINES / 10 + 60, f"{lines} lines of the run are stored")


def ended_once(agent: Agent, witness: Witness, group: int, expected: bytes) -> None:
    """The run ends once, as it should, and nothing is left of it."""
    go(witness)
    execution = agent.ended("count", group, LINES / 10 + 60)
    assert (execution["state"], execution["exit_code"], execution["error"]) == ("failed", 7, "")
    assert agent.output(execution) == expected
    assert execution["output_size"] == len(expected)
    assert execution["output_sha256"] == hashlib.sha256(expected).hexdigest()
    assert execution["replaced"] == []
    assert [found["id"] for found in agent.executions("count")] == [execution["id"]]
    assert witness.lines() == [execution["id"]]
    assert agent.get("/v1/jobs/count")["error_count"] == 1
    assert agent.get("/v1/busy") == []
    until(lambda: not list((agent.spool / "out").iterdir()), 60, "the run is acknowledged, its spooled output gone")


def test_a_run_goes_on_over_kill_9(agent: Agent, witness: Witness) -> None:
    group, expected = counting(agent, witness)
    for lines in (LINES // 5, LINES // 2):
        running(agent, group, lines)
        agent.kill()
        assert agent.runs()
        agent.start()
        assert [busy["group"] for busy in agent.get("/v1/busy")] == [group]
    ended_once(agent, witness, group, expected)


def test_a_run_that_ends_while_the_agent_is_away(agent: Agent, witness: Witness) -> None:
    group, expected = counting(agent, witness, LINES // 2)
    running(agent, group, LINES // 4)
    agent.kill()
    go(witness)
    until(lambda: not agent.runs(), LINES / 10 + 60, "the run is over")
    agent.start()
    ended_once(agent, witness, group, expected)


def test_a_run_goes_on_over_sigstop(agent: Agent, witness: Witness) -> None:
    group, expected = counting(agent, witness)
    running(agent, group, LINES // 5)
    with agent.stopped():
        time.sleep(5)
    ended_once(agent, witness, group, expected)


def test_a_run_goes_on_over_term(agent: Agent, witness: Witness) -> None:
    group, expected = counting(agent, witness)
    execution = running(agent, group, LINES // 5)

    def ask() -> list[int]:
        """Statuses of all answers until there is none."""
        statuses: list[int] = []
        while True:
            try:
                statuses.append(agent.call("GET", "/v1/jobs/count").status)
            except OSError:
                return statuses

    parts: list[Sent] = []

    def follow() -> None:
        nonlocal parts
        for part in agent.follow_output(execution):
            parts += [part]

    with ThreadPoolExecutor() as pool:
        asking, following = [pool.submit(ask) for _ in range(4)], pool.submit(follow)
        until(lambda: sum(asker.running() for asker in asking) == 4 and parts, 60, "clients ask and follow")
        time.sleep(0.3)
        assert agent.terminate() == 0
        assert {status for asker in asking for status in asker.result()} == {200}
        following.result()
    assert agent.runs()
    assert {part.event for part in parts} == {"output"}
    agent.start()
    # The stream is resumed where it broke off.
    go(witness)
    rest = list(agent.follow(f"/v1/jobs/count/executions/{execution['id']}/output?follow&offset={parts[-1].id}"))
    ended_once(agent, witness, group, expected)
    assert rest[-1].event == "end"
    assert rest[-1].data["exit_code"] == 7
    assert "".join(part.data["data"] for part in [*parts, *rest[:-1]]).encode() == expected


@pytest.mark.parametrize("ends_while_away", [False, True])
def test_forbid_holds_over_a_crash_and_ends_with_the_run(agent: Agent, witness: Witness, ends_while_away: bool) -> None:
    begin, end = witness.note("begin $(date +%s%N)"), witness.note("end $(date +%s%N)")
    command = f"{begin}; until [ -e {witness.path}-go ]; do sleep 0.1; done; sleep 0.5; {end}"
    agent.job("alone", command, schedule="@every 1s", concurrency="forbid")
    until(lambda: len(witness.lines()) == 1, 60, "a run has begun")

    def outcomes() -> Counter[tuple[str, str]]:
        return Counter((execution["state"], execution["reason"]) for execution in agent.executions("alone"))

    agent.kill()
    if ends_while_away:
        go(witness)
        until(lambda: len(witness.lines()) == 2, 60, "it is over")
        agent.start()
    else:
        agent.start()
        until(lambda: outcomes()["skipped", "overlap"] >= 2, 60, "fires are skipped")
        go(witness)
    until(lambda: len(witness.lines()) >= 3, 60, "another run has begun")
    agent.change("alone", disabled=True)
    until(lambda: not agent.get("/v1/busy"), 60, "the last run is over")
    events = [line.split()[0] for line in witness.lines()]
    assert events == ["begin", "end"] * (len(events) // 2)
    times = [int(line.split()[1]) for line in witness.lines()]
    assert times == sorted(times)
    assert set(outcomes()) <= {("success", ""), ("skipped", "overlap")}
    assert outcomes()["success", ""] == len(events) // 2


def test_a_pending_retry_survives_kill_9(agent: Agent, witness: Witness) -> None:
    command = f'{witness.note("$DKRON_ATTEMPT $(date +%s%N)")}; [ "$DKRON_ATTEMPT" = 3 ]'
    agent.job("again", command, retries=2, retry={"initial": "3s", "factor": 1})
    group = agent.run("again")
    until(lambda: len(agent.executions("again")) >= 2, 60, "another attempt waits")
    with measured() as machine:
        agent.kill()
        agent.start()
        ready = time.time()

        def attempts() -> list[Any]:
            found = agent.executions("again", f"&group={group}")
            return found if found[-1]["state"] == "success" else []

        executions = until(attempts, 60, "the third attempt succeeds")
    assert [(e["attempt"], e["state"]) for e in executions] == [(1, "failed"), (2, "failed"), (3, "success")]
    lines = [line.split() for line in witness.lines()]
    assert [attempt for attempt, _ in lines] == ["1", "2", "3"]
    for (_, began), execution in zip(lines[1:], executions[1:], strict=True):
        assert int(began) >= parse_rfc3339(execution["not_before"])
    last = executions[2]
    may_start = max(parse_rfc3339(last["not_before"]) / 1e9, ready)
    assert parse_rfc3339(last["started_at"]) / 1e9 - may_start < machine.allowed(2)
    job = agent.get("/v1/jobs/again")
    assert (job["status"], job["success_count"], job["error_count"]) == ("success", 1, 2)
