"""How the place of the history is written: sqlite:PATH, the address of a database, or store."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from dkronpy.config import values

SERVERS: Final = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "mongodb": "mongodb",
    "mongodb+srv": "mongodb",
}
"""Schemes of databases that can hold the history, and the extra whose packages each needs."""


def checked(value: Any) -> Any:
    """A history as it is written, its path made whole. Raises ValueError, which shows of the value no more than what
    comes before the first colon: it may hold a password."""
    if not isinstance(value, str) or value == "store":
        return value
    scheme, _, rest = value.partition(":")
    if scheme in SERVERS:
        if not urlsplit(value).path.strip("/"):
            raise ValueError(f"it names no database: write {scheme}://USER:PASSWORD@HOST/DATABASE")
        return value
    if scheme != "sqlite":
        raise ValueError(
            f'"{scheme}" is not a history that is built in: '
            "use sqlite:PATH, postgresql://…, mysql://…, mongodb://… or store"
        )
    if not rest:
        raise ValueError(f'"{value}" names no file: write sqlite:PATH')
    return f"sqlite:{values.expand(rest)}"
