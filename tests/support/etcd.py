"""Real etcd servers on loopback."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dkronpy.store.etcd import EtcdStore
from tests.support.processes import HOST, free_port
from tests.support.servers import CALM, StoreServer


class Etcd(StoreServer):
    """One member of an etcd cluster, alone in it unless `options` say otherwise."""

    backend = "etcd"

    def __init__(self, folder: Path, *options: str, tls: ssl.SSLContext | None = None, host: str = HOST) -> None:
        super().__init__(folder, *options, host=host)
        self._url = f"http{'s' if tls else ''}://{self.address}"
        self._tls = tls

    def command(self) -> Sequence[str]:
        command = ["etcd", "--data-dir", str(self.folder / "data"), "--logger", "zap"]
        command += ["--listen-client-urls", self._url, "--advertise-client-urls", self._url]
        if not any(option.startswith("--listen-peer-urls") for option in self._options):
            command += ["--listen-peer-urls", f"http://{HOST}:0"]
        return command

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/health", timeout=30, context=self._tls) as answer:
                return json.load(answer)["health"] == "true"
        except OSError:
            return False

    def store(self, address: str | None = None, *, timeout: float = CALM, patience: float = 60.0) -> EtcdStore:
        return EtcdStore([address or self.address], timeout=timeout, patience=patience)

    def call(self, method: str, *, headers: Mapping[str, str] | None = None, **body: Any) -> Any:
        """Call `method` of its API, as JSON."""
        headers = {"Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(f"{self._url}/v3/{method}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30, context=self._tls) as answer:
            return json.load(answer)

    def revision(self) -> int:
        """Of its newest change."""
        return int(self.call("kv/range", key=encoded("\0"), limit=1)["header"]["revision"])

    def compact(self, revision: int) -> None:
        """Forget what was before; that is done when this returns."""
        self.call("kv/compaction", revision=revision, physical=True)

    def clear(self) -> None:
        """Delete every key."""
        self.call("kv/deleterange", key=encoded("\0"), range_end=encoded("\0"))


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
