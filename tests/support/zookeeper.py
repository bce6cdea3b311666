"""Real ZooKeeper servers on loopback."""

from __future__ import annotations

import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kazoo.client import KazooClient

from dkronpy.store.zookeeper import ZooKeeperStore
from dkronpy.store.zookeeper_tree import KEYS, LOG, ROOT, SHARDS
from tests.support.processes import HOST
from tests.support.servers import StoreServer

_JAVA = "-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn"


class ZooKeeper(StoreServer):
    """A server of its own, unless its settings make it a member of an ensemble."""

    backend = "zookeeper"

    def __init__(self, folder: Path, *, host: str = HOST, **settings: object) -> None:
        """`settings`: more lines of its file, with `_` for a dot in a name."""
        super().__init__(folder, host=host)
        host, _, port = self.address.rpartition(":")
        self._settings = {
            "tickTime": 500,
            "dataDir": folder / "data",
            "clientPort": port,
            "clientPortAddress": host,
            "admin_enableServer": "false",
            **settings,
        }

    def command(self) -> Sequence[str]:
        file = self.folder / "zoo.cfg"
        file.write_text("".join(f"{name.replace('_', '.')}={value}\n" for name, value in self._settings.items()))
        return ["env", f"JVMFLAGS={_JAVA}", "zookeeper-server", str(file)]

    def healthy(self) -> bool:
        host, _, port = self.address.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=2) as connection:
                connection.sendall(b"srvr")
                return connection.makefile("rb").readline().startswith(b"Zookeeper version")
        except OSError:
            return False

    def store(self, address: str | None = None, *, timeout: float = 2.0, patience: float = 10.0) -> ZooKeeperStore:
        return ZooKeeperStore([address or self.address], timeout=timeout, patience=patience)

    @contextmanager
    def client(self) -> Generator[KazooClient]:
        """A client of its own."""
        client = KazooClient(self.address)
        client.start()
        try:
            yield client
        finally:
            client.stop()
            client.close()

    def clear(self) -> None:
        with self.client() as client:
            if client.exists(ROOT) is None:
                return
            folders = [*SHARDS, LOG]
            children = [client.get_children_async(folder) for folder in folders]
            nodes = [f"{path}/{name}" for path, names in zip(folders, children, strict=True) for name in names.get()]
            doomed = [*nodes, *folders, KEYS, ROOT]
            for start in range(0, len(doomed), 500):
                deletion = client.transaction()
                for path in doomed[start : start + 500]:
                    deletion.delete(path)
                assert all(done is True for done in deletion.commit())
