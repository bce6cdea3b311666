"""When a Dkron would fire: its own reading of a schedule, to be set beside ours.

Facts of robfig/cron as the Dkrons use it: seconds come first; a missing sixth field means every day of the week; a wall
clock time that a day lacks is skipped, one that it has twice fires twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from itertools import islice, product
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from dkronpy.importing.dump import Dialect
from dkronpy.model.duration import SECOND, parse_duration
from dkronpy.model.job import Hash
from dkronpy.model.times import parse_rfc3339
from dkronpy.schedule import local_zone
from dkronpy.schedule.fields import FIELDS, Field
from dkronpy.schedule.hashing import resolve

NAMED: Final = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
    "@minutely": "0 * * * * *",
}
_HORIZON: Final = 5 * 366
"""Days that are searched."""
_ITEM: Final = re.compile(r"(\*|\?|\w+)(?:-(\w+))?(?:/(\d+))?", re.ASCII)


class Values(NamedTuple):
    """The values of a field; `star` is what its rule on days goes by."""

    numbers: frozenset[int]
    star: bool


def texts_of(schedule: str, dialect: Dialect, job: str) -> list[str]:
    """The six fields of a schedule that does not begin with @. Raises ValueError."""
    texts = schedule.split()
    if len(texts) == 5 and dialect is Dialect.V1:
        texts.append("*")
    if len(texts) != 6:
        raise ValueError(f"a Dkron {dialect} takes no schedule of {len(texts)} fields")
    return [*resolve(texts, job, Hash.INDEPENDENT)] if dialect is Dialect.V4 else texts


def values_of(text: str, field: Field, dialect: Dialect) -> Values:
    """What a field's text means. Raises ValueError."""
    numbers: set[int] = set()
    star = False
    high = 6 if field.high == 7 else field.high
    for item in text.upper().split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ValueError(f"{item!r} means nothing as {field.name}")
        first, last, step_text = match.groups()
        step = int(step_text or 1)
        if first in ("*", "?"):
            low, top = field.low, high
            star = star or dialect is Dialect.V1 or step == 1
        else:
            low = _number(first, field)
            top = _number(last, field) if last else high if step_text else low
        if not field.low <= low <= top <= high or not step:
            raise ValueError(f"{item!r} means nothing as {field.name}")
        numbers.update(range(low, top + 1, step))
    return Values(frozenset(numbers), star)


def fires(
    schedule: str, timezone: str, dialect: Dialect, *, job: str, after: int, count: int, next_fire: int | None = None
) -> list[int]:
    """The first fires (ns) after `after`, as a Dkron of that dialect would have them on this machine: where no time
    zone counts it takes the machine's. `next_fire` is the next one that it told of: it counts @every from there.

    Raises ValueError for a schedule that it does not take."""
    if dialect is Dialect.V4 and (prefix := re.match(r"(?:CRON_)?TZ=(\S+)\s+", schedule)):
        schedule, timezone = schedule[prefix.end() :], prefix[1]
    zone = _zone(timezone or local_zone())
    if not schedule.startswith("@"):
        texts = texts_of(schedule, dialect, job)
        return list(islice(_of_fields(texts, dialect, zone, after), count))
    name, _, rest = schedule.partition(" ")
    if name in NAMED:
        # Dkron 2 and later put the zone before the schedule, where only fields heed it.
        where = _zone(local_zone()) if dialect is Dialect.V4 else zone
        return list(islice(_of_fields(NAMED[name].split(), dialect, where, after), count))
    match name:
        case "@every":
            step = max(parse_duration(rest) // SECOND, 1) * SECOND
            first = after + step if next_fire is None else next_fire + max(0, (after - next_fire) // step + 1) * step
            return [first - first % SECOND + number * step for number in range(count)]
        case "@at" | "@after":
            at = parse_rfc3339(rest.partition("<")[0].strip())
            return [at] if at > after else []
        case "@manually":
            return []
        case _:
            raise ValueError(f"no Dkron knows {name}")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone {name[:64]!r}") from error


def _number(text: str, field: Field) -> int:
    names = field.names.split()
    if text in names:
        return names.index(text) + field.low
    return int(text)


def _of_fields(texts: list[str], dialect: Dialect, zone: ZoneInfo, after: int) -> Iterator[int]:
    seconds, minutes, hours, days, months, weekdays = (
        values_of(text, field, dialect) for text, field in zip(texts, FIELDS, strict=True)
    )
    clock = [sorted(field.numbers) for field in (hours, minutes, seconds)]
    both = days.star or weekdays.star
    start = datetime.fromtimestamp(after // SECOND, zone).date()
    for offset in range(_HORIZON):
        day = start + timedelta(offset)
        in_month, in_week = day.day in days.numbers, day.isoweekday() % 7 in weekdays.numbers
        if day.month in months.numbers and (in_month and in_week if both else in_month or in_week):
            yield from (time * SECOND for time in _on(day, product(*clock), zone) if time * SECOND > after)


def _on(day: date, clock: Iterable[tuple[int, ...]], zone: ZoneInfo) -> Iterator[int]:
    """When (seconds since the epoch, in order) a day's clock shows these times."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    if midnight.utcoffset() == (midnight + timedelta(1)).utcoffset():
        start = int(midnight.timestamp())
        yield from (start + hour * 3600 + minute * 60 + second for hour, minute, second in clock)
        return
    found: set[int] = set()
    for hour, minute, second in clock:
        for fold in (0, 1):
            shown = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=zone, fold=fold)
            time = int(shown.timestamp())
            if datetime.fromtimestamp(time, zone) == shown:
                found.add(time)
    yield from sorted(found)
