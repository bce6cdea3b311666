"""How far something has come, on one line of a terminal's standard error; nothing where that is no terminal."""

from __future__ import annotations

import sys
import time
from typing import Final, Self

_EVERY: Final = 0.2
"""Seconds between two lines."""


class Progress:
    """Entered around what takes its time; the line is taken away in the end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = 0.0
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._show("")

    def told(self, done: int, total: int | None = None) -> None:
        """So much is done, of so much where that is known."""
        if sys.stderr.isatty() and time.monotonic() - self._shown >= _EVERY:
            self._shown = time.monotonic()
            self._show(f"{self._what} {done}" + (f"/{total}" if total is not None else ""))

    def _show(self, text: str) -> None:
        if text or self._width:
            sys.stderr.write(f"\r{text.ljust(self._width)}" + ("" if text else "\r"))
            sys.stderr.flush()
            self._width = len(text)
