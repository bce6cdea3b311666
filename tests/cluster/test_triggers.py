"""Requests and trigger files on real processes: what was asked for outlives its server."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

from dkronpy.model.times import parse_rfc3339, rfc3339
from tests.support.processes import Agent, Witness, until

SECOND = 1_000_000_000


def test_what_was_asked_for_outlives_its_server(tmp_path: Path) -> None:
    triggers = tmp_path / "triggers"
    agent = Agent(tmp_path / "node", options=[f"--trigger-dir={triggers}"])
    witness = Witness(tmp_path / "witness")
    try:
        agent.start()
        agent.job("later", witness.note("$TRIGGER_TYPE $V"), parameters=[{"name": "V", "type": "integer"}])
        agent.job("file", witness.note("$TRIGGER_TYPE"))
        cascade = 'mkdir -p "$TRIGGER_DIR/file"; echo "type: cascade" > "$TRIGGER_DIR/file/trigger.yaml"'
        agent.job("first", cascade, config={"run_dir": "true"})
        at = time.time_ns() + 4 * SECOND
        group = agent.run("later", at=rfc3339(at), type="deploy", parameters={"V": 5})
        agent.kill()
        (triggers / "file").mkdir(parents=True)
        (triggers / "file/trigger.json").write_text(json.dumps({"type": "dropped"}))
        agent.start()
        execution = agent.ended("later", group)
        assert parse_rfc3339(execution["started_at"]) >= at
        assert (execution["state"], execution["trigger_type"], execution["fire_time"]) == (
            "success",
            "deploy",
            rfc3339(at),
        )
        until(lambda: "dropped" in witness.lines(), 60, "the file is carried out")
        agent.ended("first", agent.run("first"))
        agent.signal(signal.SIGUSR1)
        until(lambda: "cascade" in witness.lines(), 60, "the file that a run wrote is carried out")
        assert sorted(witness.lines()) == ["cascade", "deploy 5", "dropped"]
        assert agent.get("/v1/triggers") == []
        assert agent.alive
    finally:
        agent.clean_up()
