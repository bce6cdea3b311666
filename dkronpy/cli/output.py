"""What a command prints, in the four formats.

`pretty` is for people: fitted to the terminal, coloured there (unless NO_COLOR is set), times relative or local.
`tabular` is for `cut` and `awk`: a header and tab-separated values, as the API gives them. `json` and `yaml` are the
API's objects.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNLIMITED = 200
"""Columns that pretty output takes where there is no terminal to fit."""


class Format(StrEnum):
    """How results are printed."""

    PRETTY = "pretty"
    """For people: fitted to the terminal and coloured."""
    TABULAR = "tabular"
    """A header line and tab-separated values."""
    JSON = "json"
    YAML = "yaml"

    @property
    def structured(self) -> bool:
        """Whether the API's objects themselves are printed."""
        return self in (Format.JSON, Format.YAML)


@dataclass(frozen=True)
class Column:
    """A column of pretty output. `rank` 0 is always shown; another only where it holds any text, and where the width
    does not suffice the highest goes first.

    `style` is a style's name or finds it from the text; `whole` columns are never shortened.
    """

    title: str
    text: Callable[[Any], str]
    rank: int = 0
    style: str | Callable[[str], str] = ""
    right: bool = False
    whole: bool = False


class Field(NamedTuple):
    """A line of pretty output of one object; left out where the text is empty."""

    title: str
    text: str
    style: str = ""


@dataclass(frozen=True)
class Listing:
    """How a kind of object is listed: pretty columns, and the keys that tabular output gives."""

    columns: tuple[Column, ...]
    keys: tuple[str, ...]


_STYLES = {
    **dict.fromkeys(("success", "alive", "created"), "green"),
    **dict.fromkeys(("failed", "timed_out", "lost", "refused", "conflict"), "red"),
    **dict.fromkeys(("partially_failed", "skipped", "missed", "leaving", "changed"), "yellow"),
    **dict.fromkeys(("running", "dispatched", "queued"), "cyan"),
    **dict.fromkeys(("disabled", "left", "unchanged"), "dim"),
    "killed": "magenta",
}


def state_style(text: str) -> str:
    """The style of a state's name, by its first word."""
    return _STYLES.get(text.partition(" ")[0], "")


def plain(text: str) -> str:
    """A value that came from outside, made fit for one line of a terminal: control and direction characters escaped."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def cell(value: object) -> str:
    """A value for a tabular cell: text as it is, null empty, structures as JSON."""
    if value is None:
        return ""
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def pairs(values: Mapping[str, object] | None) -> str:
    """A map on one line: `key=value, key=value`."""
    return ", ".join(f"{key}={value}" for key, value in (values or {}).items())


class Output:
    """Prints to standard output in one format."""

    def __init__(self, form: Format) -> None:
        self.form = form

    def rows(self, rows: Iterable[Mapping[str, Any]], listing: Listing, empty: str) -> None:
        """A list of objects. Tabular output is printed as it comes; `empty` is what people read when there is none."""
        if self.form is Format.TABULAR:
            self.line("\t".join(listing.keys))
            for row in rows:
                self.line("\t".join(cell(row.get(key)) for key in listing.keys))
        elif self.form.structured:
            self.data(list(rows))
        elif found := list(rows):
            self.console.print(self._table(found, listing.columns))
        else:
            self.line(empty)

    def fields(self, data: Mapping[str, Any], fields: Sequence[Field]) -> None:
        """One object; `fields` are what people see of it."""
        if self.form.structured:
            self.data(data)
        elif self.form is Format.TABULAR:
            for key, value in data.items():
                self.line(f"{key}\t{cell(value)}")
        else:
            from rich.table import Table
            from rich.text import Text

            grid = Table.grid(padding=(0, 2))
            grid.add_column(style="bold", no_wrap=True)
            grid.add_column(overflow="fold")
            for title, text, style in fields:
                if text:
                    grid.add_row(title, Text("\n".join(map(plain, text.split("\n"))), style))
            self.console.print(grid)

    def done(self, data: object, said: str) -> None:
        """What an act has led to: the objects for machines, sentences for people."""
        if self.form.structured:
            self.data(data)
        else:
            for sentence in said.splitlines():
                self.line(plain(sentence))

    def data(self, data: object) -> None:
        """An object or a list as JSON or YAML."""
        if self.form is Format.JSON:
            self.line(json.dumps(data, ensure_ascii=False, indent=2))
        else:
            from dkronpy.cli.documents import write_yaml

            write_yaml(data, sys.stdout)

    def line(self, text: str = "", style: str = "") -> None:
        """A line of text; the style shows only on terminals."""
        if style and self.form is Format.PRETTY:
            from rich.text import Text

            self.console.print(Text(text, style), soft_wrap=True)
        else:
            sys.stdout.write(f"{text}\n")

    def prefixed(self, prefix: str, style: str, text: str) -> None:
        """A line of a run's output behind whose it is."""
        if self.form is Format.PRETTY:
            from rich.text import Text

            self.console.print(Text(prefix, style), end="")
        else:
            sys.stdout.write(prefix)
        sys.stdout.write(f"{text}\n")

    @cached_property
    def console(self) -> Console:
        """Rich's console: finds the width and whether there may be colours."""
        from rich.console import Console

        fitted = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
        return Console(
            file=sys.stdout, highlight=False, markup=False, emoji=False, width=None if fitted else _UNLIMITED
        )

    def _table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> Table:
        """The table with as many columns as fit."""
        from rich.measure import Measurement

        shown = [column for column in columns if not column.rank or any(column.text(row) for row in rows)]
        anything = self.console.options.update(width=1 << 20)
        while True:
            table = _make_table(rows, shown)
            worst = max(column.rank for column in shown)
            wanted = Measurement.get(self.console, anything, table).maximum
            if not worst or wanted <= self.console.width:
                return table
            shown = [column for column in shown if column.rank < worst]


def _make_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> Table:
    from rich.table import Table
    from rich.text import Text

    def text(column: Column, row: Mapping[str, Any]) -> Text:
        shown = plain(column.text(row))
        return Text(shown, column.style(shown) if callable(column.style) else column.style)

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    cells = [[text(column, row) for row in rows] for column in columns]
    for column, texts in zip(columns, cells, strict=True):
        table.add_column(
            column.title,
            no_wrap=True,
            overflow="ellipsis",
            justify="right" if column.right else "left",
            min_width=max(text.cell_len for text in texts) if column.whole else None,
        )
    for row in zip(*cells, strict=True):
        table.add_row(*row)
    return table
