"""What `dkron apply` is to do with one thing that a file holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from dkronpy.client import Fire

_MISSING: Final = object()


@dataclass
class Plan:
    """What is to be done with one job, group, calendar or the settings. Documents are what users may write of it, all
    fields filled in."""

    place: str
    new: dict[str, Any]
    defaults: dict[str, Any]
    old: dict[str, Any] | None = None
    etag: str = ""
    action: str = ""
    """`created`, `changed`, `unchanged`; and after a write that was refused `conflict` or `refused`."""
    problem: str = ""
    kind: str = "job"
    fires: dict[str, list[Fire]] = field(default_factory=dict[str, "list[Fire]"])
    """With --dry-run: the next fires by the `old` and by the `new` schedule, where they may differ."""

    @property
    def name(self) -> str:
        return str(self.new["name"])

    @property
    def label(self) -> str:
        """Its name, with its kind where it is no job: `group/database`."""
        return self.name if self.kind == "job" else f"{self.kind}/{self.name}"

    def changes(self) -> list[dict[str, Any]]:
        """The fields that differ, of a new job from the defaults; nested ones with dots: {field, old, new}. What is
        absent on one side is null."""
        old, new = dict(_flat(self.old or self.defaults)), dict(_flat(self.new))
        keys = [key for key in {**new, **old} if old.get(key, _MISSING) != new.get(key, _MISSING)]
        return [{"field": key, "old": old.get(key) if self.old else None, "new": new.get(key)} for key in keys]

    @property
    def fields(self) -> list[str]:
        """The fields that differ."""
        return [str(change["field"]) for change in self.changes()]

    def record(self) -> dict[str, Any]:
        """As an object for JSON and YAML."""
        return {
            "kind": self.kind,
            "name": self.name,
            "action": self.action,
            "changes": self.changes(),
            **({"fires": self.fires} if self.fires else {}),
            **({"problem": self.problem} if self.problem else {}),
        }


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A document's fields with dotted names for nested ones."""
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _flat(cast("dict[str, Any]", value), f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value
