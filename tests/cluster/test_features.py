"""What a single server does with jobs besides firing them: environment, kills, following, deletion, parents, pauses."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dkronpy.model.times import parse_rfc3339, rfc3339
from tests.support.processes import Agent, Witness, fire_second, until

KEY = "pBcTlrqlDmLAr1bkGrZVmQW7RvFtDvVhnFmpAZbTtv0="
TOKEN = "a-token-that-no-run-may-see"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Generator[Agent]:
    """One agent for all tests here; its environment holds secrets."""
    secrets = {"DKRON_ENCRYPT": KEY, "DKRON_API_TOKEN": TOKEN, "DKRON_LOG_LEVEL": "info", "OURS": "seen"}
    agent = Agent(tmp_path_factory.mktemp("node"), environment=secrets)
    try:
        yield agent.start()
    finally:
        agent.clean_up()


# ---- environment


def test_a_run_sees_what_it_should_and_no_secrets(node: Agent) -> None:
    cluster = {"FROM_CLUSTER": "cluster", "FROM_JOB": "cluster", "FROM_RUN": "cluster", "RUN_ID": "cluster"}
    assert node.call("PUT", "/v1/settings", {"env": cluster}).status == 200
    script = "env -0; echo '{\"rows\": 5}' > return_data.json"
    config = {"env": "FROM_JOB=job,BOTH=job", "run_dir": "true"}
    node.job("env", script, config=config, metadata={"job_group": "reports"})
    first = node.ended("env", node.run("env"))
    assert first["return_data"] == {"rows": 5}
    group = node.run("env", env={"BOTH": "run", "FROM_RUN": "run"})
    execution = node.ended("env", group)
    assert node.call("PUT", "/v1/settings", {}).status == 200
    pairs = (pair.partition(b"=") for pair in node.output(execution).split(b"\0") if pair)
    seen = {name.decode(): value.decode() for name, _, value in pairs}
    assert execution["env"] == {"BOTH": "run", "FROM_RUN": "run"}
    assert seen.items() >= {"FROM_JOB": "job", "FROM_RUN": "run", "BOTH": "run", "OURS": "seen"}.items()
    assert (seen["FROM_CLUSTER"], seen["RUN_ID"]) == ("cluster", "cluster")
    assert seen.items() >= {"JOB_NAME": "env", "TRIGGER_TYPE": "manual", "JOB_GROUP": "reports"}.items()
    assert float(seen["SCHEDULE_TIME"]) <= float(seen["START_TIME"])
    assert (seen["PREVIOUS_RUN_ID"], seen["PREVIOUS_GOOD_EXIT_CODE"]) == (first["id"], "0")
    assert not [name for name in seen if name.startswith("PREVIOUS_BAD")]
    assert (Path(seen["RUN_DIR"]) / "return_data.json").exists()
    assert (seen["PWD"], seen["JOB_DIR"]) == (seen["RUN_DIR"], f"{seen['DATA_DIR']}/runs/env")
    assert seen.pop("DKRON_RUN", "")  # marks the processes of a run
    assert {name: value for name, value in seen.items() if name.startswith(("DKRON", "ENV_"))} == {
        "DKRON_JOB_NAME": "env",
        "DKRON_EXECUTION_ID": execution["id"],
        "DKRON_FIRE_TIME": rfc3339(group),
        "DKRON_ATTEMPT": "1",
        "DKRON_EPOCH": str(execution["epoch"]),
        "ENV_JOB_NAME": "env",
    }


def test_the_runner_holds_no_secrets(node: Agent) -> None:
    environment = Path(f"/proc/{node.runner()}/environ").read_bytes()
    assert b"OURS=seen" in environment
    assert KEY.encode() not in environment
    assert TOKEN.encode() not in environment


# ---- kill


def test_kill_ends_the_whole_group(node: Agent) -> None:
    node.job("tree", "sleep 600 & (sleep 600 & sleep 600) & echo ready; wait")
    group = node.run("tree")
    execution = until(lambda: _running(node, "tree", group), 60, "it runs")
    until(lambda: len(node.runs()) >= 4, 60, "its processes are there")
    answer = node.post(f"/v1/jobs/tree/executions/{execution['id']}/kill")
    assert answer["id"] == execution["id"]
    killed = node.ended("tree", group)
    assert (killed["state"], killed["exit_code"]) == ("killed", 143)
    until(lambda: node.runs() == [], 60, "its processes are gone")
    assert node.output(killed) == b"ready\n"
    assert node.call("POST", f"/v1/jobs/tree/executions/{execution['id']}/kill").status == 409


def test_kill_is_by_force_after_the_grace(node: Agent) -> None:
    command = "trap 'echo no' TERM; echo ready; while :; do sleep 0.1; done"
    node.job("stubborn", command, config={"kill_grace": "1s"}, retries=2)
    group = node.run("stubborn")
    execution = until(lambda: _running(node, "stubborn", group), 60, "it runs")
    until(lambda: node.output(execution) == b"ready\n", 60, "its trap is set")
    asked = time.time_ns()
    node.post(f"/v1/jobs/stubborn/executions/{execution['id']}/kill")
    killed = node.ended("stubborn", group)
    assert (killed["state"], killed["exit_code"]) == ("killed", 137)
    assert 0.9 < (parse_rfc3339(killed["finished_at"]) - asked) / 1e9 < 10, "after its own grace, not the usual 10 s"
    assert node.output(killed).splitlines()[-1] == b"no"
    until(lambda: node.runs() == [], 60, "its processes are gone")
    assert len(node.executions("stubborn")) == 1, "what somebody ended is not tried again"


# ---- output


def test_output_is_followed_while_it_comes(node: Agent, tmp_path: Path) -> None:
    """The run writes its next line only after the one before has arrived."""
    seen = tmp_path / "seen"
    command = f'for i in 1 2 3 4 5 6; do echo "é $i"; until [ -e {seen}-$i ]; do sleep 0.05; done; done; exit 3'
    node.job("slow", command)
    group = node.run("slow")
    execution = until(lambda: _running(node, "slow", group), 60, "it runs")
    text = ""
    ends: list[Any] = []
    for part in node.follow_output(execution):
        if part.event == "end":
            ends.append(part.data)
        else:
            text += part.data["data"]
            Path(f"{seen}-{text.count(chr(10))}").touch()
    assert text == "".join(f"é {number}\n" for number in range(1, 7))
    assert [(end["state"], end["exit_code"]) for end in ends] == [("failed", 3)]


def test_a_followed_stream_has_the_last_output_too(node: Agent) -> None:
    """Which is stored a little later than the run's end is known."""
    node.job("brief", "echo begun; sleep 0.2; echo over")
    for _ in range(10):
        group = node.run("brief")
        execution = until(lambda group=group: _begun(node, "brief", group), 60, "it runs, or has run")
        *parts, end = node.follow_output(execution)
        assert end.event == "end"
        assert "".join(part.data["data"] for part in parts) == "begun\nover\n"


