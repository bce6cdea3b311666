"""What is wrong with a configuration, and where."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """`place` is a file of the directory, and the key in it where that is known; "" for the directory."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


class ConfigRefused(Exception):
    """A configuration that can't be used, with all that is wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems
