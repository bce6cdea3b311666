"""A server's image of the store in ZooKeeper, brought up to date by the log."""

from __future__ import annotations

import asyncio
import itertools
import logging
from bisect import bisect_right
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from kazoo import exceptions
from kazoo.protocol import serialization as zk

from dkronpy.store.contract import Compacted, Entry, Page, Unavailable
from dkronpy.store.zookeeper_tree import (
    LOG,
    LOG_NODES,
    ROOT,
    SHARDS,
    Batch,
    Image,
    decode_batch,
    founding,
    key_named,
    key_path,
    log_path,
    read_node,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Sequence

    from kazoo.security import ACL

    from dkronpy.store.changes import Commit
    from dkronpy.store.zookeeper_session import Session

log = logging.getLogger(__name__)

_STEPS: Final = 4
"""Batches read one after the other; who is further behind reads many at once."""
_AT_ONCE: Final = 100
"""Batches that are given to a watch at once."""


class Replica:
    """Reads through `session`; what it makes has these access control lists. `applied` is told of each batch that
    comes (its first revision, and itself). It is the change log of the store's watches."""

    def __init__(self, session: Session, acl: Sequence[ACL], applied: Callable[[int, Batch], None]) -> None:
        self._session = session
        self._acl = acl
        self._applied = applied
        self._image: Image | None = None
        self._looking: asyncio.Task[None] | None = None
        self._to_look: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        """Set when a batch was applied, or there may be one."""
        self._watcher = session.watcher(self._news.set)
        self._listeners: dict[int, list[Commit]] = {}
        self._told = 0
        """The newest batch that was applied, also by an image before this one."""

    async def open(self) -> None:
        """Read what there is; make the store where there is none. Raises Unavailable."""
        for _ in range(3):
            top, chain = await self._session.read([ROOT, LOG])
            if chain is not None:
                await self.catch_up()
                return
            failed = await self._session.commit(founding(self._acl, root=top is None))
            if failed is not None and not isinstance(failed[1], exceptions.NodeExistsError):
                raise Unavailable(f"{ROOT} can't be made in ZooKeeper: {type(failed[1]).__name__}")
        raise Unavailable(f"{ROOT} in ZooKeeper is not what was expected: delete it, or its backup must be restored")

    async def close(self) -> None:
        """End what goes on."""
        looks = [look for look in (self._looking, self._to_look) if look is not None]
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)

    async def image(self) -> Image:
        """As of some moment; only `catch_up` makes sure that it is not an old one."""
        if self._image is None:
            await self.catch_up()
        assert self._image is not None, "it was just read"
        return self._image

    async def catch_up(self) -> None:
        """Wait until the image has every commit that was answered, to anyone, before this call. Raises Unavailable."""
        if self._to_look is None:  # who calls while others look waits for the next look, which is for all of them
            self._to_look = asyncio.create_task(self._look_after(self._looking))
            self._to_look.add_done_callback(lambda done: done.cancelled() or done.exception())  # if none waits any more
        await asyncio.shield(self._to_look)

    async def learn(self, keys: Sequence[str]) -> None:
        """Read the revisions of keys that the image does not know."""
        image = await self.image()
        for key, data in zip(keys, await self._session.read(list(map(key_path, keys))), strict=True):
            if data is not None:
                image.learn(key, read_node(data)[0])
        await self.look()  # for those that are newer than the image

    def advance(self, first: int, data: bytes) -> None:
        """The next batch is known, unless it was before."""
        if self._image is not None and self._image.next == first:
            self._tell(first, self._image.apply(first, data))

    def spoiled(self, why: str) -> Unavailable:
        """The image is not what ZooKeeper has: it is read anew. What to raise."""
        log.error("%s in ZooKeeper is not what its log says, all of it is read again: %s", ROOT, why)
        self._image = None
        return Unavailable(f"something else has changed {ROOT} in ZooKeeper: {why}")

    async def get(self, key: str) -> Entry | None:
        """The newest."""
        [data] = await self._session.read([key_path(key)], newest=True)
        if data is None:
            return None
        entry = _entry(key, data)
        if self._image is not None:
            self._image.learn(key, entry.revision)
        return entry

    async def page(self, prefix: str, after: str, limit: int) -> Page:
        """As `Store.list`. Nodes are read one by one, some perhaps before a commit and some after it: what the log
        tells of meanwhile takes the place of what was read."""
        await self.catch_up()
        image = await self.image()
        found: dict[str, Entry] = {}
        with self._listening() as told:
            while True:
                keys, more = image.page(prefix, after, limit)
                missing = [key for key in keys if key not in found]
                if not missing:
                    return Page(tuple(found[key] for key in keys), image.position, more)
                for key, data in zip(missing, await self._session.read(list(map(key_path, missing))), strict=True):
                    if data is not None:
                        found[key] = _entry(key, data)
                        image.learn(key, found[key].revision)
                await self.look()  # now the image is as new as what was read
                if self._image is not image:
                    raise Unavailable("too much has changed in ZooKeeper while keys were listed")
                changed = {event.key: event for commit in told for event in commit}
                for key in missing:
                    if key not in found and key not in changed:
                        raise self.spoiled(f"{key} is missing")
                for key, event in changed.items():
                    found.pop(key, None)
                    if event.value is not None:
                        found[key] = Entry(key, event.value, event.revision)

    async def after(self, revision: int) -> Sequence[Commit]:
        """As `ChangeLog.after`."""
        await self.look()
        if (await self.image()).position <= revision:
            return ()
        batches = await self._batches(revision, _AT_ONCE)
        if not batches or batches[0][0] > revision + 1:
            raise Compacted(f"changes after revision {revision} are no longer kept")
        events = [commit for first, data in batches for commit in decode_batch(data).events(first)]
        return [commit for commit in events if commit and commit[0].revision > revision]

    async def follow(self, revision: int) -> AsyncGenerator[Sequence[Commit]]:
        """As `ChangeLog.follow`."""
        with self._listening() as told:
            while True:
                self._news.clear()
                commits = [commit for commit in told if commit[0].revision > revision]
                told.clear()
                if not commits or commits[0][0].revision > revision + 1:
                    commits = await self.after(revision)
                if commits:
                    yield commits
                    revision = commits[-1][0].revision
                else:
                    await self._news.wait()

    @contextmanager
    def _listening(self) -> Generator[list[Commit]]:
        """A list that gets each commit that comes, for as long as this is entered."""
        commits: list[Commit] = []
        self._listeners[id(commits)] = commits
        try:
            yield commits
        finally:
            del self._listeners[id(commits)]

    async def _look_after(self, previous: asyncio.Task[None] | None) -> None:
        if previous is not None:
            await asyncio.wait([previous])
        self._looking, self._to_look = self._to_look, None
        await self.look(newest=True)

    async def look(self, *, newest: bool = False) -> None:
        """Apply what the log has more, and leave a watch for what comes then. With `newest` it is what anyone was
        answered before."""
        for count in itertools.count():
            while self._image is None:
                await self._load()
            image = self._image
            # In this order: if the newest batch is there after its successor was not, it was the newest.
            requests = zk.Exists(log_path(image.next), self._watcher), zk.Exists(log_path(image.tail), None)
            *_, successor, tail = await self._session.ask(*([zk.Sync(LOG)] if newest and not count else []), *requests)
            if successor is not None and count < _STEPS:
                await self.step()
            elif successor is not None:  # to the end that there is now, or others could keep this one running for ever
                batches = await self._batches(image.position)
                for first, data in batches:
                    self.advance(first, data)
                if batches and batches[-1][0] <= image.tail:
                    self._news.set()  # no watch was left
                    return
            elif tail is not None:
                return
            elif self._image is image:
                log.warning("too much was written to ZooKeeper since this server looked: all is read again")
                self._image = None

    async def step(self) -> None:
        """Apply the next batch, if there is one."""
        first = (await self.image()).next
        [data] = await self._session.read([log_path(first)])
        if data is not None:
            self.advance(first, data)

    async def _load(self) -> None:
        """Read everything, but for values. What is written meanwhile is told by the log."""
        batches = await self._batches(0)
        folders = await self._session.children(*SHARDS)
        if self._image is not None or not batches:  # somebody else did, or all were trimmed meanwhile
            return
        self._image = image = Image()
        for first, data in batches:
            batch = image.apply(first, data)
            if first > self._told > 0:
                self._tell(first, batch)
        self._told = image.tail
        image.fill(key_named(name) for names in folders for name in names)

    async def _batches(self, revision: int, most: int = LOG_NODES) -> list[tuple[int, bytes]]:
        """The first batches kept (first revision, data) with something after `revision`, without a gap."""
        [names] = await self._session.children(LOG)
        firsts = sorted(map(int, names))
        start = max(bisect_right(firsts, revision + 1) - 1, 0)
        firsts = firsts[start : start + most]
        found: list[tuple[int, bytes]] = []
        for first, data in zip(firsts, await self._session.read(list(map(log_path, firsts))), strict=True):
            if data is None:  # it was trimmed, and with it those before it
                found.clear()
            else:
                found.append((first, data))
        return found

    def _tell(self, first: int, batch: Batch) -> None:
        self._told = first
        self._applied(first, batch)
        for commits in self._listeners.values():
            commits += (commit for commit in batch.events(first) if commit)
        self._news.set()


def _entry(key: str, data: bytes) -> Entry:
    revision, value = read_node(data)
    return Entry(key, value, revision)