def test_50_megabytes_of_output(node: Agent) -> None:
    size, last = 50 << 20, 7_500_000
    node.job("much", f"seq 1 {last} | head -c {size}")
    execution = node.ended("much", node.run("much"), 120)
    produced = "".join(f"{number}\n" for number in range(1, last + 1)).encode()[:size]
    assert len(produced) == size
    assert (execution["state"], execution["output_size"]) == ("success", size)
    assert execution["output_sha256"] == hashlib.sha256(produced).hexdigest()
    stored = node.output(execution)
    assert 200_000 < len(stored) < size
    assert stored == produced[-len(stored) :]
    assert node.get(f"/v1/jobs/much/executions/{execution['id']}")["output_truncated"] is True


# ---- deletion


@pytest.mark.parametrize("crash", [False, True])
def test_a_deleted_job_made_again_begins_with_a_clean_history(
    node: Agent, witness: Witness, tmp_path: Path, crash: bool
) -> None:
    name, gate = f"phoenix-{int(crash)}", tmp_path / "gate"
    node.job(name, f"{witness.note('old')}; until [ -e $GATE ]; do sleep 0.1; done; {witness.note('old')}; exit 1")
    node.ended(name, node.run(name, env={"GATE": "/"}))
    old = node.run(name, env={"GATE": str(gate)})
    until(lambda: len(witness.lines()) == 3, 60, "it runs")
    assert node.call("DELETE", f"/v1/jobs/{name}").status == 200
    assert node.call("GET", f"/v1/jobs/{name}").status == 404
    node.job(name, witness.note("new"), retries=3, retry={"initial": "100ms"})
    new = node.run(name)
    assert node.ended(name, new)["state"] == "success"
    if crash:
        node.kill()
        node.start()
    gate.touch()
    until(lambda: witness.lines() == ["old", "old", "old", "new", "old"], 60, "the old run goes on to its end")
    until(lambda: [e["group"] for e in node.executions(name)] == [new], 60, f"only {new} is left, not {old}")
    again = node.run(name)
    assert node.ended(name, again)["state"] == "success"
    time.sleep(0.5)  # the old run is not tried again as if it were one of the new job
    assert witness.lines() == ["old", "old", "old", "new", "old", "new"]
    assert [execution["group"] for execution in node.executions(name)] == [new, again]
    job = node.get(f"/v1/jobs/{name}")
    assert (job["success_count"], job["error_count"], job["status"]) == (2, 0, "success")


