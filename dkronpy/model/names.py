"""Names from elsewhere as names of jobs."""

from __future__ import annotations

import hashlib
import unicodedata

from dkronpy.model.fields import MAX_NAME, check_name


def name_for(original: str) -> str:
    """A name that a job may have here: lower-case, `-` for what is not allowed. One that is too long ends with a mark
    of the whole, so that no two become one."""
    try:
        return check_name(original)
    except ValueError:
        text = unicodedata.normalize("NFKC", original).lower()
        kept = "".join(char if char in "0123456789_-" or unicodedata.category(char) == "Ll" else "-" for char in text)
        if kept.strip("-") and len(kept) <= MAX_NAME:
            return kept
        return f"{kept[: MAX_NAME - 9]}-{hashlib.sha256(original.encode()).hexdigest()[:8]}"
