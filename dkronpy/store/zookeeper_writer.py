"""Commits to ZooKeeper: one transaction after the other, each with all commits that wait."""

from __future__ import annotations

import asyncio
import logging
import os
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkronpy.store.contract import Conflict, OutcomeUnknown, StoreError, Unavailable
from dkronpy.store.zookeeper_session import Lost
from dkronpy.store.zookeeper_tree import Draft, Verdict
from dkronpy.store.zookeeper_turns import Turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kazoo.security import ACL

    from dkronpy.store.contract import Guard, Operation
    from dkronpy.store.zookeeper_replica import Replica
    from dkronpy.store.zookeeper_session import Session
    from dkronpy.store.zookeeper_tree import Batch, Image

log = logging.getLogger(__name__)

_RETRY: Final = 0.05
"""Seconds between tries while ZooKeeper is away."""


@dataclass(eq=False, slots=True)
class _Waiting:
    """A commit that is not answered yet."""

    guards: Sequence[Guard]
    operations: Sequence[Operation]
    answer: asyncio.Future[int]
    fresh: bool = False
    """The image has all that was answered before this commit was accepted."""
    tries: int = 0
    """Transactions with it of which it is not known yet whether they happened: at most one of them can."""


@dataclass(frozen=True, slots=True)
class _Try:
    """A transaction that was sent: the revision it begins with, and its commits."""

    first: int
    commits: Sequence[_Waiting]


class Writer:
    """Accepts commits. Each is answered within `seconds`."""

    def __init__(self, session: Session, acl: Sequence[ACL], seconds: float) -> None:
        self._session = session
        self._acl = acl
        self._seconds = seconds
        self._waiting: dict[_Waiting, None] = {}  # in the order they came
        self._tries: dict[bytes, _Try] = {}
        """By nonce, all for the same place in the log."""
        self._turns = Turns(session)
        self._writing: asyncio.Task[None] | None = None
        self.newest = 0
        """The newest revision that a commit was answered with."""

    async def commit(self, replica: Replica, guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        """As `Store.commit`."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(guards, operations, loop.create_future())
        timer = loop.call_later(self._seconds, self._give_up, waiting)
        self._waiting[waiting] = None

        def answered(answer: asyncio.Future[int]) -> None:
            answer.exception()  # if none waits any more
            timer.cancel()
            del self._waiting[waiting]

        waiting.answer.add_done_callback(answered)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(replica))
        return await asyncio.shield(waiting.answer)

    async def close(self) -> None:
        """Finish what was accepted."""
        await asyncio.gather(*(waiting.answer for waiting in self._waiting), return_exceptions=True)
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    def applied(self, first: int, batch: Batch) -> None:
        """The log has this batch: of the tries for its place it is the one that happened, or none was."""
        for nonce, each in list(self._tries.items()):
            if each.first == first:
                del self._tries[nonce]
                for revision, waiting in enumerate(each.commits, first):
                    waiting.tries -= 1
                    if nonce == batch.nonce and not waiting.answer.done():
                        self.newest = revision
                        waiting.answer.set_result(revision)

    async def _write(self, replica: Replica) -> None:
        try:
            while self._waiting:
                try:
                    await self._write_batch(replica)
                except Unavailable as error:
                    log.debug("commits are tried again: %s", error)
                    await asyncio.sleep(_RETRY)
                for _ in range(2):  # let those who were answered ask for more, so that it goes into one transaction
                    await asyncio.sleep(0)
        except Exception:
            log.exception("commits to ZooKeeper have failed")
            for waiting in tuple(self._waiting):
                self._give_up(waiting)
            raise
        finally:
            self._writing = None

    async def _write_batch(self, replica: Replica) -> None:
        """Raises Unavailable when it is to be tried again."""
        if self._tries:
            await replica.catch_up()
            self._forget(await replica.image())
        await self._turns.wait(replica)
        await self._session.connected()
        image = await replica.image()
        if unread := [key for waiting in self._waiting for key in image.unread(waiting.guards)]:
            await replica.learn(unread)
            return
        draft = Draft(image, os.urandom(8))
        taken: list[_Waiting] = []
        doubtful = False
        for waiting in tuple(self._waiting):
            if waiting.answer.done():
                continue
            match draft.add(waiting.guards, waiting.operations):
                case Verdict.TAKEN:
                    taken.append(waiting)
                case Verdict.LATER:
                    pass
                case Verdict.BROKEN if waiting.fresh:
                    waiting.answer.set_exception(Conflict(image.broken(waiting.guards) or ""))
                case Verdict.UNCHANGED if waiting.fresh:
                    waiting.answer.set_result(image.position)
                case Verdict.BROKEN | Verdict.UNCHANGED:
                    doubtful = True
        if doubtful:
            accepted = tuple(self._waiting)
            await replica.catch_up()
            for waiting in accepted:
                waiting.fresh = True
        elif taken:
            await self._send(replica, draft, taken)

    async def _send(self, replica: Replica, draft: Draft, taken: Sequence[_Waiting]) -> None:
        batch = draft.batch()
        self._tries[draft.nonce] = _Try(draft.first, taken)
        for waiting in taken:
            waiting.tries += 1
        try:
            failed = await self._session.commit(draft.requests(batch, self._acl))
        except Lost:
            raise
        except StoreError as error:
            self._refused(draft.nonce, error)
            return
        if failed is None:
            replica.advance(draft.first, batch)
            self._turns.won()
        elif failed[0] < Draft.LINKS:
            await self._turns.lost()
            await replica.step()
        else:
            self._refused(
                draft.nonce, replica.spoiled(f"operation {failed[0]} of a commit: {type(failed[1]).__name__}")
            )

    def _refused(self, nonce: bytes, error: StoreError) -> None:
        """A try has not happened, and will not when it is made again."""
        for waiting in self._tries.pop(nonce).commits:
            waiting.tries -= 1
            if not waiting.answer.done():
                unknown = OutcomeUnknown(f"a commit was sent twice, and answered once: {error}")
                waiting.answer.set_exception(unknown if waiting.tries else copy(error))

    def _forget(self, image: Image) -> None:
        """Of tries whose place the log does not keep any more nobody will ever know."""
        for nonce, each in list(self._tries.items()):
            if each.first <= image.position:
                del self._tries[nonce]
                for waiting in each.commits:
                    waiting.tries -= 1
                    if not waiting.answer.done():
                        waiting.answer.set_exception(OutcomeUnknown("ZooKeeper's log of changes went on without us"))

    def _give_up(self, waiting: _Waiting) -> None:
        if waiting.answer.done():
            return
        kind = OutcomeUnknown if waiting.tries else Unavailable
        waiting.answer.set_exception(kind(f"ZooKeeper did not answer a commit: {self._session.trouble()}"))
