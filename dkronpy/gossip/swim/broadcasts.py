"""News to be passed on: each piece so many times, what was passed on least comes first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_TOO_SMALL: Final = 32
"""Bytes in which hardly any message fits: looking for one isn't worth it."""


class _News:
    __slots__ = ("done", "message", "name", "sent")

    def __init__(self, message: bytes, name: str, done: Callable[[], None] | None) -> None:
        self.message = message
        self.name = name
        self.done = done
        self.sent = 0

    def finish(self) -> None:
        if self.done is not None:
            self.done()


class Broadcasts:
    """A queue of messages for everybody."""

    def __init__(self) -> None:
        self._tiers: list[dict[_News, None]] = []
        """By how often it was sent, in the order of arrival."""
        self._named: dict[str, _News] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, message: bytes, name: str = "", done: Callable[[], None] | None = None) -> None:
        """Newer news of the same `name` replaces the older. `done` is called when it was sent often enough, or was
        replaced."""
        news = _News(message, name, done)
        if name:
            old = self._named.get(name)
            if old is not None:
                self._remove(old)
                old.finish()
            self._named[name] = news
        self._put(news)

    def take(self, limit: int, overhead: int, transmits: int) -> list[bytes]:
        """What goes into `limit` bytes, each message with `overhead` bytes more; it counts as sent. What was sent
        `transmits` times is done."""
        if not self._size:
            return []
        taken: list[_News] = []
        for tier in self._tiers:
            if limit - overhead < _TOO_SMALL:
                break
            for news in reversed(tier):
                size = len(news.message) + overhead
                if size <= limit:
                    limit -= size
                    taken.append(news)
                    if limit - overhead < _TOO_SMALL:
                        break
        for news in taken:
            self._remove(news)
            news.sent += 1
            if news.sent < transmits:
                self._put(news)
                if news.name:
                    self._named[news.name] = news
        for news in taken:
            if news.sent >= transmits:
                news.finish()
        return [news.message for news in taken]

    def prune(self, size: int) -> None:
        """Drop what was sent most, the oldest first, until `size` are left."""
        for tier in reversed(self._tiers):
            for news in list(tier):
                if self._size <= size:
                    return
                self._remove(news)
                news.finish()

    def _put(self, news: _News) -> None:
        while len(self._tiers) <= news.sent:
            self._tiers.append({})
        self._tiers[news.sent][news] = None
        self._size += 1

    def _remove(self, news: _News) -> None:
        del self._tiers[news.sent][news]
        self._size -= 1
        if self._named.get(news.name) is news:
            del self._named[news.name]
