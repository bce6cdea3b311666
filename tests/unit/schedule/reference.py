"""The rules of cron in the plainest words, second by second: what the engine is compared with."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

NS = 1_000_000_000
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_NAMES: dict[int, dict[str, int]] = {
    4: {name: number for number, name in enumerate(_MONTHS, 1)},
    5: {name: number for number, name in enumerate(_WEEKDAYS)},
}
_RANGES = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]


def _values(text: str, column: int) -> set[int]:
    low, high = _RANGES[column]
    names = _NAMES.get(column, {})
    values: set[int] = set()
    for item in text.upper().split(","):
        if item == "L" or "#" in item or (column == 5 and item.endswith("L")):
            continue
        body, _, step = item.partition("/")
        first, _, last = body.partition("-")
        if body in ("*", "?"):
            start, end = low, high
        else:
            start = names[first] if first in names else int(first)
            end = (names[last] if last in names else int(last)) if last else high if step else start
        values |= {value % 7 if column == 5 else value for value in range(start, end + 1, int(step or 1))}
    return values


class Reference:
    """A cron expression of valid text, with the answers worked out by trying every day, second by second."""

    def __init__(self, text: str, zone: str) -> None:
        words = text.split()
        self.words = ["0", *words] if len(words) == 5 else words
        self.sets = [_values(word, column) for column, word in enumerate(self.words)]
        self.zone = ZoneInfo(zone)
        self.real_time = self.words[1][0] == "*" or self.words[2][0] == "*"

    def holds_day(self, day: date) -> bool:
        length = calendar.monthrange(day.year, day.month)[1]
        in_month = day.day in self.sets[3] or ("L" in self.words[3].split(",") and day.day == length)
        weekday = day.isoweekday() % 7
        in_week = weekday in self.sets[5]
        for item in self.words[5].upper().split(","):
            if "#" in item:
                which, nth = item.split("#")
                in_week |= _NAMES[5].get(which, which) in (weekday, str(weekday)) and (day.day - 1) // 7 + 1 == int(nth)
            elif item.endswith("L"):
                in_week |= int(item[:-1]) % 7 == weekday and day.day + 7 > length
        star = self.words[3][0] in "*?" or self.words[5][0] in "*?"
        return day.month in self.sets[4] and ((in_month and in_week) if star else (in_month or in_week))

    def matches(self, local: datetime) -> bool:
        seconds, minutes, hours = self.sets[:3]
        return (
            local.hour in hours and local.minute in minutes and local.second in seconds and self.holds_day(local.date())
        )

    def fires(self, after: int, until: int) -> list[int]:
        """All fires in (after, until] (ns)."""
        start, end = after // NS, until // NS
        step = 60 if self.words[0] == "0" else 1
        if self.real_time:
            seconds = range((start // step + 1) * step, end + 1, step)
            return [at * NS for at in seconds if self.matches(datetime.fromtimestamp(at, self.zone))]
        found: set[int] = set()
        local = datetime.fromtimestamp(start, UTC).replace(tzinfo=None, second=0) - timedelta(hours=40)
        last = datetime.fromtimestamp(end, UTC).replace(tzinfo=None) + timedelta(hours=40)
        while local <= last:
            if local.hour not in self.sets[2]:
                local = local.replace(minute=0, second=0) + timedelta(hours=1)
            elif local.minute not in self.sets[1]:
                local = local.replace(second=0) + timedelta(minutes=1)
            else:
                if self.matches(local):
                    found.add(self._instant(local))
                local += timedelta(seconds=step)
        return sorted(at * NS for at in found if start < at <= end)

    def _instant(self, local: datetime) -> int:
        """The first instant at which the local clock shows ``local``, or has just leapt over it."""
        at = int(local.replace(tzinfo=self.zone).timestamp())
        if datetime.fromtimestamp(at, self.zone).replace(tzinfo=None) == local:
            return at
        # In a gap, fold=0 is read with the offset before it, which gives an instant soon after the gap.
        low, high = at - 30 * 3600, at
        before = datetime.fromtimestamp(low, self.zone).utcoffset()
        while high - low > 1:
            middle = (low + high) // 2
            same = datetime.fromtimestamp(middle, self.zone).utcoffset() == before
            low, high = (middle, high) if same else (low, middle)
        return high
