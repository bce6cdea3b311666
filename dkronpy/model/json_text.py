"""JSON as people write it: what the standard reader takes silently."""

from __future__ import annotations

from typing import Any


class GivenTwice(ValueError):
    """An object holds a key twice."""


def unique(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """The `object_pairs_hook` of `json.loads` by which a key given twice is an error. Raises GivenTwice."""
    found: dict[str, Any] = {}
    for key, value in items:
        if key in found:
            raise GivenTwice(f"the key {key[:80]!r} is given twice in one object; keep one of them")
        found[key] = value
    return found
