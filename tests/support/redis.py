"""Real Redis servers on loopback."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import closing

from dkronpy.store.redis import RedisStore
from tests.support.servers import StoreServer


class Redis(StoreServer):
    """A server that syncs each write."""

    backend = "redis"

    def command(self) -> Sequence[str]:
        host, _, port = self.address.rpartition(":")
        command = ["redis-server", "--bind", host, "--port", port, "--dir", str(self.folder), "--save", ""]
        return [*command, "--appendonly", "yes", "--appendfsync", "always"]

    def healthy(self) -> bool:
        try:
            return self.call("PING") == "+PONG"
        except OSError:
            return False

    def store(self, address: str | None = None, *, timeout: float = 2.0, patience: float = 10.0) -> RedisStore:
        return RedisStore([address or self.address], timeout=timeout, patience=patience)

    def call(self, *command: str) -> str:
        """Its answer to one command, the first line of it."""
        host, _, port = self.address.rpartition(":")
        with closing(socket.create_connection((host, int(port)), timeout=10)) as connection:
            words = [f"${len(word.encode())}\r\n{word}\r\n" for word in command]
            connection.sendall(f"*{len(words)}\r\n{''.join(words)}".encode())
            with connection.makefile("rb") as answer:
                return answer.readline().decode().rstrip()

    def clear(self) -> None:
        """Delete every key."""
        self.call("FLUSHALL")
