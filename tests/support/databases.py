"""Real database servers on loopback."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.support.processes import HOST, until
from tests.support.servers import Server

NOBODY = 65534


class Database(Server):
    """Its data is in memory where the system has a place for that, unless it is to be on the disk, and outlives the
    process."""

    def __init__(self, folder: Path, *options: str, disk: bool = False) -> None:
        super().__init__(folder, *options)
        self.data = Path(tempfile.mkdtemp(dir=None if disk or not os.path.isdir("/dev/shm") else "/dev/shm"))
        atexit.register(shutil.rmtree, self.data, ignore_errors=True)
        if os.geteuid() == 0 and self.unprivileged:
            os.chown(self.data, NOBODY, NOBODY)

    unprivileged = False
    """Whether it refuses to run as root."""

    @property
    def port(self) -> str:
        return self.address.rpartition(":")[2]

    @property
    def _wrapper(self) -> list[str]:
        if os.geteuid() == 0 and self.unprivileged:
            return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        return []

    def _run(self, *command: str) -> None:
        done = subprocess.run([*self._wrapper, *command], cwd=self.data, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    @abstractmethod
    def dsn(self, name: str) -> str:
        """Names a place for a history in it, which is made when it is missing."""

    def healthy(self) -> bool:
        try:
            with socket.create_connection((HOST, int(self.port)), timeout=2):
                return True
        except OSError:
            return False


class Postgres(Database):
    label = "postgresql"
    unprivileged = True

    def __init__(self, folder: Path, *options: str, disk: bool = False) -> None:
        super().__init__(folder, *options, disk=disk)
        self._run("initdb", "--pgdata", f"{self.data}/db", "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C")

    def command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "200",
            "shared_buffers": "32MB",
        }
        flags = [f"--{name}={value}" for name, value in settings.items()]
        return [*self._wrapper, "postgres", "-D", f"{self.data}/db", "-p", self.port, *flags]

    def healthy(self) -> bool:
        # Whoever asks for encryption is answered by a server that is ready, and by one that just starts too.
        return super().healthy() and "ready to accept connections" in self.log.read_text().rpartition("starting ")[2]

    def stop(self) -> None:
        """Politely, but without waiting for its clients to go."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Its processes end when they see that the first one is gone; it does not start before."""
        super().kill()
        until(lambda: not self._left(), 30, "no process of PostgreSQL is left")

    def _left(self) -> list[str]:
        """Processes in its directory."""
        found: list[str] = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    if os.readlink(entry / "cwd") == f"{self.data}/db":
                        found.append(entry.name)
        return found

    def dsn(self, name: str) -> str:
        return f"postgresql://{self.user}@{self.address}/postgres?search_path={name}"

    @property
    def user(self) -> str:
        return "nobody" if os.geteuid() == 0 else os.environ.get("USER", "postgres")


class MariaDb(Database):
    label = "mariadb"
    unprivileged = True

    def __init__(self, folder: Path, *options: str, disk: bool = False) -> None:
        super().__init__(folder, *options, disk=disk)
        made = ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}/db", "--skip-test-db", *_SMALL]
        self._run(*made, "--auth-root-authentication-method=normal")

    def command(self) -> Sequence[str]:
        listen = [f"--bind-address={HOST}", f"--port={self.port}", f"--socket={self.data}/socket"]
        pid = f"--pid-file={self.data}/pid"
        return [*self._wrapper, "mariadbd", "--no-defaults", f"--datadir={self.data}/db", *listen, pid, *_SMALL]

    def healthy(self) -> bool:
        return super().healthy() and "ready for connections" in self.log.read_text().rpartition("Starting MariaDB")[2]

    def dsn(self, name: str) -> str:
        return f"mysql://root@{self.address}/{name}"


class MongoDb(Database):
    """What it holds ends with it."""

    label = "mongodb"

    def command(self) -> Sequence[str]:
        return ["mongodb-server", HOST, self.port]

    def dsn(self, name: str) -> str:
        return f"mongodb://{self.address}/{name}"


_SMALL = (
    "--innodb-log-file-size=8M",
    "--innodb-buffer-pool-size=32M",
    "--innodb-flush-log-at-trx-commit=2",
    "--skip-name-resolve",
)
"""Of what is for large servers, little."""


def fresh() -> str:
    """A name that nothing has yet."""
    return f"h{uuid.uuid4().hex[:12]}"
