"""A configuration directory of dsari → jobs that belong to nobody, once for all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from dkronpy.dsari.config import parse
from dkronpy.dsari.jobs import Document, documents
from dkronpy.dsari.problems import Problem
from dkronpy.dsari.reading import read
from dkronpy.importing.changes import Change, Kind
from dkronpy.importing.mapped import Mapped

_ORIGIN: Final = "dsari"


class Found(NamedTuple):
    """What a directory holds; `groups` are concurrency groups with their places."""

    jobs: list[Mapped]
    groups: Mapping[str, int]
    warnings: tuple[Problem, ...]


def read_dsari(directory: Path, tags: Mapping[str, str]) -> Found:
    """The jobs of a directory, with these tags if there are any. Raises ConfigRefused."""
    config = parse(read(directory))
    return Found([_mapped(job, tags) for job in documents(config)], config.groups, config.warnings)


def _mapped(job: Document, tags: Mapping[str, str]) -> Mapped:
    document = {**job.value, "tags": dict(tags)} if tags else job.value
    changes: list[Change] = []
    if job.name != job.original:
        told = f"{job.original!r} is no name here: it is called {job.name!r}, and shown as it was"
        changes.append(Change(Kind.NAME, told))
    if not tags:
        changes.append(Change(Kind.TARGET, "it ran on dsari's machine; here it runs on any server: --tag says where"))
    schedule = str(job.value["schedule"])
    return Mapped(job.name, document, _ORIGIN, job.place, schedule, changes=tuple(changes))
