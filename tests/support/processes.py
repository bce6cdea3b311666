"""Agents as real processes on loopback: start, ask, signal, kill, and find whatever they leave behind.

An agent's runner and its runs are detached from it, so they are found in /proc: the runner by the spool in its
arguments, runs by the mark in their environment.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from dkronpy.model.execution import State
from dkronpy.model.times import parse_rfc3339

ROOT: Final = Path(__file__).resolve().parents[2]
HOST: Final = "127.0.0.1"
SECOND: Final = 1_000_000_000
_PORTS: Final = range(20_000, 32_000)  # below those that Linux gives to outgoing connections

T = TypeVar("T")


def until(look: Callable[[], T | None], within: float, what: str) -> T:
    """Call `look` again and again until it returns something true, and return that. AssertionError after `within` s."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within:g} s: {what} (last seen: {found!r})"
        time.sleep(0.03)


_KEPT: Final = 400
"""So many of the ports given out last are not given out again."""
_reserved: Final = deque[socket.socket]()


def free_port() -> int:
    """A port that nobody has, for TCP and UDP, and that is given to nobody else: no other test run on this machine, and
    not soon again to this one, finds it free before it is used."""
    while True:
        port = random.choice(_PORTS)
        mark = socket.socket(socket.AF_UNIX)
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram, suppress(OSError):
            mark.bind(f"\0dkronpy test port {port}")
            stream.bind((HOST, port))
            datagram.bind((HOST, port))
            _reserved.append(mark)
            if len(_reserved) > _KEPT:
                _reserved.popleft().close()
            return port
        mark.close()


