"""Tells readers in this process that more output of an execution has been stored."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from dkronpy.model.run import Key


class Feed:
    """A meeting point of the one who stores output (`grew`) and those who follow it (`follow`)."""

    def __init__(self) -> None:
        self._followers: dict[Key, set[asyncio.Event]] = {}

    def grew(self, key: Key) -> None:
        """More output of the execution is stored, or it has ended."""
        for event in self._followers.get(key, ()):
            event.set()

    @contextmanager
    def follow(self, key: Key) -> Generator[asyncio.Event]:
        """An event that is set whenever the execution's output grew; the follower clears it before it reads."""
        event = asyncio.Event()
        followers = self._followers.setdefault(key, set())
        followers.add(event)
        try:
            yield event
        finally:
            followers.discard(event)
            if not followers:
                self._followers.pop(key, None)
