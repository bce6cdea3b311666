"""What is drawn from a job's name: the values of `H`, `R` and `~` in cron fields, and anything else that spreads jobs.

The same name draws the same value on every server and after every restart, for ever.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Sequence
from typing import Final

from dkronpy.model.job import Hash
from dkronpy.schedule.fields import FIELDS, WEEKDAY, Field, fault, value_of

_HASHED: Final = re.compile(r"([HR])(?:\((\w{1,4})-(\w{1,4})\))?(?:/(\d{1,4}))?", re.ASCII)


def draw(job: str, place: str, size: int) -> int:
    """A number in [0, ``size``), drawn from ``job`` for ``place`` (at most 16 characters), by BLAKE2b.

    Draws for different places know nothing of each other.
    """
    digest = hashlib.blake2b(_bytes(job), digest_size=8, person=place.encode()).digest()
    return int.from_bytes(digest, "big") % size


def crc(job: str) -> int:
    """The 32 bits that dsari draws everything from."""
    return zlib.crc32(_bytes(job))


def resolve(texts: Sequence[str], job: str, hash: Hash) -> tuple[str, ...]:
    """Put values for what depends on the job. ``texts`` are the six fields from seconds on.

    ``H`` and ``R`` are drawn as ``hash`` says. ``~`` is the sum of the name's code points, modulo 60, 60, 24, 28, 12
    and 7, as Dkron does it.
    Raises: ScheduleError.
    """
    total = sum(map(ord, job))
    resolved: list[str] = []
    for text, field in zip(texts, FIELDS, strict=True):
        items = [_resolved(item, field, job, hash) for item in text.upper().split(",")]
        resolved.append(",".join(items).replace("~", str(total % field.modulus + field.low)))
    return tuple(resolved)


def _resolved(item: str, field: Field, job: str, hash: Hash) -> str:
    """An item of a field's list, with the value of its ``H`` or ``R``; any other as it is."""
    match = _HASHED.fullmatch(item)
    if match is None:
        return item
    kind, first, last, step = match.groups()
    size = field.modulus if field is WEEKDAY else field.high - field.low + 1
    if step and not 1 <= int(step) <= size:
        raise fault(field, item, f"the step must be 1 … {size}")
    low, high = field.low, field.low + size - 1
    if first:
        low, high = value_of(field, first), value_of(field, last)
        if low > high:
            raise fault(field, item, f"the range runs backwards: write {kind}({last}-{first})")
    if kind == "H" and hash is Hash.DSARI:
        value = _dsari(field, crc(job) >> field.column, (low, high) if first else None, int(step or 0))
    else:
        span = high - low + 1 if first else field.modulus
        value = low + draw(job, f"{kind} {field.name}", min(span, int(step)) if step else span)
    return f"{value}-{max(value, high)}/{step}" if step else str(value)


def _dsari(field: Field, drawn: int, given: tuple[int, int] | None, step: int) -> int:
    """The value that dsari takes. All its fields are drawn from the same bits, and a step has one start too many; a
    weekday is one of eight."""
    if step:
        return drawn % (step - field.low + 1) + field.low + (given[0] if given else 0)
    low, high = given or (field.low, field.high)
    return drawn % (high - low + 1) + low


def _bytes(job: str) -> bytes:
    return job.encode(errors="surrogatepass")
