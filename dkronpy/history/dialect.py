"""What differs between databases that speak SQL."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

Parameters = dict[str, Any]
Columns = Mapping[str, type[int] | type[str] | type[bytes]]
"""Names of a table's columns, in order, with what they hold."""
Rows = Sequence[Sequence[Any]]

_NAMED = re.compile(r":([a-z_]+\d*)")


class Statement(NamedTuple):
    """A question to a database: its text with `:name` for each of `parameters`; or, with `many`, the text as the
    driver takes it, executed for each row."""

    text: str
    parameters: Parameters
    many: Rows | None = None


class Dialect(ABC):
    """One database's ways."""

    merges: bool = False
    """Whether it answers a union of ordered ranges in their order without reading them to the end."""

    join: str = "JOIN"
    """What joins `wanted` with a table in which its rows are to be looked up, one after the other."""

    def name(self, text: str) -> Any:
        """A text as a parameter."""
        return text

    def names(self, rows: Rows) -> Rows:
        """Rows whose texts are as `name` has them."""
        return rows

    def text(self, value: Any) -> str:
        """The inverse of `name`."""
        return value

    def hint(self, index: str | None) -> str:
        """What follows a table's name so that `index` is used (None: the primary key), for planners that would rather
        not."""
        del index
        return ""

    @abstractmethod
    def rows(self, columns: Columns, rows: Rows) -> tuple[str, Parameters]:
        """What stands after FROM for a table `wanted` that holds `rows`, and its parameters."""

    @abstractmethod
    def upsert(self, table: str, columns: Columns, key: Sequence[str], rows: Rows, *, add: bool = False) -> Statement:
        """Insert rows; where the key exists, replace the other columns, or add to them."""

    @abstractmethod
    def delete(self, table: str, columns: Columns, rows: Rows) -> Statement:
        """Delete the rows with these values."""

    @property
    @abstractmethod
    def contains(self) -> str:
        """The condition that the bytes of the column `data` contain `:text`."""

    @property
    @abstractmethod
    def appended(self) -> str:
        """The expression for the bytes of the column `data` followed by `:data`."""


@lru_cache(maxsize=2048)
def positional(text: str, place: Callable[[int], str], *, again: bool) -> tuple[str, tuple[str, ...]]:
    """`text` with each `:name` replaced by `place` of its number from 1, and the names in that order; a name that
    occurs more than once has one number unless `again`."""
    names: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        name = match[1]
        if again or name not in names:
            names.append(name)
        return place(len(names) if again else names.index(name) + 1)

    return _NAMED.sub(replaced, text), tuple(names)
