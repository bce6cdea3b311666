"""Real servers of stores and databases on loopback: started, paused, killed, started again, and always stopped in the
end."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Self, TypeVar

from tests.support.processes import HOST, free_port, until

if TYPE_CHECKING:
    from dkronpy.store.contract import Store


CALM: Final = 30.0
"""Seconds that a store may take for an answer where none is to fail: more than any machine stands still."""


class Server(ABC):
    """Its data and its log lie in `folder`; both outlive the process. It runs while it is entered."""

    label: ClassVar[str]
    patience: ClassVar[float] = 90
    """Seconds within which it serves after its start, also on a slow machine."""

    def __init__(self, folder: Path, *options: str, host: str = HOST) -> None:
        """`options` are further arguments of its command."""
        self.folder = folder
        self.address = f"{host}:{free_port()}"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What starts it in the foreground."""

    @abstractmethod
    def healthy(self) -> bool:
        """Whether it serves."""

    @property
    def log(self) -> Path:
        return self.folder / f"{self.label}.log"

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.kill()
            raise

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, *, wait: bool = True) -> Self:
        """Start it, on the data that it has; ready when this returns unless not waited for."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.command(), *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Wait until it serves."""
        until(lambda: self._running() and self.healthy(), self.patience, f"{self.label} is healthy; see {self.log}")

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

    def _signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def _running(self) -> bool:
        assert self._process
        assert self._process.poll() is None, self.log.read_text()[-2000:]
        return True


class StoreServer(Server):
    """One server of a shared store: `with Etcd(folder) as etcd`."""

    backend: ClassVar[str]
    """Its name as `--backend`."""
    quick: ClassVar[float] = 1.0
    """Seconds that mostly suffice for an answer while it is well: what a client is given as its timeout that is to
    notice soon that it is not."""

    def __init_subclass__(cls) -> None:
        cls.label = cls.backend

    @abstractmethod
    def clear(self) -> None:
        """Delete every key, whatever open connections have of them."""

    @abstractmethod
    def store(self, address: str | None = None, *, timeout: float = CALM, patience: float = 60.0) -> Store:
        """A connection to it, not yet open, by way of `address` where one is given."""

    @property
    def options(self) -> list[str]:
        """What makes an agent use it."""
        return [f"--backend={self.backend}", f"--backend-machine={self.address}"]


_S = TypeVar("_S", bound=Server)
_shared: dict[type[Server], Server] = {}


def shared(kind: type[_S]) -> _S:
    """One for all tests that leave it as it is, in memory where the system has a place for that."""
    found = _shared.get(kind)
    if not isinstance(found, kind):
        folder = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        atexit.register(folder.cleanup)
        found = kind(Path(folder.name))
        atexit.register(found.kill)
        _shared[kind] = found.start()
    return found
