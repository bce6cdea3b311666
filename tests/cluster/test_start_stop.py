"""Starting, reloading and stopping: what is in the way is named, what runs goes on, what is asked for happens."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import stat
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.processes import HOST, Agent, Witness, free_port, until


def refused(agent: Agent) -> str:
    """The last line that an agent logs which can't start, as it was launched."""
    assert agent.wait(within=60) == 1
    return agent.log.read_text().splitlines()[-1]


def test_a_second_agent_on_the_same_data_is_refused(agent: Agent, make_agent: Callable[..., Agent]) -> None:
    second = make_agent("second", data=agent.data)
    second.launch()
    message = refused(second)
    assert f"{agent.data} is in use by process {agent.process.pid}" in message
    assert "--data-dir" in message
    agent.job("still", "true")
    assert agent.ended("still", agent.run("still"))["state"] == "success"
    agent.kill()
    agent.start()


def test_only_its_owner_can_read_the_data(agent: Agent) -> None:
    agent.job("note", "echo secret; echo more; sleep 60")
    agent.run("note")
    until(lambda: list(agent.spool.glob("out/*/*")), 60, "output is spooled")
    found = {path: path.lstat().st_mode for path in (agent.data, *agent.data.rglob("*"))}
    assert {stat.S_IMODE(mode) for mode in found.values() if stat.S_ISDIR(mode)} == {0o700}
    readable = [path for path, mode in found.items() if stat.S_ISREG(mode) and mode & 0o077]
    assert readable == []


