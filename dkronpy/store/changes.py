"""The changes of a store that several processes write, read once for all the watches of one connection to it."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Protocol, TypeAlias

from dkronpy.store.contract import Event, StoreError, Unavailable
from dkronpy.store.feed import Feed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

log = logging.getLogger(__name__)

_RETRY_FIRST, _RETRY_MAX = 0.05, 1.0
"""Seconds between tries to go on."""

Commit: TypeAlias = tuple[Event, ...]
"""What one commit changed, at least one key."""


class ChangeLog(Protocol):
    """What a store keeps of its changes."""

    async def after(self, revision: int) -> Sequence[Commit]:
        """The first commits after `revision`, in order; none if that is the newest. Raises Compacted, Unavailable."""
        ...

    def follow(self, revision: int) -> AsyncGenerator[Sequence[Commit]]:
        """The commits after `revision` as they come, for as long as the connection lasts; now and then none of them, as
        a sign of life. Raises Compacted, Unavailable."""
        ...


class Changes:
    """Watches that share one reader of `changes`, which follows them from the first watch on. What cannot go on for
    `patience` seconds ends with Unavailable."""

    def __init__(self, changes: ChangeLog, patience: float) -> None:
        self._log = changes
        self._patience = patience
        self._feed: Feed | None = None
        self._following: asyncio.Task[None] | None = None
        self._starting = 0
        """Watches that have yet to join the feed."""
        self._joined = asyncio.Event()
        self._joined.set()
        self._closing = asyncio.Event()

    async def watch(self, prefix: str, revision: int) -> AsyncGenerator[Sequence[Event], None]:
        """As `Store.watch`. What came before the feed is read from the log."""
        self._starting += 1
        self._joined.clear()
        try:
            position = revision
            retry = _Retry(self._patience, self._closing)
            while True:
                try:
                    commits = await self._log.after(position)
                except Unavailable as error:
                    await retry.failed(error)
                    continue
                retry.succeeded()
                if commits:
                    position = commits[-1][0].revision
                    if events := [event for events in commits for event in events if event.key.startswith(prefix)]:
                        yield events
                elif (feed := self._follow(position)).reaches(position):
                    break
        finally:
            self._starting -= 1
            if not self._starting:
                self._joined.set()
        async with aclosing(feed.watch(prefix, position)) as watch:
            async for events in watch:
                yield events

    async def close(self, revision: int, seconds: float) -> None:
        """End every watch, but not before it was given everything up to `revision`, unless that takes longer than
        `seconds`."""
        with suppress(TimeoutError):  # of a watch that nobody reads, or a store that is away
            async with asyncio.timeout(seconds):
                await self._joined.wait()
                if self._feed is not None:
                    await self._feed.reach(revision)
        self._closing.set()
        if self._following is not None and self._feed is not None:
            self._feed.close()
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    def _follow(self, position: int) -> Feed:
        """What follows the log, from `position` on if nothing does yet."""
        if self._closing.is_set():
            raise Unavailable("the store is closed")
        if self._feed is None:
            self._feed = feed = Feed(position)
            self._following = asyncio.create_task(self._run(feed))
        return self._feed

    async def _run(self, feed: Feed) -> None:
        retry = _Retry(self._patience, self._closing)
        try:
            while True:
                try:
                    async with aclosing(self._log.follow(feed.newest)) as stream:
                        async for commits in stream:
                            retry.succeeded()
                            if commits:
                                feed.publish(commits)
                except Unavailable as error:
                    await retry.failed(error)
        except StoreError as error:
            feed.close(error)
        except Exception as error:
            log.exception("the changes of the store can't be read")
            feed.close(Unavailable(f"the changes of the store can't be read: {error}"))
        finally:
            self._feed = None  # the next watch begins anew


class _Retry:
    """Tries to go on, until `patience` seconds after the first that failed."""

    def __init__(self, patience: float, closing: asyncio.Event) -> None:
        self._patience = patience
        self._closing = closing
        self.succeeded()

    def succeeded(self) -> None:
        self._lost: float | None = None
        self._delay = _RETRY_FIRST

    async def failed(self, error: Unavailable) -> None:
        """Wait before the next try. Raises Unavailable where there is none."""
        if self._lost is None:
            self._lost = time.monotonic()
            log.debug("watches try to go on: %s", error)
        if self._closing.is_set():
            raise Unavailable("the store is closed") from error
        if time.monotonic() - self._lost >= self._patience:
            raise Unavailable(f"a watch could not go on for {self._patience:g} s: {error}") from error
        with suppress(TimeoutError):
            async with asyncio.timeout(self._delay):
                await self._closing.wait()
        self._delay = min(self._delay * 2, _RETRY_MAX)
