"""Names of the keys under a keyspace, and the codecs of their values (JSON, so that people can read the store)."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import msgspec

from dkronpy.model.backfill import Backfill
from dkronpy.model.calendar import CalendarRecord
from dkronpy.model.execution import execution_id, parse_execution_id
from dkronpy.model.job import Edit, Job, JobState
from dkronpy.model.link import Link, LinkSecret
from dkronpy.model.records import (
    Clear,
    ClusterSettings,
    ConcurrencyGroup,
    Cursor,
    Drain,
    Epoch,
    FileMark,
    GroupRecord,
    KillRecord,
    Lease,
    Pause,
    SourceRecord,
    TriggerRecord,
)
from dkronpy.model.run import Key

encode: Final = msgspec.json.Encoder().encode

KINDS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "jobs": msgspec.json.Decoder(Job),
    "states": msgspec.json.Decoder(JobState),
    "edits": msgspec.json.Decoder(Edit),
    "runs": msgspec.json.Decoder(GroupRecord),
    "triggers": msgspec.json.Decoder(TriggerRecord),
    "kills": msgspec.json.Decoder(KillRecord),
    "clears": msgspec.json.Decoder(Clear),
    "groups": msgspec.json.Decoder(ConcurrencyGroup),
    "calendars": msgspec.json.Decoder(CalendarRecord),
    "backfills": msgspec.json.Decoder(Backfill),
    "drains": msgspec.json.Decoder(Drain),
    "cursor": msgspec.json.Decoder(Cursor),
    "pause": msgspec.json.Decoder(Pause),
    "settings": msgspec.json.Decoder(ClusterSettings),
    "links": msgspec.json.Decoder(Link),
    "linkkey": msgspec.json.Decoder(LinkSecret),
    "sources": msgspec.json.Decoder(SourceRecord),
    "files": msgspec.json.Decoder(FileMark),
    "leader": msgspec.json.Decoder(Epoch),
    "lease": msgspec.json.Decoder(Lease),
}
"""What lies under each first part of a key, by decoder."""


class Keys:
    """Key names of one keyspace. Times in keys are 20 digits, so that keys sort by time."""

    def __init__(self, keyspace: str) -> None:
        self.root = f"{keyspace}/"
        self.cursor = f"{self.root}cursor"
        self.pause = f"{self.root}pause"
        self.settings = f"{self.root}settings"
        self.link_secret = f"{self.root}linkkey"
        self.epoch = f"{self.root}leader/epoch"
        self.lease = f"{self.root}lease"
        self.lineage = f"{self.root}lineage"
        """A mark, written anew with every job that gets parents: deletions are guarded by it."""
        self.backup = f"{self.root}backup"
        """A mark, set for a moment by who takes a backup."""

    def job(self, name: str) -> str:
        return f"{self.root}jobs/{name}"

    def state(self, name: str) -> str:
        return f"{self.root}states/{name}"

    def edits(self, name: str) -> str:
        """Prefix of a job's edits, oldest first."""
        return f"{self.root}edits/{name}/"

    def edit(self, name: str, since: int) -> str:
        return f"{self.root}edits/{name}/{since:020d}"

    def trigger(self, name: str, group: int) -> str:
        return f"{self.root}triggers/{name}/{group:020d}"

    def file_mark(self, node: str) -> str:
        """Quoted, since a node may have any name."""
        return f"{self.root}files/{quote(node, safe='')}"

    def links(self, name: str) -> str:
        """Prefix of a job's links."""
        return f"{self.root}links/{name}/"

    def link(self, name: str, id: str) -> str:
        return f"{self.links(name)}{id}"

    def clear(self, name: str) -> str:
        return f"{self.root}clears/{name}"

    def concurrency_group(self, name: str) -> str:
        """Quoted, since its name may have blanks and colons."""
        return f"{self.root}groups/{quote(name, safe='')}"

    def calendar(self, name: str) -> str:
        return f"{self.root}calendars/{name}"

    def backfill(self, name: str) -> str:
        return f"{self.root}backfills/{name}"

    def source(self, directory: str) -> str:
        """Quoted, since it is a path."""
        return f"{self.root}sources/{quote(directory, safe='')}"

    def drain(self, node: str) -> str:
        """Quoted, since a member may have any name."""
        return f"{self.root}drains/{quote(node, safe='')}"

    def group(self, name: str, group: int) -> str:
        return f"{self.root}runs/{name}/{group:020d}"

    def kill(self, key: Key) -> str:
        job, group, attempt, node = key
        return f"{self.root}kills/{job}/{execution_id(group, attempt, node)}"

    def split(self, key: str) -> tuple[str, str, str]:
        """(kind, name, rest) of a key of this keyspace: `jobs/a` is ("jobs", "a", "")."""
        kind, _, tail = key[len(self.root) :].partition("/")
        name, _, rest = tail.partition("/")
        return kind, name, rest


def killed_key(job: str, rest: str) -> Key:
    """The execution's key from the last part of a `kills/` key."""
    group, attempt, node = parse_execution_id(rest)
    return (job, group, attempt, node)
