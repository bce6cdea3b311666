"""A server that takes its jobs from a directory of dsari, with real runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Agent, until

CONFIG = """
environment: {FROM: top, LEVEL: 1}
shutdown_kill_runs: true
jobs:
  Nightly Report:
    command: [sh, -c, 'env -0; printf "%s|" "$@"; echo "{\\"rows\\": 7}" > return_data.json', sh]
    command_append_run: true
    schedule: H H * * *
    environment: {LEVEL: 2}
    job_group: reports
    concurrency_groups: [db]
  long: {command: sleep 300}
concurrency_groups: {db: {max: 2}}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "etc"
    directory.mkdir()
    (directory / "dsari.yaml").write_text(CONFIG)
    return directory


def source(agent: Agent) -> Any:
    return agent.get("/v1/sources")[0]


def test_a_server_with_a_job_directory(make_agent: Callable[..., Agent], directory: Path, tmp_path: Path) -> None:
    agent = make_agent(options=["--job-dir", str(directory), "--trigger-dir", str(tmp_path / "triggers")]).start()
    until(lambda: source(agent)["state"] == "applied", 60, "the directory is applied")
    job = agent.get("/v1/jobs/nightly-report")
    assert (job["displayname"], job["source"]) == ("Nightly Report", str(directory))

    execution = agent.ended("nightly-report", agent.run("nightly-report"))
    assert (execution["state"], execution["return_data"]) == ("success", {"rows": 7})
    assert execution["concurrency_group"] == "db"
    *pairs, words = agent.output(execution).split(b"\0")
    assert words.decode() == f"Nightly Report|{execution['id']}|"
    seen = dict(pair.decode().split("=", 1) for pair in pairs)
    wanted = {
        "FROM": "top",
        "LEVEL": "2",
        "JOB_NAME": "Nightly Report",
        "JOB_GROUP": "reports",
        "CONCURRENCY_GROUP": "db",
        "DSARI": "true",
        "CI": "true",
    }
    assert seen.items() >= wanted.items()
    assert "VIRTUAL_ENV" not in seen
    assert seen["PWD"] == seen["RUN_DIR"]

    file = Path(seen["TRIGGER_DIR"]) / seen["JOB_NAME"] / "trigger.json"
    assert file.parts[:-2] == (tmp_path / "triggers").parts
    file.parent.mkdir(parents=True)
    file.write_text('{"type": "deploy", "environment": {"LEVEL": 3}}')
    os.kill(agent.process.pid, signal.SIGUSR1)
    until(lambda: len(agent.executions("nightly-report")) == 2, 60, "the file has triggered it")
    triggered = agent.executions("nightly-report")[1]
    triggered = agent.ended("nightly-report", triggered["group"])
    assert {b"TRIGGER_TYPE=deploy", b"LEVEL=3"} <= set(agent.output(triggered).split(b"\0"))

    config = directory / "dsari.yaml"
    config.write_text(CONFIG.replace("sleep 300", "sleep 301"))
    until(lambda: agent.get("/v1/jobs/long")["executor_config"]["command"] == "sleep 301", 60, "the change is taken")
    config.write_text(CONFIG + "jobs: again\n")
    os.kill(agent.process.pid, signal.SIGHUP)
    until(lambda: source(agent)["state"] == "refused", 60, "the broken file is told of")
    assert "the key 'jobs' is given twice" in source(agent)["problems"][0]
    metrics = agent.call("GET", "/metrics").body.decode()
    assert 'dkron_source_state{state="refused"} 1.0' in metrics
    assert "dkron_source_problems 1.0" in metrics
    assert "dkron_source_jobs 2.0" in metrics
    assert agent.call("GET", "/v1/jobs/long").status == 200

    # Its runs end with the agent, as dsari's do.
    group = agent.run("long")
    until(lambda: [e for e in agent.executions("long") if e["state"] == "running"], 60, "it runs")
    agent.terminate()
    until(lambda: not agent.runs(), 60, "it has ended")
    agent.start()
    assert agent.ended("long", group)["state"] == "killed"
