"""How slow this machine is at the moment, so that what is promised of an idle one can be asked of a loaded one too."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

_WORK = b"x" * 400_000
"""A little less than a millisecond's work."""
_EVERY = 0.05


class Machine:
    """What was measured: `slowdown`, how many times longer work took than the processor time that it needed (1: the
    machine was idle), and `stall`, the longest time (s) by which a wake-up was late."""

    def __init__(self) -> None:
        self._wall = self._processor = 0.0
        self.stall = 0.0

    @property
    def slowdown(self) -> float:
        return max(self._wall / self._processor, 1.0) if self._processor else 1.0

    def allowed(self, seconds: float) -> float:
        """What takes so long on an idle machine, mostly in many small steps of several processes, may take so long
        here."""
        return seconds * self.slowdown + self.stall

    def measure(self) -> None:
        """Work a little after a little sleep."""
        due = time.monotonic() + _EVERY
        time.sleep(_EVERY)
        wall, processor = time.monotonic(), time.thread_time()
        self.stall = max(self.stall, wall - due)
        hashlib.sha256(_WORK)
        self._wall += time.monotonic() - wall
        self._processor += time.thread_time() - processor


@contextmanager
def measured() -> Generator[Machine]:
    """Measure the machine meanwhile, in a thread."""
    machine, done = Machine(), threading.Event()

    def work() -> None:
        while not done.is_set():
            machine.measure()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield machine
    finally:
        done.set()
        thread.join()
