"""A crontab → jobs, and when cron itself would fire.

Facts of Debian's cron, which is Vixie's, and of cronie (`CRON_TZ`, `RANDOM_DELAY`, `a~b`): a line is an environment
variable or five fields (or a name) and a command; `%` ends the command and begins its standard input.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from itertools import islice, product
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from dkronpy.importing.changes import Kind
from dkronpy.importing.commands import payload, program_name, shell_line
from dkronpy.importing.mapped import Draft, Mapped, Names, Reading
from dkronpy.model.duration import SECOND
from dkronpy.schedule import ScheduleError, local_zone
from dkronpy.schedule.fields import DAY, HOUR, MINUTE, MONTH, WEEKDAY, Field, expand

_FIELDS: Final = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)
_NAMED: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
    "@every_minute": "* * * * *",
}
_VARIABLE: Final = re.compile(r"""\s*("[^"]*"|'[^']*'|[^\s="']+)\s*=\s*(.*?)\s*""")
_ITEM: Final = re.compile(
    r"(\*|\d{1,4}|[a-z]{3})(?:(-|~)(\d{1,4}|[a-z]{3})?)?(?:/(\d{1,4}))?", re.IGNORECASE | re.ASCII
)
_MARKER: Final = "~"
_HORIZON: Final = 12 * 366
"""Days that are searched: 29 February can be eight years away."""
_MAIL: Final = frozenset(
    {"MAILTO", "MAILFROM", "CONTENT_TYPE", "CONTENT_TRANSFER_ENCODING", "CRON_CORRECT_MAIL_HEADER"}
)
_OWN: Final = frozenset({*_MAIL, "CRON_TZ", "RANDOM_DELAY", "SHELL", "LOGNAME", "USER"})
"""Variables by which a crontab speaks to cron, or that cron sets itself."""


class Options(NamedTuple):
    """How crontabs are read: `user` is whose they are where they have no column of users ("": unknown)."""

    user: str = ""
    prefix: str = ""


class Values(NamedTuple):
    """A field's values; `star` is whether its text begins with one, which cron's rules on days and clocks go by."""

    numbers: frozenset[int]
    star: bool


def read_crontabs(texts: Iterable[tuple[str, str, bool]], options: Options) -> list[Mapped]:
    """The jobs of crontabs, given as (name, text, whether it has a column of users). A line that can't be taken is a
    job with a problem."""
    names = Names(options.prefix)
    return [job for name, text, system in texts for job in _jobs(text, name, system, options.user, names)]


def _jobs(text: str, source: str, system: bool, user: str, names: Names) -> Iterator[Mapped]:
    env: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip(" \t\r")
        if not stripped or stripped.startswith("#"):
            continue
        if variable := _variable(stripped):
            env[variable[0]] = variable[1]
            continue
        draft = Draft("", "cron", f"{source}, line {number}")
        try:
            _job(stripped, dict(env), system, user, names, draft)
        except ValueError as error:
            draft.name = draft.name or names.new(f"line-{number}")
            draft.problem = f"{draft.place}: {error}"
        yield draft.done()


def _variable(line: str) -> tuple[str, str] | None:
    match = _VARIABLE.fullmatch(line)
    if match is None or line[0] in "*@0123456789":
        return None
    return _unquoted(match[1]), _unquoted(match[2])


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _job(line: str, env: dict[str, str], system: bool, user: str, names: Names, draft: Draft) -> None:
    line = line.removeprefix("-")  # SUSE: do not log it
    count = 1 if line.startswith("@") else 5
    parts = line.split(None, count + system)
    if len(parts) <= count + system:
        raise ValueError(
            f"a line has {'a name' if count == 1 else 'five fields'}{', a user' if system else ''} and a command"
        )
    draft.schedule = " ".join(parts[:count])
    owner = (parts[count] if system else user).partition(":")[0].partition("/")[0]
    command, stdin = _percent(parts[-1])
    draft.name = names.new(program_name(command))
    _schedule(draft, env)
    _run(draft, command, stdin, owner, env)


