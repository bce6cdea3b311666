"""Work on a database, written once for all of them: a generator that yields what the database is asked, is sent the
answers, and returns the result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")

Work = Generator[Any, Any, T]
"""What it yields is between the table that made it and the connection that answers it."""
Make = Callable[[], Work[T]]
"""Begins work anew: what failed half-way is begun again from its start."""


def drive(work: Work[T], answer: Callable[[Any], Any]) -> T:
    """The result of `work`, each of whose questions `answer` answers."""
    try:
        question = next(work)
        while True:
            question = work.send(answer(question))
    except StopIteration as end:
        return end.value


async def drive_async(work: Work[T], answer: Callable[[Any], Awaitable[Any]]) -> T:
    """As `drive`, with answers that are waited for."""
    try:
        question = next(work)
        while True:
            question = work.send(await answer(question))
    except StopIteration as end:
        return end.value
