"""Keeping the cluster's jobs as a configuration directory on this server says.

The directory is looked at twice a second and taken when it has changed and holds still, or at once when it is told to.
What it defines is marked with it (`Job.source`), and what it defines no more is deleted. A content that is broken
changes nothing. Writing a job that is as it should be is no write, so every server with the directory may do all of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from dkronpy.catalog.jobs import HasDependents, JobError, JobNotFound, Jobs, ParentNotFound
from dkronpy.catalog.mirror import Mirror
from dkronpy.catalog.sources import Sources
from dkronpy.dsari.config import DsariConfig, parse
from dkronpy.dsari.jobs import checked, documents
from dkronpy.dsari.problems import ConfigRefused
from dkronpy.dsari.reading import Merged, read, signature
from dkronpy.model.job import Job
from dkronpy.model.records import ConcurrencyGroup
from dkronpy.model.source import SourceReport, SourceState
from dkronpy.store.contract import StoreError

log = logging.getLogger(__name__)

LOOK: Final = 0.5
"""Seconds between two looks at the directory."""
TURN: Final = 100
"""Jobs that are looked at before other tasks have their turn."""
AGAIN: Final = 5.0
"""Seconds until what the store did not take is tried again."""


class Content(NamedTuple):
    """What was read, checked."""

    merged: Merged
    config: DsariConfig
    jobs: dict[str, Job]


class JobDirectory:
    """One server's directory. `now` gives ns since the epoch."""

    def __init__(
        self, path: Path, node: str, mirror: Mirror, jobs: Jobs, sources: Sources, now: Callable[[], int]
    ) -> None:
        self.report = SourceReport(str(path))
        """What became of it."""
        self._path = path
        self._node = node
        self._mirror = mirror
        self._jobs = jobs
        self._sources = sources
        self._now = now
        self._by = f"directory {path}"
        self._told = asyncio.Event()
        self._included: Path | None = None
        """Where the configuration that was read last has its further files."""

    def reload(self) -> None:
        """Take the directory as it is at once, also where another server's is newer."""
        self._told.set()

    async def run(self) -> None:
        """Keep the jobs as the directory says, until cancelled."""
        await self._mirror.loaded.wait()
        before: object = None
        taken: object = None
        force = False
        while True:
            force = force or self._told.is_set()
            self._told.clear()
            now = await asyncio.to_thread(signature, self._path, self._included)
            if force or (now == before and now != taken):
                settled = await self._take(force=force)
                taken, force = (now, False) if settled else (None, force)
                if not settled:
                    await self._sleep(AGAIN)
            before = now
            await self._sleep(LOOK)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._told.wait()
        except TimeoutError:
            pass

    async def _take(self, *, force: bool) -> bool:
        """Read the directory and apply it. Returns whether that is settled: false where the store did not take it."""
        try:
            content = await asyncio.to_thread(self._read)
        except ConfigRefused as refused:
            self._tell(SourceState.REFUSED, problems=map(str, refused.problems))
            return True
        except Exception as error:
            # Whatever a file holds, it must not end the server; this one it ought to have been refused for by name.
            log.exception("the job directory can't be read", extra={"directory": self.report.directory})
            self._tell(SourceState.REFUSED, problems=[f"the directory can't be read: {error!r}"])
            return True
        merged = content.merged
        self._included = merged.included
        try:
            claimed = await self._sources.claim(
                self.report.directory, merged.digest, merged.newest, by=self._node, force=force
            )
            problems = await self._apply(content) if claimed else None
        except StoreError as error:
            self._tell(SourceState.PENDING, content, problems=[f"the store can't be written: {error}"])
            return False
        if problems is None:
            held = self._mirror.sources.get(self.report.directory)
            who = "another server" if held is None else held.value.by
            newer = f"{who} has newer files in {self._path}: bring these up to date, or send HUP to let them hold"
            self._tell(SourceState.OUTDATED, content, problems=[newer])
        else:
            self._tell(SourceState.APPLIED, content, problems=problems)
        return True

    def _read(self) -> Content:
        """Read and check everything. May take seconds, and runs in a thread. Raises ConfigRefused."""
        merged = read(self._path)
        config = parse(merged)
        found = checked(
            documents(config),
            self.report.directory,
            now=self._now(),
            old=lambda name: None if (held := self._mirror.jobs.get(name)) is None else held.value,
            calendars=frozenset(
                name for name, held in self._mirror.calendars.copy().items() if held.value.calendar is not None
            ),
        )
        return Content(merged, config, found)

    async def _apply(self, content: Content) -> list[str] | None:
        """Write what differs. Returns what could not be done; None where a newer content has come to hold meanwhile.
        Raises StoreError."""
        source, wanted, groups = self.report.directory, content.jobs, content.config.groups
        found = [await self._define(name, places) for name, places in groups.items()]

        async def put(name: str) -> None:
            await self._put(wanted[name])

        async def delete(name: str) -> None:
            with suppress(JobNotFound):  # another server with the directory was quicker
                await self._jobs.delete(name, by=self._by, source=source)

        def holds() -> bool:
            return self._sources.holds(source, content.merged.digest)

        problems = [problem for problem in found if problem] + await _each(wanted, put, holds)
        gone = [n for n, held in self._mirror.jobs.items() if held.value.source == source and n not in wanted]
        problems += await _each(gone, delete, holds)
        if not holds():
            return None
        for name, limit in list(self._mirror.limits.items()):
            if limit.value.source == source and name not in groups:
                await self._jobs.undefine_group(name, source=source)
        return problems

    async def _define(self, name: str, places: int) -> str:
        """Define a concurrency group. Returns why that can't be, or an empty text. Raises StoreError."""
        held, source = self._mirror.limits.get(name), self.report.directory
        old = ConcurrencyGroup(places) if held is None else held.value
        if held is not None and not old.source and old.max != places:
            return (
                f"concurrency group {name}: one of this name is there and does not come from this directory: delete it"
            )
        try:
            if held is None or (old.max, old.source) != (places, source):
                await self._jobs.define_group(name, places, old.description, by=self._by, source=source)
        except JobError as error:
            return f"concurrency group {name}: {error}"
        return ""

    async def _put(self, job: Job) -> None:
        """Raises JobError, StoreError."""
        held = self._mirror.jobs.get(job.name)
        if held is not None and not held.value.source:
            old = held.value
            if msgspec.structs.replace(job, since=old.since, created=old.created, source="") != old:
                raise JobError("name", "a job of this name is there and does not come from this directory: delete it")
        await self._jobs.put(job, by=self._by)

    def _tell(self, state: SourceState, content: Content | None = None, *, problems: Iterable[str]) -> None:
        old = self.report
        found = () if content is None else tuple(str(warning) for warning in content.config.warnings)
        self.report = SourceReport(
            directory=old.directory,
            state=state,
            at=self._now(),
            digest=old.digest if content is None else content.merged.digest,
            files=old.files if content is None else content.merged.files,
            jobs=old.jobs if content is None else tuple(sorted(content.jobs)),
            problems=tuple(problems),
            warnings=old.warnings if content is None else found,
        )
        new = self.report
        extra = {"directory": new.directory, "state": new.state.value}
        for warning in new.warnings if new.warnings != old.warnings else ():
            log.warning("job directory: %s", warning, extra=extra)
        for problem in new.problems:
            log.error("job directory: %s", problem, extra=extra)
        if state is SourceState.REFUSED:
            log.error("the job directory is refused, its jobs stay as they were", extra=extra)
        elif state is SourceState.APPLIED:
            log.info("the job directory is applied: %d jobs", len(new.jobs), extra=extra)


async def _each(names: Iterable[str], act: Callable[[str], Awaitable[None]], holds: Callable[[], bool]) -> list[str]:
    """Act on every job as long as the content `holds`; those that must wait for others of them, as children for their
    parents, come after those. Returns what could not be done."""
    left = list(names)
    problems: list[str] = []
    while left:
        later: dict[str, JobError] = {}
        for number, name in enumerate(left, 1):
            if not holds():
                return problems
            if number % TURN == 0:
                await asyncio.sleep(0)
            try:
                await act(name)
            except (ParentNotFound, HasDependents) as error:
                later[name] = error
            except JobError as error:
                problems.append(f"job {name}: {error}")
        if len(later) == len(left):
            return problems + [f"job {name}: {error}" for name, error in later.items()]
        left = list(later)
    return problems
