"""Real etcd servers on loopback: started, paused, killed, started again, and always stopped in the end."""

from __future__ import annotations

import atexit
import base64
import functools
import json
import os
import signal
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.processes import HOST, free_port, until


class Etcd:
    """One member of an etcd cluster, alone in it unless `options` say otherwise. Its data and its log lie in `folder`.

    It runs while it is entered: `with Etcd(folder) as etcd`.
    """

    def __init__(self, folder: Path, *options: str, tls: ssl.SSLContext | None = None, host: str = HOST) -> None:
        self.folder = folder
        self.address = f"{host}:{free_port()}"
        self._url = f"http{'s' if tls else ''}://{self.address}"
        self._tls = tls
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Etcd:
        try:
            return self.start()
        except BaseException:
            self.kill()
            raise

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, *, wait: bool = True) -> Etcd:
        """Start it, on the data that it has; ready when this returns unless not waited for."""
        command = ["setpriv", "--pdeathsig", "KILL", "etcd", "--data-dir", str(self.folder / "data")]
        command += ["--listen-client-urls", self._url, "--advertise-client-urls", self._url]
        if not any(option.startswith("--listen-peer-urls") for option in self._options):
            command += ["--listen-peer-urls", f"http://{HOST}:0"]
        with (self.folder / "etcd.log").open("ab") as log:
            self._process = subprocess.Popen([*command, "--logger", "zap", *self._options], stdout=log, stderr=log)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Wait until it serves."""
        until(lambda: self._running() and self._healthy(), 30, f"etcd is healthy; see {self.folder / 'etcd.log'}")

    def kill(self) -> None:
        """As when its machine loses power, but for the disk."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Politely."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """It hears nothing and says nothing, but its connections stay."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def call(self, method: str, *, headers: Mapping[str, str] | None = None, **body: Any) -> Any:
        """Call `method` of its API, as JSON."""
        headers = {"Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(f"{self._url}/v3/{method}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=10, context=self._tls) as answer:
            return json.load(answer)

    def revision(self) -> int:
        """Of its newest change."""
        return int(self.call("kv/range", key=encoded("\0"), limit=1)["header"]["revision"])

    def compact(self, revision: int) -> None:
        """Forget what was before."""
        self.call("kv/compaction", revision=revision)

    def clear(self) -> None:
        """Delete every key."""
        self.call("kv/deleterange", key=encoded("\0"), range_end=encoded("\0"))

    def _signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(10)
            self._process = None

    def _running(self) -> bool:
        assert self._process
        assert self._process.poll() is None, (self.folder / "etcd.log").read_text()[-2000:]
        return True

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/health", timeout=2, context=self._tls) as answer:
                return json.load(answer)["health"] == "true"
        except OSError:
            return False


def encoded(key: str) -> str:
    """As the API takes keys."""
    return base64.b64encode(key.encode()).decode()


@contextmanager
def running_cluster(folder: Path, size: int) -> Generator[Sequence[Etcd]]:
    """The members of a new cluster."""
    names = [f"m{number}" for number in range(size)]
    peers = {name: f"http://{HOST}:{free_port()}" for name in names}
    cluster = ",".join(f"{name}={peer}" for name, peer in peers.items())
    members: list[Etcd] = []
    for name, peer in peers.items():
        place = folder / name
        place.mkdir()
        options = ["--name", name, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        members.append(Etcd(place, *options, "--initial-cluster", cluster))
    try:
        for member in members:
            member.start(wait=False)
        for member in members:
            member.wait_ready()
        yield members
    finally:
        for member in members:
            member.kill()


@functools.cache
def shared_etcd() -> Etcd:
    """One for all tests that leave it as it is, in memory where the system has a place for that."""
    folder = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    atexit.register(folder.cleanup)
    server = Etcd(Path(folder.name))
    atexit.register(server.kill)
    return server.start()
