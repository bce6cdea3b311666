"""Carries commits out: those that wait share a transaction, and one transaction follows another."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from copy import copy
from typing import TYPE_CHECKING, Final

from dkronpy.store.contract import OutcomeUnknown, StoreError, Unavailable
from dkronpy.store.dynamodb_access import Failed, Failure
from dkronpy.store.dynamodb_batch import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dkronpy.store.dynamodb_batch import Attempt, Commit, Item
    from dkronpy.store.dynamodb_table import Table

log = logging.getLogger(__name__)

_RETRY_FIRST, _RETRY_MAX = 0.02, 0.4
"""Seconds between tries of a transaction, about."""
_LOOKED_AT: Final = 256
"""Waiting commits that are looked at for one transaction."""


class Writer:
    """The only one in this process that writes to the table. A transaction is tried for at most `seconds`; `wrote` is
    told of each one that was carried out."""

    def __init__(self, table: Table, *, seconds: float, wrote: Callable[[Attempt], None]) -> None:
        self._table = table
        self._seconds = seconds
        self._wrote = wrote
        self._waiting: deque[Commit] = deque()
        self._working: asyncio.Task[None] | None = None
        self._newest: int | None = None
        """The newest revision, as far as is known; None after a failure."""
        self._written = 0
        self._why = ""
        """Why the last try failed."""

    def submit(self, commit: Commit) -> asyncio.Future[int]:
        """Accept a commit; the future gets its revision or its StoreError."""
        self._waiting.append(commit)
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return commit.future

    async def finish(self) -> int:
        """Wait until everything accepted is carried out; the newest revision written here."""
        if self._working is not None:
            await self._working
        return self._written

    async def _work(self) -> None:
        batch = Batch()
        try:
            while self._waiting:
                batch = self._take()
                await self._carry_out(batch)
        except Exception as error:
            log.exception("a transaction on %s failed", self._table.place)
            _fail([*batch.commits, *self._waiting], OutcomeUnknown(f"a transaction failed: {error!r}"))
            self._waiting.clear()
        finally:
            self._working = None

    def _take(self) -> Batch:
        """The first of those that wait, and what can go with it."""
        batch = Batch()
        passed: list[Commit] = []
        for _ in range(min(len(self._waiting), _LOOKED_AT)):
            commit = self._waiting.popleft()
            if not batch.add(commit):
                passed.append(commit)
        self._waiting.extendleft(reversed(passed))
        return batch

    async def _carry_out(self, batch: Batch) -> None:
        """Give each of the batch's commits its outcome. When DynamoDB does not answer, those that wait are refused too,
        for they have waited as long."""
        attempt: Attempt | None = None
        self._why = f"no answer within {self._seconds:g} s"
        try:
            async with asyncio.timeout(self._seconds):
                while batch.commits:
                    if self._newest is None:
                        self._newest = await self._table.newest()
                    attempt = batch.attempt(self._newest)
                    reasons = await self._send(attempt)
                    if reasons is None:
                        self._succeed(batch, attempt)
                        return
                    await self._judge(batch, attempt, reasons)
        except (TimeoutError, Unavailable) as error:
            self._newest = None
            why = str(error) or self._why
            if attempt is not None and attempt.doubtful:
                _fail(batch.commits, OutcomeUnknown(f"DynamoDB did not answer a commit: {why}"))
            else:
                _fail(batch.commits, Unavailable(f"DynamoDB takes no commit at {self._table.place}: {why}"))
            _fail(self._waiting, Unavailable(f"DynamoDB takes no commits at {self._table.place}: {why}"))
            self._waiting.clear()

    async def _send(self, attempt: Attempt) -> Sequence[Item] | None:
        """Send a transaction until it is known what became of it: None when it was carried out, else the reasons why it
        was cancelled, none where others' was carried out in its place. Raises Unavailable."""
        delay = _RETRY_FIRST
        while True:
            certain = not attempt.doubtful
            try:
                attempt.doubtful = bool(attempt.events)
                await self._table.transact(attempt)
            except Failed as failed:
                self._why = str(failed)
                if certain and failed.failure is not Failure.UNKNOWN:
                    attempt.doubtful = False
                if failed.failure is Failure.REFUSED:
                    raise Unavailable(self._why) from failed
                if failed.failure is Failure.CANCELLED and not attempt.doubtful:
                    return failed.reasons
            else:
                attempt.doubtful = False
                return None
            await asyncio.sleep(delay * random.uniform(0.5, 1))
            delay = min(delay * 2, _RETRY_MAX)
            if attempt.doubtful and (done := await self._look_up(attempt)) is not None:
                attempt.doubtful = False
                return None if done else ()

    async def _look_up(self, attempt: Attempt) -> bool | None:
        """Whether a transaction was carried out; None where it still may be, or DynamoDB does not answer."""
        try:
            newest = await self._table.newest()
            return None if newest == attempt.before else await self._table.wrote(attempt)
        except Unavailable as error:
            self._why = str(error)
            return None

    async def _judge(self, batch: Batch, attempt: Attempt, reasons: Sequence[Item]) -> None:
        """Take out of the batch what can't be written, and learn what the next try needs. Raises Unavailable."""
        if not reasons:
            self._newest = None
            return
        head, found, contended = attempt.found(reasons)
        for commit, conflict in batch.drop(found):
            _fail([commit], conflict)
        if head is not None:
            self._newest = head
        elif contended:
            self._newest = None
            self._why = "other transactions hinder it, or the table is throttled"
            await asyncio.sleep(_RETRY_FIRST * random.uniform(0.2, 1))
        elif not found:
            raise Unavailable(f"a transaction was cancelled: {[reason.get('Message') for reason in reasons]}")

    def _succeed(self, batch: Batch, attempt: Attempt) -> None:
        """Events first, so that whoever waited for a commit finds them published."""
        self._newest = attempt.revision
        if attempt.events:
            self._written = attempt.revision
            self._wrote(attempt)
        for commit, revision in zip(batch.commits, attempt.revisions, strict=True):
            if not commit.future.done():  # the task that waited was cancelled
                commit.future.set_result(revision)


def _fail(commits: Iterable[Commit], error: StoreError) -> None:
    for commit in commits:
        if not commit.future.done():
            commit.future.set_exception(copy(error))  # each is raised in its own task
