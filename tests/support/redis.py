"""Real Redis servers and Sentinels on loopback."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dkronpy.store.redis import RedisStore
from dkronpy.store.redis_machines import parsed
from tests.support.processes import HOST, free_port, until
from tests.support.servers import CALM, StoreServer


class Redis(StoreServer):
    """A server that syncs each write."""

    backend = "redis"

    def __init__(self, folder: Path, *options: str, tls: ssl.SSLContext | None = None, host: str = HOST) -> None:
        super().__init__(folder, *options, host=host)
        self._tls = tls

    def command(self) -> Sequence[str]:
        host, _, port = self.address.rpartition(":")
        ports = ["--port", "0", "--tls-port", port] if self._tls else ["--port", port]
        command = ["redis-server", "--bind", host, *ports, "--dir", str(self.folder), "--save", ""]
        return [*command, "--appendonly", "yes", "--appendfsync", "always"]

    def healthy(self) -> bool:
        try:
            return self.call("PING").startswith(("+PONG", "-NOAUTH"))
        except OSError:
            return False

    def store(self, address: str | None = None, *, timeout: float = CALM, patience: float = 60.0) -> RedisStore:
        return RedisStore([address or self.address], timeout=timeout, patience=patience)

    def call(self, *command: str) -> str:
        """Its answer to a command: a line, or the text after it."""
        host, _, port = self.address.rpartition(":")
        words = [f"${len(word.encode())}\r\n{word}\r\n" for word in command]
        with ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
            if self._tls:
                connection = stack.enter_context(self._tls.wrap_socket(connection, server_hostname=host))
            connection.sendall(f"*{len(words)}\r\n{''.join(words)}".encode())
            answer = stack.enter_context(connection.makefile("rb"))
            line = answer.readline().decode().rstrip()
            return answer.read(int(line[1:])).decode() if line.startswith("$") else line

    def clear(self) -> None:
        """Delete every key."""
        self.call("FLUSHALL")

    def follow(self, master: Redis | None) -> None:
        """Be the replica of `master`, or of nobody."""
        self.call("REPLICAOF", *(master.address.split(":") if master else ("NO", "ONE")))

    def catch_up(self, master: Redis) -> None:
        """Wait until this replica of `master` has everything that it has."""

        def in_step() -> bool:
            mine, its = (parsed(server.call("INFO", "replication")) for server in (self, master))
            return mine["master_link_status"] == "up" and mine["slave_repl_offset"] == its["master_repl_offset"]

        until(in_step, 90, "the replica has everything")

    def count(self, command: str, key: str) -> int:
        """The number that a command answers about a key."""
        return int(self.call(command, key).removeprefix(":"))


class Sentinel(Redis):
    """It watches over `master`, alone, and gives it up after a minute."""

    backend = "sentinel"

    def __init__(self, folder: Path, master: Redis) -> None:
        super().__init__(folder)
        host, _, port = self.address.rpartition(":")
        self._configuration = folder / "sentinel.conf"
        self._configuration.write_text(
            f"bind {host}\nport {port}\ndir {folder}\n"
            f"sentinel monitor mymaster {master.address.replace(':', ' ')} 1\n"
            "sentinel down-after-milliseconds mymaster 60000\n"
            "sentinel failover-timeout mymaster 3000\n"
        )

    def command(self) -> Sequence[str]:
        return ["redis-server", str(self._configuration), "--sentinel"]

    def hurry(self) -> None:
        """From now on it gives it up after half a second."""
        assert self.call("SENTINEL", "SET", "mymaster", "down-after-milliseconds", "500") == "+OK"


@contextmanager
def running_pair(folder: Path) -> Generator[tuple[Redis, Redis]]:
    """A master and its replica, in step with each other."""
    with ExitStack() as stack:
        servers: list[Redis] = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            server = Redis(folder / name, "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
            servers.append(stack.enter_context(server))
        master, replica = servers
        replica.follow(master)
        replica.catch_up(master)
        yield master, replica


@contextmanager
def running_cluster(folder: Path, slot: int) -> Generator[tuple[Redis, Redis]]:
    """Two nodes of a new cluster; the second has the keys from `slot` on."""
    with ExitStack() as stack:
        nodes: list[Redis] = []
        ports = [str(free_port()) for _ in range(2)]
        for port in ports:
            (folder / port).mkdir()
            options = ["--cluster-enabled", "yes", "--cluster-port", port]
            nodes.append(stack.enter_context(Redis(folder / port, *options)))
        one, two = nodes
        one.call("CLUSTER", "ADDSLOTSRANGE", "0", str(slot - 1))
        two.call("CLUSTER", "ADDSLOTSRANGE", str(slot), "16383")
        one.call("CLUSTER", "MEET", *two.address.split(":"), ports[1])
        until(
            lambda: all("cluster_state:ok" in node.call("CLUSTER", "INFO") for node in nodes), 90, "the nodes are one"
        )
        yield one, two
