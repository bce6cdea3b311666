"""A job from elsewhere as it is to be written here, whatever it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from dkronpy.importing.changes import Change, Kind
from dkronpy.importing.dump import Json
from dkronpy.model.fields import MAX_NAME
from dkronpy.model.names import name_for

Reading = Callable[[int, int], list[int]]
"""(after, count) → the next fires after `after` (ns) as the source has them."""


@dataclass(frozen=True)
class Mapped:
    """`document` is what users write of a job, with its counters. `problem` tells why it can't be taken, and then the
    document is empty."""

    name: str
    document: Json
    origin: str
    """What it comes from, as people call it: `Dkron`, `crontab`."""
    place: str = ""
    """Where in the source it stands: `/etc/crontab, line 7`."""
    schedule: str = ""
    """The source's own."""
    executions: tuple[Json, ...] = ()
    changes: tuple[Change, ...] = ()
    problem: str = ""
    reading: Reading | None = None
    """None where the source can't be asked: it fires by chance, or after something else."""


@dataclass
class Draft:
    """A job in the making: what `Mapped` tells, collected step by step."""

    name: str
    origin: str
    place: str
    schedule: str = ""
    document: Json = field(default_factory=dict[str, object])
    changes: list[Change] = field(default_factory=list[Change])
    reading: Reading | None = None
    problem: str = ""

    def tell(self, kind: Kind, text: str) -> None:
        """Something means another thing here."""
        self.changes.append(Change(kind, text))

    def done(self) -> Mapped:
        document = {} if self.problem else {"name": self.name, **self.document}
        changes = () if self.problem else tuple(self.changes)
        return Mapped(
            self.name,
            document,
            self.origin,
            self.place,
            self.schedule,
            changes=changes,
            problem=self.problem,
            reading=self.reading,
        )


def targeted(job: Mapped, tags: Mapping[str, str]) -> Mapped:
    """The job with the tags that say where it runs; without any it is told that it runs on every node."""
    if job.problem:
        return job
    if tags:
        return replace(job, document={**job.document, "tags": dict(tags)})
    told = "it ran on one machine; here, without tags, it runs on every node: --tag says where"
    return replace(job, changes=(*job.changes, Change(Kind.TARGET, told)))


class Names:
    """Gives each job of a source a name of its own: one that is taken gets a number."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._taken: set[str] = set()

    def new(self, wish: str) -> str:
        name = name_for(self._prefix + wish)
        number = 1
        while name in self._taken:
            number += 1
            tail = f"-{number}"
            name = name_for(self._prefix + wish)[: MAX_NAME - len(tail)] + tail
        self._taken.add(name)
        return name