@dataclass(frozen=True)
class Answer:
    """What the API answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Sent:
    """A server-sent event; `at` is when it came, in seconds of the monotonic clock."""

    at: float
    id: str
    event: str
    data: Any


class Agent:
    """One agent: its directory, its ports, and its process while it has one. Made by `start`ing it."""

    def __init__(
        self,
        directory: Path,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        data: Path | None = None,
    ) -> None:
        """`directory` gets the log, and the data unless `data` says where that goes."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.data = data or directory / "data"
        self.spool = self.data / "spool"
        self.log = directory / "agent.log"
        self.port, self.rpc_port, self.gossip_port = free_port(), free_port(), free_port()
        self.options = list(options)
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    # ---- the process

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the agent was never started"
        return self._process

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start the process, which may end at once or not answer yet."""
        assert not self.alive, "the agent runs already"
        settings = {name: value for name, value in os.environ.items() if not name.startswith("DKRON")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "dkronpy", "agent", "--server", "--node-name=node1"),
                    f"--data-dir={self.data}",
                    f"--http-addr={HOST}:{self.port}",
                    f"--bind-addr={HOST}:{self.gossip_port}",
                    f"--rpc-port={self.rpc_port}",
                    *self.options,
                ],
                cwd=ROOT,
                env=settings | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def start(self) -> Agent:
        """Start the process and wait until it leads."""
        self.launch()
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Wait until it leads."""
        until(self._leads, 90, "the agent leads")

    def kill(self) -> None:
        """`kill -9`, and reap it."""
        self.process.kill()
        self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, within: float) -> int:
        """Wait for the end of the process; its exit code."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the agent still runs after {within:g} s") from None

    def terminate(self, within: float = 30) -> int:
        """TERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(within)

    @contextmanager
    def stopped(self) -> Generator[None]:
        """Held by SIGSTOP within the block."""
        self.signal(signal.SIGSTOP)
        try:
            until(lambda: _state(self.process.pid) == "T", 30, "the agent is stopped")
            yield
        finally:
            self.signal(signal.SIGCONT)

    @property
    def reachable(self) -> bool:
        """Whether it answers."""
        try:
            return self.call("GET", "/health").status > 0
        except OSError:
            return False

    def _leads(self) -> bool:
        assert self.alive, f"the agent ended as it started, with exit code {self.process.poll()}: {self.logged()}"
        return self.reachable and bool(self.call("GET", "/health").json["leader"])

    def has_open(self, name: str) -> bool:
        """Whether the process has a file of this name open."""
        descriptors = Path(f"/proc/{self.process.pid}/fd")
        with suppress(FileNotFoundError):  # closed just now
            return any(os.path.basename(os.readlink(entry)) == name for entry in descriptors.iterdir())
        return False

    def runner(self) -> int:
        """The process of its runner."""
        return until(lambda: next(iter(self._runners()), 0), 30, "there is a runner")

    def _runners(self) -> list[int]:
        wanted = str(self.spool.absolute()).encode()
        return [pid for pid, words in _read_all("cmdline") if b"dkronpy.runner" in words and wanted in words]

    def runs(self) -> list[int]:
        """Every process of a run."""
        try:
            spool = (self.spool / "id").read_bytes().strip()
        except FileNotFoundError:
            return []
        mark = b"DKRON_RUN=%b-" % spool
        return [pid for pid, words in _read_all("environ") if any(word.startswith(mark) for word in words)]

    def clean_up(self) -> None:
        """Leave no process behind: neither the agent nor a runner nor a run."""
        if self.alive:
            self.kill()

        def swept() -> bool:
            found = self._runners() + self.runs()
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not found

        until(swept, 30, "every process is gone")

    def logged(self) -> str:
        """The end of what the agent and its runner logged."""
        text = ""
        for path in (self.log, self.spool / "runner.log"):
            with suppress(FileNotFoundError):
                text += f"\n---- {path}\n{path.read_bytes()[-8000:].decode(errors='replace')}"
        return text

    # ---- its API

    def call(self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] | None = None) -> Answer:
        """One request, as curl sends it: on a connection of its own, without a content type. Raises OSError or
        http.client.HTTPException when there is no whole answer."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """What a GET answers with 200."""
        answer = self.call("GET", path)
        assert answer.status == 200, f"GET {path}: {answer.status} {answer.body[:500]!r}"
        return answer.json

    def post(self, path: str, body: object = None, *, status: int = 200) -> Any:
        """What a POST answers with this status."""
        answer = self.call("POST", path, body)
        assert answer.status == status, f"POST {path}: {answer.status} {answer.body[:500]!r}"
        return answer.json

    def job(
        self, name: str, command: str, *, schedule: str = "@manually", path: str = "/v1/jobs", **fields: Any
    ) -> Any:
        """Create a job whose command is read by a shell. `config` holds more of its executor's configuration."""
        config = {"command": command, "shell": "true", **fields.pop("config", {})}
        document = {"name": name, "schedule": schedule, "executor": "shell", "executor_config": config, **fields}
        return self.post(path, document, status=201)

    def change(self, name: str, **fields: Any) -> Any:
        """PATCH a job."""
        answer = self.call("PATCH", f"/v1/jobs/{name}", fields)
        assert answer.status == 200, answer.body
        return answer.json

    def run(self, name: str, **body: Any) -> int:
        """Ask for a run; its group."""
        return self.post(f"/v1/jobs/{name}", body or None)["run"]["group"]

    def executions(self, name: str, query: str = "") -> list[Any]:
        """All executions of a job, oldest first."""
        found: list[Any] = []
        cursor = ""
        while True:
            answer = self.call("GET", f"/v1/jobs/{name}/executions?limit=500&output_size_limit=0{query}{cursor}")
            assert answer.status == 200, answer.body
            found += answer.json
            following = answer.headers["X-Next-Cursor"]
            if not following:
                return found[::-1]
            cursor = f"&cursor={following}"

    def ended(self, name: str, group: int, within: float = 60) -> Any:
        """Wait until the newest attempt of a group is over: that execution."""

        def look() -> Any:
            found = self.executions(name, f"&group={group}")
            return found[-1] if found and State(found[-1]["state"]).final else None

        return until(look, within, f"group {group} of {name} ends")

    def output(self, execution: Any) -> bytes:
        """An execution's output that is stored; of an execution that is over, once it is stored to its end."""

        def look() -> Answer | None:
            answer = self.call("GET", f"{_path(execution)}/output")
            assert answer.status == 200, answer.body
            return answer if int(answer.headers["X-Output-Size"]) >= execution["output_size"] else None

        return until(look, 30, f"all output of {execution['id']} is stored").body

    def follow(self, path: str) -> Iterator[Sent]:
        """The server-sent events of a path, until the server ends them."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 200, response.read()
            fields: dict[str, str] = {}
            for line in response:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                elif "event" in fields:
                    yield Sent(time.monotonic(), fields["id"], fields["event"], json.loads(fields["data"]))
                    fields = {}
        finally:
            connection.close()

    def follow_output(self, execution: Any) -> Iterator[Sent]:
        """An execution's output while it comes, then its end."""
        return self.follow(f"{_path(execution)}/output?follow")


def fire_second(execution: Any) -> int:
    """The whole second at which an execution was due."""
    ns = parse_rfc3339(execution["fire_time"])
    assert ns % SECOND == 0, execution
    return ns // SECOND


def lateness(execution: Any, what: str = "decided_at", due: str = "fire_time") -> float:
    """Seconds from one of an execution's times to another."""
    return (parse_rfc3339(execution[what]) - parse_rfc3339(execution[due])) / SECOND


class Witness:
    """A file outside the node that runs write to: what really ran, whatever the node says."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, text: str = "$DKRON_EXECUTION_ID") -> str:
        """The shell command by which a run appends a line."""
        return f'echo "{text}" >> {self.path}'

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []


def _path(execution: Any) -> str:
    return f"/v1/jobs/{execution['job_name']}/executions/{execution['id']}"


def _read_all(name: str) -> Iterator[tuple[int, list[bytes]]]:
    """The NUL-separated words of this file of every living process."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                yield int(entry), Path(f"/proc/{entry}/{name}").read_bytes().split(b"\0")


def _state(pid: int) -> str:
    """`T` for a stopped process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
