"""Real ZooKeeper servers on loopback."""

from __future__ import annotations

import socket
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from kazoo.client import KazooClient

from dkronpy.store.zookeeper import ZooKeeperStore
from dkronpy.store.zookeeper_tree import KEYS, LOG, ROOT, SHARDS, TURN
from tests.support.processes import HOST, free_port
from tests.support.servers import CALM, StoreServer

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
        return self._told().startswith("Zookeeper version")

    def leads(self) -> bool:
        """Whether it is the leader of its ensemble."""
        return "Mode: leader" in self._told()

    def _told(self) -> str:
        """What it tells about itself, nothing while it does not serve."""
        host, _, port = self.address.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(b"srvr")
                return connection.makefile().read()
        except OSError:
            return ""

    def store(self, address: str | None = None, *, timeout: float = CALM, patience: float = 60.0) -> ZooKeeperStore:
        return ZooKeeperStore([address or self.address], timeout=timeout, patience=patience)

    @contextmanager
    def client(self) -> Generator[Any]:
        """One of kazoo's."""
        client: Any = KazooClient(self.address)
        client.start(timeout=60)
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
            doomed = [*nodes, *folders, TURN, KEYS, ROOT]
            for start in range(0, len(doomed), 500):
                deletion = client.transaction()
                for path in doomed[start : start + 500]:
                    deletion.delete(path)
                assert all(done is True for done in deletion.commit())


@contextmanager
def running_ensemble(folder: Path, size: int, *, patience: int = 40) -> Generator[Sequence[ZooKeeper]]:
    """The members of a new ensemble, who give up one of them that is silent for so many half seconds."""
    peers = {f"server_{n}": f"{HOST}:{free_port()}:{free_port()}" for n in range(1, size + 1)}
    members: list[ZooKeeper] = []
    with ExitStack() as stack:
        for number in range(1, size + 1):
            place = folder / str(number)
            (place / "data").mkdir(parents=True)
            (place / "data" / "myid").write_text(f"{number}")
            member = ZooKeeper(place, initLimit=60, syncLimit=patience, **peers)
            stack.callback(member.kill)
            members.append(member.start(wait=False))
        for member in members:
            member.wait_ready()
        yield members