def test_an_ephemeral_job_goes_once_it_has_succeeded(node: Agent, witness: Witness) -> None:
    command = f'{witness.note()}; [ "$(wc -l < {witness.path})" = 3 ]'
    node.job("mayfly", command, schedule="@every 1s", ephemeral=True)
    until(lambda: node.call("GET", "/v1/jobs/mayfly").status == 404, 60, "it is deleted")
    time.sleep(1.5)
    assert len(witness.lines()) == 3


# ---- what starts a run


def test_what_parents_have_met_and_a_backfill_survive_kill_9(node: Agent, witness: Witness) -> None:
    """Every fire runs once, and the job after both parents once, with their runs told."""
    for name in ("load", "check"):
        node.job(name, "true")
    node.job("both", witness.note("both"), schedule="", depends_on={"parents": ["load", "check"]})
    node.job("hourly", f"sleep 0.3; {witness.note('$DKRON_FIRE_TIME')}", schedule="@hourly", disabled=True)
    load = node.run("load")
    node.ended("load", load)
    until(lambda: any(p["met"] for p in node.get("/v1/jobs/both/graph")["jobs"][0]["parents"]), 60, "one is met")
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    fires = [(now - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:00:00Z") for hours in range(9, 1, -1)]
    wanted = {"from": fires[0], "to": fires[-1], "parallel": 2}
    assert node.post("/v1/jobs/hourly/backfill", wanted, status=201)["fires"] == fires
    until(lambda: len(witness.lines()) > 2, 60, "some fires are run")
    node.kill()
    node.start()
    check = node.run("check")
    until(lambda: node.get("/v1/jobs/hourly/backfill")["state"] == "finished", 60, "the backfill ends")
    until(lambda: "both" in witness.lines(), 60, "the job after both runs")
    assert Counter(witness.lines()) == Counter([*fires, "both"])
    (after,) = node.executions("both")
    assert {(run["job"], run["group"]) for run in after["parents"]} == {("load", load), ("check", check)}
    assert {e["fire_time"]: e["trigger"] for e in node.executions("hourly")} == dict.fromkeys(fires, "backfill")


def test_a_child_runs_once_for_each_success_of_its_parent(node: Agent, witness: Witness) -> None:
    node.job("parent", '[ "$FAIL" = "" ]', retries=0)
    node.job("child", witness.note("$DKRON_EXECUTION_ID"), schedule="", parent_job="parent")
    assert node.get("/v1/jobs/parent")["dependent_jobs"] == ["child"]
    for env in ({}, {"FAIL": "yes"}, {}):
        node.ended("parent", node.run("parent", env=env))
    until(lambda: len(witness.lines()) == 2, 60, "the child runs twice")
    until(lambda: node.get("/v1/busy") == [], 60, "nothing runs")
    children = node.executions("child")
    assert [execution["id"] for execution in children] == witness.lines()
    assert {(execution["trigger"], execution["state"]) for execution in children} == {("parent", "success")}


def test_runoncreate_runs_once(node: Agent, witness: Witness) -> None:
    created = node.job("eager", witness.note(), schedule="@yearly", path="/v1/jobs?runoncreate")
    execution = node.ended("eager", created["run"]["group"])
    assert (execution["state"], execution["trigger"]) == ("success", "create")
    assert witness.lines() == [execution["id"]]
    assert len(node.executions("eager")) == 1


def test_a_disabled_job_can_be_run_by_hand(node: Agent, witness: Witness) -> None:
    node.job("off", witness.note(), schedule="@every 1s", disabled=True)
    assert node.get("/v1/jobs/off")["next"] is None
    execution = node.ended("off", node.run("off"))
    assert (execution["state"], execution["trigger"]) == ("success", "manual")
    time.sleep(1.5)
    assert witness.lines() == [execution["id"]]


def test_a_pause_holds_over_a_restart_and_is_recorded(node: Agent, witness: Witness) -> None:
    node.job("often", witness.note(), schedule="@every 1s")
    until(lambda: len(witness.lines()) >= 2, 60, "it runs")
    paused = node.post("/v1/pause", {"reason": "moving house"})
    assert paused["paused"] is True
    until(lambda: sum(e["reason"] == "paused" for e in node.executions("often")) >= 2, 60, "fires are skipped")
    node.kill()
    node.start()
    held = node.get("/v1/pause")
    assert (held["paused"], held["reason"]) == (True, "moving house")
    by_hand = node.ended("often", node.run("often"))
    assert by_hand["state"] == "success"
    until(lambda: node.executions("often")[-1]["reason"] == "paused", 60, "fires are still skipped")
    ran = [e for e in _fires(node, "often") if e["state"] == "success"]
    assert max(parse_rfc3339(e["fire_time"]) for e in ran) <= parse_rfc3339(paused["since"])
    assert node.post("/v1/unpause")["paused"] is False
    unpaused = time.time()
    until(lambda: sum(fire_second(e) > unpaused for e in _fires(node, "often")) >= 2, 60, "it runs again")
    node.change("often", disabled=True)
    until(lambda: node.get("/v1/busy") == [], 60, "nothing runs")
    fires = _fires(node, "often")
    seconds = [fire_second(execution) for execution in fires]
    assert seconds == list(range(seconds[0], seconds[-1] + 1))
    reasons = "".join("-" if execution["reason"] == "paused" else "+" for execution in fires)
    assert {execution["state"] for execution in fires} == {"success", "skipped"}
    assert reasons.strip("+").strip("-") == "", f"one stretch of fires is skipped: {reasons}"
    assert sorted(witness.lines()) == sorted(e["id"] for e in node.executions("often") if e["state"] == "success")


def _fires(node: Agent, name: str) -> list[Any]:
    return [execution for execution in node.executions(name) if execution["trigger"] == "schedule"]


def _begun(node: Agent, name: str, group: int) -> Any:
    return next((e for e in node.executions(name, f"&group={group}") if e["started_at"]), None)


def _running(node: Agent, name: str, group: int) -> Any:
    return next((e for e in node.executions(name, f"&group={group}") if e["state"] == "running"), None)