def _percent(text: str) -> tuple[str, str | None]:
    """The command, and what follows its first `%` as lines of standard input."""
    parts = re.split(r"(?<!\\)%", text)
    command, *lines = (part.replace(r"\%", "%") for part in parts)
    return command, "\n".join(lines) + "\n" if lines else None


def _schedule(draft: Draft, env: dict[str, str]) -> None:
    timezone = env.get("CRON_TZ", "")
    if timezone:
        _zone(timezone)
        draft.document["timezone"] = timezone
    elif draft.schedule != "@reboot":
        told = f"the zone of the crontab's machine counted; here, with no timezone, this server's does ({local_zone()})"
        draft.tell(Kind.ZONE, told)
    if draft.schedule == "@reboot":
        draft.document["schedule"] = "@manually"
        draft.tell(Kind.NO_TIMES, "@reboot ran when the machine started; nothing here does: it is @manually")
        return
    if draft.schedule.startswith("@") and draft.schedule not in _NAMED:
        raise ValueError(f"{draft.schedule} is not known; there are {', '.join((*_NAMED, '@reboot'))}")
    given = _NAMED.get(draft.schedule, draft.schedule).split()
    drawn = any(_MARKER in text for text in given)
    meant = [_values(text, place) for text, place in zip(given, _FIELDS, strict=True)]
    written = [_written(*both) for both in zip(given, _FIELDS, meant, strict=True)]
    draft.document["schedule"] = " ".join(written)
    for old, new, place in zip(given, written, _FIELDS, strict=True):
        if old != new and _MARKER not in old:
            draft.tell(Kind.FIELDS, f"{place.name} {old!r} is written {new!r}, which means the same")
    if drawn:
        draft.tell(
            Kind.CHANCE, f"{draft.schedule!r} was drawn anew whenever cron read it; here it is drawn from the name"
        )
    if delay := env.get("RANDOM_DELAY", "0"):
        if not delay.isascii() or not delay.isdigit():
            raise ValueError(f"RANDOM_DELAY: {delay!r} is no number of minutes")
        if int(delay):
            draft.document["spread"] = f"{int(delay)}m"
            draft.tell(Kind.CHANCE, f"RANDOM_DELAY={delay} was drawn when cron started; here it is drawn from the name")
    if not drawn and not int(delay or 0):
        draft.reading = _reading(meant, ZoneInfo(timezone or local_zone()))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"CRON_TZ: there is no time zone {name[:64]!r}") from error


def _run(draft: Draft, command: str, stdin: str | None, user: str, env: dict[str, str]) -> None:
    shell = env.get("SHELL", "/bin/sh")
    variables = {"PATH": "/usr/bin:/bin", "SHELL": shell, **{key: env[key] for key in env if key not in _OWN}}
    before: list[str] = []
    if home := env.get("HOME"):
        before.append(f"cd {shlex.quote(home)} || exit 1")
    elif user:
        before.append(f"cd ~{user} || exit 1" if re.fullmatch(r"[a-z_][a-z0-9_.-]*", user) else 'cd "$HOME" || exit 1')
    else:
        told = "cron ran it as the crontab's owner, at their home; here it runs as the agent in /: --user says who"
        draft.tell(Kind.MEANING, told)
    line = command if shell in ("/bin/sh", "sh") else f"exec {shlex.quote(shell)} -c {shlex.quote(command)}"
    config = {**shell_line(line, variables, before=before), "clean_env": "true"}
    if user:
        config["su"] = user
    if stdin is not None:
        config["payload"] = payload(stdin)
    draft.document |= {"executor": "shell", "executor_config": config}
    receiver = env.get("MAILTO", user or "its owner")
    if receiver:
        draft.tell(Kind.LEFT_OUT, f"cron mailed its output to {receiver}; here it is kept, and nobody is told of it")
    draft.document["metadata"] = {"imported_from": draft.place}


