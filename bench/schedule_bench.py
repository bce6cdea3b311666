"""What schedules cost: the next fire beside croniter in the same run, then 100,000 jobs of mixed schedules.

Run: .venv/bin/python bench/schedule_bench.py
"""

from __future__ import annotations

import random
import resource
import time
from datetime import datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from croniter import croniter

from dkronpy.schedule import Schedule, parse

if TYPE_CHECKING:
    from collections.abc import Callable

NS: Final = 1_000_000_000
START: Final = 1_795_219_200  # 2026-11-21
END: Final = START + 80 * 365 * 86_400
JOBS: Final = 100_000
CASES: Final = (
    ("*/5 * * * *", "UTC"),
    ("30 2 * * *", "Europe/Berlin"),
    ("0 9 * * MON-FRI", "America/New_York"),
    ("0 0 13 * FRI", "UTC"),
    ("0 0 L * *", "Asia/Kathmandu"),
    ("0 0 29 2 *", "Europe/Berlin"),
    ("0 0 * 2 1#5", "UTC"),
    ("H H * * *", "Europe/Berlin"),
    ("H/15 * * * *", "UTC"),
)
RULES: Final = (
    "DTSTART:20100101T000000 RRULE:FREQ=MINUTELY;INTERVAL=5",
    "RRULE:FREQ=DAILY",
    "DTSTART:20200101T090000 RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "DTSTART:20100101T000000 RRULE:FREQ=SECONDLY;INTERVAL=7;BYHOUR=9;BYMONTH=2;BYMONTHDAY=29",
)


def each(call: Callable[[], object], least: float = 0.2) -> float:
    """Microseconds a call, over at least ``least`` seconds."""
    calls, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < least:
        for _ in range(10):
            call()
        calls += 10
    return spent / calls * 1e6


def steps(schedule: Schedule) -> Callable[[], object]:
    """A call that takes the next step through 80 years, again and again."""
    fire = START * NS

    def step() -> None:
        nonlocal fire
        following = schedule.next(fire)
        fire = following if following and following < END * NS else START * NS

    return step


def jobs() -> list[tuple[str, str]]:
    """Schedules and zones as a large crontab has them: many distinct, some shared."""
    chance = random.Random(0)
    zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]
    kinds: list[Callable[[], str]] = [
        lambda: f"{chance.randrange(60)} {chance.randrange(24)} * * *",
        lambda: f"*/{chance.choice([2, 5, 10, 15])} * * * *",
        lambda: f"{chance.randrange(60)} {chance.randrange(60)} * * * *",
        lambda: f"{chance.randrange(60)} {chance.randrange(24)} * * MON-FRI",
        lambda: f"0 {chance.randrange(24)} {chance.randrange(1, 29)} * *",
        lambda: f"@every {chance.randrange(1, 3600)}s",
        lambda: "H H * * *",
        lambda: "H/15 * * * *",
        lambda: "@H-weekly",
        lambda: f"RRULE:FREQ=WEEKLY;BYDAY={chance.choice(['MO', 'TU,TH', 'SA'])};BYHOUR={chance.randrange(24)}",
    ]
    return [(chance.choice(kinds)(), chance.choice(zones)) for _ in range(JOBS)]


def main() -> None:
    print(f"{'µs a call':<36}{'next':>8}{'croniter next':>16}{'croniter new + next':>22}")
    for text, zone in CASES:
        local = datetime.fromtimestamp(START, ZoneInfo(zone))
        theirs = croniter(text, local, hash_id="a")
        print(
            f"{text + ' ' + zone:<36}{each(steps(parse(text, zone, job='a'))):8.1f}{each(theirs.get_next):16.1f}"
            f"{each(lambda text=text, local=local: croniter(text, local, hash_id='a').get_next()):22.1f}"
        )
    print(f"\n{'µs a call':<92}{'parse':>8}{'next':>8}")
    for text in RULES:
        start = time.perf_counter()
        rule = parse(text, "Europe/Berlin", job="a")
        took = (time.perf_counter() - start) * 1e6
        print(f"{text:<92}{took:8.0f}{each(steps(rule)):8.1f}")
    mixed = jobs()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    schedules = [parse(text, zone, job=f"job-{number}") for number, (text, zone) in enumerate(mixed)]
    parsed = time.perf_counter()
    for schedule in schedules:
        schedule.next(START * NS)
    done = time.perf_counter()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"\n{JOBS:,} jobs ({len(set(mixed)):,} distinct): parse {parsed - start:.2f} s"
        f" + first next {done - parsed:.2f} s = {done - start:.2f} s, {grown:.0f} MiB"
    )


if __name__ == "__main__":
    main()
