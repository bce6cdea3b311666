"""An agent as a process of its own for measurements, and the raw limits of the machine beside which its figures
stand."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Agent:
    """A running server on loopback."""

    process: subprocess.Popen[bytes]
    data: Path
    port: int
    options: tuple[str, ...]

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One request; returns the decoded answer, raises RuntimeError for any status from 400 on."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {data[:300]!r}")
        return json.loads(data) if response.headers.get_content_type() == "application/json" else data

    def metric(self, name: str) -> float:
        """The sum over all label sets of a metric."""
        text = self.call("GET", "/metrics").decode()
        found = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith((name + " ", name + "{"))]
        return sum(map(float, found))

    @property
    def runner_pid(self) -> int:
        """The process of the agent's runner."""
        spool = str(self.data / "spool")
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                except OSError:
                    continue
                if "dkronpy.runner" in arguments and spool in arguments:
                    return int(entry.name)
        raise RuntimeError("the agent has no runner")

    def kill(self) -> None:
        """End the agent and its runner at once."""
        runner = self.runner_pid
        for pid in (self.process.pid, runner):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def spawn(data: Path, port: int, options: tuple[str, ...] = ()) -> Agent:
    """Start an agent on this data directory; it may not answer yet."""
    arguments = ["-m", "dkronpy", "agent", "--server", f"--data-dir={data}", f"--http-addr=127.0.0.1:{port}"]
    arguments += [f"--bind-addr=127.0.0.1:{free_port()}", f"--rpc-port={free_port()}", "--log-level=warning", *options]
    return Agent(subprocess.Popen([sys.executable, *arguments], cwd=ROOT), data, port, options)


def wait_healthy(agent: Agent, seconds: float = 60) -> float:
    """Wait until the agent leads; returns how long that took."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        try:
            if agent.call("GET", "/health")["leader"]:
                return time.monotonic() - begun
        except (OSError, RuntimeError):
            pass
        time.sleep(0.02)
    raise RuntimeError("the agent is not healthy")


@contextmanager
def agent(*options: str, data: Path | None = None) -> Generator[Agent]:
    """A fresh agent, ended with its runner and data when the block ends."""
    with tempfile.TemporaryDirectory(prefix="dkron-bench-") as folder:
        running = spawn(data or Path(folder) / "data", free_port(), options)
        try:
            wait_healthy(running)
            yield running
        finally:
            running.kill()


def spawns_per_second(seconds: float = 3.0) -> float:
    """The raw limit for runs: posix_spawn of `true` and waiting for it, one after the other."""
    begun, count = time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
        count += 1
    return count / (time.monotonic() - begun)


def syncs_per_second(folder: Path, seconds: float = 2.0) -> float:
    """The raw limit for durable writes: 512 bytes appended and fdatasync, one after the other."""
    descriptor = os.open(folder / "sync-probe", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begun, count = time.monotonic(), 0
    try:
        while time.monotonic() - begun < seconds:
            os.write(descriptor, b"x" * 512)
            os.fdatasync(descriptor)
            count += 1
    finally:
        os.close(descriptor)
    return count / (time.monotonic() - begun)


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_seconds(pid: int) -> float:
    """Processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