def _values(text: str, place: Field) -> Values:
    """What cron makes of a field. Raises ValueError."""
    high = place.high
    numbers: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if item == _MARKER:
            numbers.update(range(place.low, place.low + place.modulus))
            continue
        if match is None:
            raise ValueError(f"{place.name}: {item!r} is not a value, a range or *, with or without a step")
        first, sign, last, step = match.groups()
        if sign == _MARKER:
            numbers.update(range(_number(first, place), (_number(last, place) if last else high) + 1))
            continue
        if sign and not last:
            raise ValueError(f"{place.name}: {item!r} has no end")
        low = place.low if first == "*" else _number(first, place)
        top = high if first == "*" else _number(last, place) if last else high if step else low
        if place is WEEKDAY and last and top == 0 < low:
            top = 7  # cronie's fri-sun
        if not place.low <= low <= top <= high or step == "0":
            raise ValueError(
                f"{place.name}: {item!r} is out of {place.low}-{high}, or runs backwards, or has a step of 0"
            )
        numbers.update(range(low, top + 1, int(step or 1)))
    if place is WEEKDAY:
        numbers = {number % 7 for number in numbers}
    return Values(frozenset(numbers), text.startswith("*"))


def _number(text: str, place: Field) -> int:
    names = place.names.split()
    if text.upper() in names:
        return names.index(text.upper()) + place.low
    if not text.isdigit():
        raise ValueError(f"{place.name}: {text!r} is no number")
    return int(text)


def _written(text: str, place: Field, meant: Values) -> str:
    """The field as it means the same here."""
    if _MARKER in text:
        if "," in text or "/" in text:
            raise ValueError(f"{place.name}: {text!r} draws one of several values, which can't be written here")
        return "H" if text == _MARKER else f"H({min(meant.numbers)}-{max(meant.numbers)})"
    try:
        if expand(text, place).mask == sum(1 << number for number in meant.numbers):
            return text
    except ScheduleError:
        pass  # cron takes more than is taken here
    values = ",".join(map(str, sorted(meant.numbers)))
    # The star must stay: whether a day must match both of its fields hangs on it.
    return f"*/{place.high},{values}" if meant.star and place in (DAY, WEEKDAY) else values


def _reading(meant: list[Values], zone: ZoneInfo) -> Reading:
    return lambda after, count: list(islice(_fires(meant, zone, after), count))


def _fires(meant: list[Values], zone: ZoneInfo, after: int) -> Iterator[int]:
    minutes, hours, days, months, weekdays = meant
    both = days.star or weekdays.star
    wildcard = minutes.star or hours.star
    clock = [divmod(time, 60) for time in sorted(h * 60 + m for h, m in product(hours.numbers, minutes.numbers))]
    start = datetime.fromtimestamp(after // SECOND, zone).date()
    for offset in range(-1, _HORIZON):
        day = start + timedelta(offset)
        in_month, in_week = day.day in days.numbers, day.isoweekday() % 7 in weekdays.numbers
        if day.month in months.numbers and (in_month and in_week if both else in_month or in_week):
            times = _by_minutes(day, set(clock), zone) if wildcard else _by_clock(day, clock, zone)
            yield from (time * SECOND for time in times if time * SECOND > after)


def _by_minutes(day: date, clock: set[tuple[int, int]], zone: ZoneInfo) -> Iterator[int]:
    """Every minute of the day, in real time, at which the clock shows one of the times."""
    begin, end = (int(datetime(at.year, at.month, at.day, tzinfo=zone).timestamp()) for at in (day, day + timedelta(1)))
    for time in range(begin - begin % 60, end, 60):
        shown = datetime.fromtimestamp(time, zone)
        if shown.date() == day and (shown.hour, shown.minute) in clock:
            yield time


def _by_clock(day: date, clock: list[tuple[int, int]], zone: ZoneInfo) -> Iterator[int]:
    """Each time once: the first where the clock shows it twice, right after the gap where it does not show it."""
    found: set[int] = set()
    for hour, minute in clock:
        shown = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
        time = int(shown.timestamp())
        if datetime.fromtimestamp(time, zone).replace(tzinfo=None) != shown.replace(tzinfo=None):
            time = _after_gap(time, zone)
        found.add(time)
    yield from sorted(found)


def _after_gap(time: int, zone: ZoneInfo) -> int:
    """The moment at which the clocks jumped over a time that they did not show; `time` is where it would have been by
    the clock before the jump."""
    low, high = time - 4 * 3600, time
    before = datetime.fromtimestamp(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
