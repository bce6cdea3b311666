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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from rich.console import Console

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNLIMITED = 200
"""Width of pretty output where there is no terminal to fit."""
_GAP = "  "
_LEAST = 4
"""Width below which no column is shortened."""


class OutputError(Exception):
    """Standard output cannot be written; the cause is the OSError."""


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
    **dict.fromkeys(("success", "alive", "created", "finished"), "green"),
    **dict.fromkeys(("failed", "timed_out", "lost", "refused", "conflict"), "red"),
    **dict.fromkeys(("partially_failed", "skipped", "missed", "leaving", "changed", "kept"), "yellow"),
    **dict.fromkeys(("running", "dispatched", "queued"), "cyan"),
    **dict.fromkeys(("disabled", "left", "unchanged"), "dim"),
    "ok": "green",
    "warning": "yellow",
    "critical": "red",
    **dict.fromkeys(("killed", "unknown"), "magenta"),
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


@contextmanager
def _writing() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write the output: {error.strerror}") from error


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
            self._table(found, listing.columns)
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
            from rich.text import Text

            found = [field for field in fields if field.text]
            margin = max(len(field.title) for field in found) + len(_GAP)
            for title, text, style in found:
                head = self.styled(title, "bold") + " " * (margin - len(title))
                for line in map(plain, text.split("\n")):
                    for part in Text(line).wrap(self._console, max(self._console.width - margin, _LEAST)) or [""]:
                        self.line(f"{head}{self.styled(str(part), style)}".rstrip())
                        head = " " * margin

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
            from dkronpy.cli.documents import to_yaml

            self.write(to_yaml(data))

    def line(self, text: str = "", style: str = "") -> None:
        """A line of text; the style shows only on terminals."""
        self.write(f"{self.styled(text, style)}\n")

    def write(self, text: str) -> None:
        """A text as it is."""
        with _writing():
            sys.stdout.write(text)

    def write_bytes(self, data: bytes) -> None:
        """Bytes as they are."""
        self.flush()
        with _writing():
            sys.stdout.buffer.write(data)

    def flush(self) -> None:
        """Let what was printed be seen now."""
        with _writing():
            sys.stdout.flush()

    def styled(self, text: str, style: str) -> str:
        """The text in a style of rich's, where there are colours."""
        if not style or not text or self.form is not Format.PRETTY:
            return text
        if self._console.no_color or self._console.color_system is None:
            return text
        from rich.color import ColorSystem
        from rich.style import Style

        return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)

    @cached_property
    def _console(self) -> Console:
        """Rich's console: it finds the width, and whether there may be colours."""
        from rich.console import Console

        fitted = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
        return Console(file=sys.stdout, width=None if fitted else _UNLIMITED)

    def _table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
        """Print a header and the rows, with as many columns as fit."""
        cells = {column: [plain(column.text(row)) for row in rows] for column in columns}
        fitted = fit(
            {column: texts for column, texts in cells.items() if not column.rank or any(texts)}, self._console.width
        )
        lines = [_line([self._cell(column.title, width, column, "bold") for column, width in fitted.items()])]
        for row in zip(*(cells[column] for column in fitted), strict=True):
            found = _line(
                [
                    self._cell(text, width, column, column.style(text) if callable(column.style) else column.style)
                    for text, (column, width) in zip(row, fitted.items(), strict=True)
                ]
            )
            lines.append(found)
        self._show(lines)

    def _show(self, lines: Sequence[str]) -> None:
        """Print lines, through a pager where a terminal is too low for them."""
        text = "".join(f"{line}\n" for line in lines)
        if not (sys.stdout.isatty() and len(lines) >= self._console.height and page(text)):
            self.write(text)

    def _cell(self, text: str, width: int, column: Column, style: str) -> str:
        """A text as wide as its column."""
        from rich.cells import cell_len, set_cell_size

        length = cell_len(text)
        if length > width:
            return self.styled(f"{set_cell_size(text, width - 1)}…", style)
        space = " " * (width - length)
        return space + self.styled(text, style) if column.right else self.styled(text, style) + space


def _line(cells: Sequence[str]) -> str:
    return _GAP.join(cells).rstrip()


def page(text: str) -> bool:
    """Let people read a text by the pager that PAGER names (default: less; none if it is empty or `cat`). Whether there
    is one."""
    import shlex
    import shutil
    import subprocess

    command = shlex.split(os.environ.get("PAGER", "less"))
    if not command or command == ["cat"] or shutil.which(command[0]) is None:
        return False
    # Colours as they are, long lines cut, and no waiting where all fits.
    environment = {"LESS": "FRSX", **os.environ}
    with _writing():
        sys.stdout.flush()
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as pager:
        with suppress(BrokenPipeError):  # left before its end
            pager.communicate(text.encode(errors="backslashreplace"))
        while pager.poll() is None:
            try:
                pager.wait()
            except KeyboardInterrupt:  # the pager's own business
                continue
    return True


def fit(cells: Mapping[Column, Sequence[str]], width: int) -> dict[Column, int]:
    """The columns that are shown within `width`, and how wide each is: those of the highest rank are left out first,
    then the widest that may be shortened are."""
    from rich.cells import cell_len

    shown = {column: max(map(cell_len, (column.title, *texts))) for column, texts in cells.items()}
    while (excess := sum(shown.values()) + len(_GAP) * (len(shown) - 1) - width) > 0:
        worst = max(column.rank for column in shown)
        if worst:
            shown = {column: size for column, size in shown.items() if column.rank < worst}
            continue
        widest = max((column for column in shown if not column.whole), key=lambda column: shown[column], default=None)
        if widest is None or shown[widest] <= _LEAST:
            break
        shown[widest] = max(shown[widest] - excess, _LEAST)
    return shown
