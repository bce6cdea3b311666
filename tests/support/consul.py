"""Real Consul servers on loopback."""

from __future__ import annotations

import fcntl
import json
import shutil
import ssl
import sys
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dkronpy.store import consul_log
from dkronpy.store.consul import ConsulStore
from tests.support.processes import HOST, ROOT, free_port
from tests.support.servers import CALM, StoreServer

_BUILD: Final = ROOT / ".cache" / "system" / "consul"
"""Where it is built (tests/setup/consul.sh)."""


def wait_built() -> None:
    """Wait until Consul is there, while its build is under way. AssertionError if that failed."""
    if shutil.which("consul") is None and (_BUILD / "lock").exists():
        sys.stderr.write("\nwaiting for consul, which is being built ...\n")
        with (_BUILD / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
        log = (_BUILD / "log").read_text()
        assert shutil.which("consul"), f"consul could not be built: {log[-2000:]}"


class Consul(StoreServer):
    """One server of a Consul cluster, alone in it unless `options` say otherwise."""

    backend = "consul"

    def __init__(self, folder: Path, *options: str, host: str = HOST, **config: Any) -> None:
        """`config` goes into the file of its configuration; with `https` among its ports it is reached by TLS."""
        super().__init__(folder, *options, host=host)
        self.serf, self.server = (f"{host}:{free_port()}" for _ in range(2))
        """Where it talks to other servers."""
        self._port = _port(self.address)
        self.tls: ssl.SSLContext | None = None
        self.token = ""
        self._config = config

    def command(self) -> Sequence[str]:
        ports = {"dns": -1, "grpc": -1, "serf_wan": -1, "serf_lan": _port(self.serf), "server": _port(self.server)}
        ports |= {"http": -1, "https": self._port} if self.tls else {"http": self._port, "https": -1}
        config = {
            "server": True,
            "bootstrap_expect": 1,
            "node_name": f"n{self._port}",
            "data_dir": str(self.folder / "data"),
            "bind_addr": HOST,
            "client_addr": HOST,
            "ports": ports,
            "disable_update_check": True,
            "disable_host_node_id": True,
            "leave_on_terminate": False,
            "performance": {"raft_multiplier": 1},
            **self._config,
        }
        file = self.folder / "consul.json"
        file.write_text(json.dumps(config))
        return ["consul", "agent", "-config-file", str(file)]

    def healthy(self) -> bool:
        try:
            return self.call("GET", "kv/?keys&consistent") is not None
        except OSError:
            return False

    def store(self, address: str | None = None, *, timeout: float = CALM, patience: float = 60.0) -> ConsulStore:
        return ConsulStore([address or self.address], timeout=timeout, patience=patience)

    def call(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
        """Call its API, as JSON. Raises OSError where it says no."""
        url = f"http{'s' if self.tls else ''}://{self.address}/v1/{path}"
        data = None if body is None else json.dumps(body).encode()
        token = {"X-Consul-Token": self.token} if self.token else {}
        request = urllib.request.Request(url, data, token | dict(headers or {}), method=method)
        with urllib.request.urlopen(request, timeout=30, context=self.tls) as answer:
            return json.load(answer)

    def clear(self) -> None:
        self.call("DELETE", f"kv/{consul_log.ROOT}?recurse")


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


@contextmanager
def running_cluster(folder: Path, size: int) -> Generator[Sequence[Consul]]:
    """The servers of a new cluster."""
    members: list[Consul] = []
    for number in range(size):
        place = folder / f"m{number}"
        place.mkdir()
        joins = [member.serf for member in members]
        members.append(Consul(place, bootstrap_expect=size, retry_join=joins, retry_interval="1s"))
    try:
        for member in members:
            member.start(wait=False)
        for member in members:
            member.wait_ready()
        yield members
    finally:
        for member in members:
            member.kill()
