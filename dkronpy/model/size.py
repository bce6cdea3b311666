"""Sizes as users write them: 512MB."""

from __future__ import annotations

import re
from typing import Final

_SIZE: Final = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([KMGT]?B)\s*", re.IGNORECASE)
_UNITS: Final = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


def parse_size(text: str) -> int:
    """Bytes. Raises ValueError that says how one is written."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:80]!r} is not a size: write a number with one of B, KB, MB, GB, TB, such as 512MB")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def format_size(size: int) -> str:
    """The inverse of `parse_size`, in the largest unit that divides it."""
    unit = next(name for name, factor in reversed(_UNITS.items()) if size % factor == 0)
    return f"{size // _UNITS[unit]}{unit}"
