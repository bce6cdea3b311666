"""dsari's trigger files: each is carried out once, also where servers share the directory and die at any point.

A server carries out one claim after the other. The commit that asks for the run also writes the claim's number as the
server's mark (`FileMark`), and holds only if the mark is as it was read; the file goes afterwards. So a claim that is
still there is done if its number is at most its server's mark, and is carried out otherwise, by whichever server: of
two that try, one commits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from dkronpy.catalog.jobs import JobNotFound
from dkronpy.catalog.keys import KINDS, Keys, encode
from dkronpy.catalog.mirror import Held, Mirror
from dkronpy.catalog.requests import Requests
from dkronpy.dsari.trigger_claims import Claim, TriggerClaims
from dkronpy.dsari.trigger_file import parse
from dkronpy.model.execution import Trigger
from dkronpy.model.fields import SpecError
from dkronpy.model.job import Job
from dkronpy.model.names import name_for
from dkronpy.model.records import FileMark
from dkronpy.model.trigger_spec import to_trigger
from dkronpy.store.contract import Guard, Put, Store, StoreError

log = logging.getLogger(__name__)

EVERY: Final = 1.0
"""Seconds between two looks at the directory."""
SETTLED: Final = 500_000_000
"""ns that a file must be unchanged: it may be being written."""
ORPHANED: Final = 60_000_000_000
"""ns after which another server's claim is carried out: that one has stopped."""
AHEAD: Final = 3_600_000_000_000
"""ns by which a claim's number may be ahead of the clock: no server makes others."""


class TriggerFiles:
    """The trigger files that one server, `node`, looks after. `now` gives ns since the epoch."""

    def __init__(
        self,
        claims: TriggerClaims,
        node: str,
        store: Store,
        mirror: Mirror,
        keys: Keys,
        requests: Requests,
        now: Callable[[], int],
    ) -> None:
        self._claims = claims
        self._node = node
        self._store = store
        self._mirror = mirror
        self._keys = keys
        self._requests = requests
        self._now = now
        self._wake = asyncio.Event()
        self._failing = ""
        self._stuck: set[str] = set()

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self._wake.clear()
            try:
                if self._mirror.healthy:
                    await self.scan()
                self._tell("")
            except (OSError, StoreError) as error:
                self._tell(str(error))
            try:
                async with asyncio.timeout(EVERY):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def scan(self) -> None:
        """Carry out what is there. Raises OSError and StoreError, after which what was begun is found again."""
        claims, waiting = await asyncio.to_thread(self._claims.look)
        last = 0
        for claim in claims:
            if claim.number >= self._now() + AHEAD:
                continue
            ours = claim.node == self._node
            last = claim.number if ours else last
            if ours or not 0 <= self._now() - claim.since < ORPHANED:
                await self._insist(claim)
        for file in waiting:
            if 0 <= self._now() - file.written_at < SETTLED:
                continue
            # A clock that was set back must not give a number that counts as done.
            number = max(self._now(), last + 1, 1 + (await self._mark(self._node))[0])
            claim = await asyncio.to_thread(self._claims.claim, file, self._node, number)
            if claim is not None:
                await self._insist(claim)
                last = number

    async def _insist(self, claim: Claim) -> None:
        """Carry out a claim. One whose files can't be handled does not keep the others waiting: when a later one is
        done, it counts as done too."""
        try:
            await self._carry_out(claim)
            self._stuck.discard(claim.name)
        except OSError as error:
            if claim.name not in self._stuck:
                log.warning(
                    "a trigger file can't be handled, trying again: %s",
                    ascii(str(error)),
                    extra={"job": ascii(claim.job)},
                )
            self._stuck.add(claim.name)

    async def _carry_out(self, claim: Claim) -> None:
        while True:
            mark, revision = await self._mark(claim.node)
            if claim.number <= mark:
                break
            try:
                read = await asyncio.to_thread(self._claims.read, claim)
                if read is None:
                    return  # another server has carried it out
                group = await self._ask(claim, revision, *read)
            except (SpecError, JobNotFound, ValueError) as error:
                place = await asyncio.to_thread(self._claims.set_aside, claim, str(error))
                extra = {"job": ascii(claim.job), "file": ascii(place)}
                log.warning("a trigger file is refused and put aside: %s", ascii(str(error)), extra=extra)
                return
            if group is not None:
                log.info("a trigger file asks for a run", extra={"job": claim.job, "group": group})
                break
        await asyncio.to_thread(self._claims.drop, claim)

    async def _ask(self, claim: Claim, revision: int, content: bytes, written_at: int) -> int | None:
        """Ask for the run, if the server's mark has this revision; returns its group, or None where something has
        changed meanwhile.

        Raises SpecError, JobNotFound and ValueError for a file that can't be carried out."""
        held = self._named(claim.job)
        if held is None:
            raise JobNotFound(claim.job)
        zone, due = held.value.timezone, min(written_at, self._now())
        spec, data = await asyncio.to_thread(parse, content, claim.suffix, written_at=due, timezone=zone)
        by, key = claim.node, self._keys.file_mark(claim.node)
        return await self._requests.ask(
            held.value.name,
            lambda job, now: to_trigger(spec, job.parameters, now=now, by=by, kind=Trigger.FILE, data=data, past=True),
            guards=[Guard(key, revision)],
            beside=[Put(key, encode(FileMark(claim.number)))],
        )

    def _named(self, name: str) -> Held[Job] | None:
        """The job of that name, or the one that has it in dsari: a run knows its job by that as JOB_NAME."""
        found = self._mirror.jobs.get(name)
        if found is None and (other := self._mirror.jobs.get(name_for(name))) is not None:
            return other if other.value.hash_id == name else None
        return found

    async def _mark(self, node: str) -> tuple[int, int]:
        """A server's mark and its revision."""
        entry = await self._store.get(self._keys.file_mark(node))
        return (0, 0) if entry is None else (KINDS["files"].decode(entry.value).claim, entry.revision)

    def _tell(self, failing: str) -> None:
        """Tell a change of whether trigger files can be read."""
        if failing and failing != self._failing:
            log.warning("trigger files can't be carried out, trying until they can: %s", ascii(failing))
        self._failing = failing