def test_clients_that_break_off_or_talk_nonsense_are_no_failure_of_the_node(agent: Agent) -> None:
    with socket.create_connection((HOST, agent.port), 10) as client:
        client.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
        assert agent.reachable  # by now the node waits for the rest
    for port in (agent.port, agent.rpc_port):
        for request in (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n"):
            with socket.create_connection((HOST, port), 10) as client, client.makefile("rb") as answer:
                client.sendall(request)
                assert b" 400 " in answer.readline()
    until(lambda: agent.log.read_text().count("a malformed request was refused") == 4, 60, "each is a line in the log")
    assert agent.reachable
    assert "ERROR" not in agent.log.read_text()


def test_a_port_in_use_is_named(agent: Agent, make_agent: Callable[..., Agent]) -> None:
    others: dict[str, Agent] = {}
    for port, setting in (("port", "http-addr"), ("gossip_port", "bind-addr"), ("rpc_port", "rpc-port")):
        others[setting] = other = make_agent(setting)
        setattr(other, port, getattr(agent, port))
        other.launch()
    ports = (agent.port, agent.gossip_port, agent.rpc_port)
    for port, (setting, other) in zip(ports, others.items(), strict=True):
        message = refused(other)
        assert f"{HOST}:{port}" in message
        assert setting in message
        assert "in use" in message
    assert agent.reachable


def test_systemd_is_told(make_agent: Callable[..., Agent], tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as systemd:
        systemd.bind(path := str(tmp_path / "notify"))
        systemd.settimeout(60)
        agent = make_agent(environment={"NOTIFY_SOCKET": path})
        agent.launch()
        assert systemd.recv(100) == b"READY=1"
        assert agent.reachable
        agent.wait_ready()
        agent.job("env", 'test -z "$NOTIFY_SOCKET"')
        assert agent.ended("env", agent.run("env"))["state"] == "success"
        assert agent.terminate() == 0
        assert systemd.recv(100) == b"STOPPING=1"


def test_hup_reloads(make_agent: Callable[..., Agent], tmp_path: Path) -> None:
    tokens, config = tmp_path / "tokens", tmp_path / "dkron.yml"

    def configure(tag: str, level: str, token: str, more: str = "") -> None:
        tokens.write_text(f"read {token} reader\n")
        tokens.chmod(0o600)
        config.write_text(f"http-token-file: {tokens}\nlog-level: {level}\ntags:\n  colour: {tag}\n{more}")

    def status(token: str) -> int:
        return agent.call("GET", "/v1/jobs", headers={"Authorization": f"Bearer {token}"}).status

    def colour(token: str) -> str:
        answer = agent.call("GET", "/v1/members", headers={"Authorization": f"Bearer {token}"})
        return answer.json[0]["Tags"]["colour"] if answer.status == 200 else ""

    old, new = "an-old-token-of-24-chars", "a-new-token-of-24-chars."
    configure("red", "warning", old)
    agent = make_agent(options=[f"--config={config}"]).start()
    assert (status(old), status(new), colour(old)) == (200, 401, "red")
    assert "INFO" not in agent.log.read_text()

    configure("blue", "info", new, f"rpc-port: {free_port()}\nregion: elsewhere\n")
    agent.signal(signal.SIGHUP)
    until(lambda: status(new) == 200, 60, "the new token is taken")
    until(lambda: colour(new) == "blue", 60, "the tag is told")
    assert status(old) == 401
    until(lambda: "effect at the next start" in agent.log.read_text(), 60, "what waits for the next start is named")
    logged = agent.log.read_text()
    assert "region" in logged.split("effect at the next start")[1].splitlines()[0]
    assert "INFO" in logged

    config.write_text("log-level: loud\n")
    agent.signal(signal.SIGHUP)
    until(lambda: "loud" in agent.log.read_text(), 60, "the bad configuration is refused")
    assert (status(new), colour(new)) == (200, "blue")
    assert agent.terminate() == 0


def test_hup_while_it_starts_is_heard_once_it_is_up(make_agent: Callable[..., Agent]) -> None:
    agent = make_agent()
    agent.launch()

    def caught() -> bool:
        status = Path(f"/proc/{agent.process.pid}/status").read_text()
        return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> signal.SIGHUP - 1 & 1)

    until(caught, 60, "HUP has a handler")
    agent.signal(signal.SIGHUP)
    agent.wait_ready()
    until(lambda: "configuration read again" in agent.log.read_text(), 60, "the configuration is read again")


@contextmanager
def held(agent: Agent) -> Generator[None]:
    """Another program holds the lock of the agent's store, so that nothing can be written."""
    with closing(sqlite3.connect(agent.data / "store.db", isolation_level=None, timeout=30)) as store:
        store.execute("BEGIN IMMEDIATE")
        yield
        store.execute("ROLLBACK")


def test_the_api_answers_while_the_leader_finishes(agent: Agent, witness: Witness) -> None:
    agent.job("each", witness.note(), schedule="@every 1s")
    until(witness.lines, 60, "runs start")
    with held(agent):
        time.sleep(1.1)  # so that a fire is due that can't be recorded
        agent.signal(signal.SIGTERM)
        for _ in range(10):
            assert [job["name"] for job in agent.get("/v1/jobs")] == ["each"]
            time.sleep(0.1)
    assert agent.wait(within=30) == 0
    agent.start()
    before = len(witness.lines())
    until(lambda: len(witness.lines()) >= before + 3, 60, "runs go on")
    assert len(witness.lines()) == len(set(witness.lines()))


def test_a_second_term_ends_at_once(agent: Agent, witness: Witness) -> None:
    agent.job("each", witness.note(), schedule="@every 1s")
    until(witness.lines, 60, "runs start")
    with held(agent):
        time.sleep(1.1)
        agent.signal(signal.SIGTERM)
        until(lambda: "stopping" in agent.log.read_text(), 60, "it is about to stop")
        time.sleep(0.5)
        assert agent.alive
        agent.signal(signal.SIGTERM)
        assert agent.wait(within=30) == 1  # with 0 it would have given up the handover
    agent.start()


@pytest.mark.full
def test_a_store_that_cannot_be_written_holds_nothing_else_up(agent: Agent, witness: Witness) -> None:
    """Fires wait, and are caught up; a run that ends meanwhile is recorded later; reads are answered."""
    agent.job("each", witness.note(), schedule="@every 1s")
    agent.job("long", "sleep 2; exit 4")
    group = agent.run("long")
    until(lambda: len(witness.lines()) >= 2 and agent.get("/v1/busy"), 60, "runs start")
    with held(agent):
        until(lambda: agent.call("GET", "/health").status == 503, 60, "the node says that it can't write")
        assert "store" in agent.call("GET", "/health").json["issues"][0]
        assert agent.get("/v1/jobs/long")["name"] == "long"
        assert agent.call("POST", "/v1/jobs/long").status == 503
    until(lambda: agent.call("GET", "/health").status == 200, 60, "it is well again")
    assert agent.ended("long", group)["exit_code"] == 4
    agent.change("each", disabled=True)
    until(lambda: agent.get("/v1/busy") == [], 60, "nothing runs")
    executions = agent.executions("each")
    assert {execution["state"] for execution in executions} == {"success"}
    assert sorted(witness.lines()) == sorted(execution["id"] for execution in executions)


def test_the_runner_lives_until_its_runs_are_acknowledged(agent: Agent, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    agent.job("short", f"until [ -e {stopped} ]; do sleep 0.1; done; echo done")
    group = agent.run("short")
    until(lambda: agent.runs(), 60, "the run is running")
    runner = agent.runner()
    assert agent.terminate() == 0
    stopped.touch()
    until(lambda: not agent.runs(), 60, "the run is over")
    time.sleep(2.5)  # a runner with nothing to keep would have ended by now
    assert agent.runner() == runner
    agent.start()
    assert agent.output(agent.ended("short", group)) == b"done\n"
    assert agent.terminate() == 0
    until(lambda: not os.path.exists(f"/proc/{runner}"), 60, "a runner with nothing to keep ends")


def test_leave_stops_the_node(agent: Agent) -> None:
    agent.post("/v1/leave")
    assert agent.wait(within=30) == 0
