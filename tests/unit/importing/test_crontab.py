"""Crontabs as jobs, and cron's own fires, against cronsim and against what is made of them here."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from dkronpy.importing.crontab import Options, read_crontabs
from dkronpy.importing.mapped import Mapped
from dkronpy.model.duration import SECOND
from dkronpy.model.times import parse_rfc3339
from dkronpy.schedule import local_zone
from tests.support.readings import command_of, fires_here, kinds

NOW = parse_rfc3339("2026-11-26T16:35:12Z")


def read(text: str, *, system: bool = False, user: str = "") -> list[Mapped]:
    return read_crontabs([("crontab", text, system)], Options(user))


def one(text: str, *, system: bool = False, user: str = "") -> Mapped:
    (job,) = read(text, system=system, user=user)
    assert not job.problem
    return job


SYSTEM = """\
# /etc/crontab: system-wide crontab
SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin

17 *\t* * *\troot    cd / && run-parts --report /etc/cron.hourly
25 6\t* * *\troot\ttest -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }
"""


def test_debians_own() -> None:
    hourly, daily = read(SYSTEM, system=True)
    assert (hourly.name, hourly.place, hourly.schedule) == ("cd", "crontab, line 5", "17 * * * *")
    config = command_of(daily)
    assert config.argv[:2] == ("/bin/sh", "-c")
    assert config.argv[2] == (
        "cd ~root || exit 1\ntest -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }"
    )
    assert (config.user, config.clean_env) == ("root", True)
    assert config.env == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin",
        "SHELL": "/bin/sh",
    }
    assert daily.reading is not None
    assert daily.reading(NOW, 3) == fires_here(with_zone(daily, local_zone()), NOW, 3)


def with_zone(job: Mapped, zone: str) -> Mapped:
    return replace(job, document={**job.document, "timezone": zone})


def test_variables_hold_from_their_line_on() -> None:
    first, second = read('A=1\n* * * * * one\nA = "two words"\nMAILTO=""\n* * * * * two\n')
    assert command_of(first).env["A"] == "1"
    assert command_of(second).env["A"] == "two words"
    assert "left_out" in kinds(first)  # its mail
    assert "left_out" not in kinds(second)


def test_a_value_that_looks_like_two_variables() -> None:
    job = one("OPTIONS=a,B=c\n* * * * * run\n", user="alice")
    config = command_of(job)
    assert config.argv[2] == "cd ~alice || exit 1\nrun"
    assert config.env["OPTIONS"] == "a,B=c"


def test_percent_signs() -> None:
    job = one(r"0 9 * * * mail -s 'up \% is' ops%Dear all,%100\%.")
    config = command_of(job)
    assert config.argv[2].endswith("mail -s 'up % is' ops")
    assert config.payload == b"Dear all,\n100%.\n"
    assert command_of(one("0 9 * * * date")).payload is None


def test_another_shell_and_home() -> None:
    config = command_of(one("SHELL=/bin/bash\nHOME=/srv/a b\n@daily echo ${X:-'it'}"))
    assert config.argv[2] == "cd '/srv/a b' || exit 1\nexec /bin/bash -c 'echo ${X:-'\"'\"'it'\"'\"'}'"


def test_whose_it_is_must_be_said() -> None:
    assert "meaning" in kinds(one("@daily run"))
    job = one("@daily run", user="alice")
    assert command_of(job).user == "alice"
    assert "meaning" not in kinds(job)


def test_reboot_is_told() -> None:
    job = one("@reboot /opt/warm-up.sh")
    assert (job.name, job.document["schedule"]) == ("warm-up", "@manually")
    assert "no_times" in kinds(job)
    assert job.reading is None


def test_zone_delay_and_draws() -> None:
    job = one("CRON_TZ=Asia/Tokyo\nRANDOM_DELAY=15\n0 6 * * * run")
    assert (job.document["timezone"], job.document["spread"]) == ("Asia/Tokyo", "15m")
    assert "zone" not in kinds(job)
    assert "chance" in kinds(job)
    drawn = one("0~29 ~ * * * run")
    assert drawn.document["schedule"] == "H(0-29) H * * *"
    assert "chance" in kinds(drawn)


def test_names_are_of_the_programs_and_differ() -> None:
    text = (
        "* * * * * /opt/backup.sh --all\n* * * * * A=1 nice /opt/backup.sh\n* * * * * /opt/backup.sh\n* * * * * ((x))\n"
    )
    assert [job.name for job in read(text)] == ["backup", "nice", "backup-2", "x"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("61 * * * * run", "minute: '61' is out of 0-59"),
        ("5-1 * * * * run", "minute: '5-1' is out of"),
        ("*/0 * * * * run", "or has a step of 0"),
        ("* * * run", "five fields and a command"),
        ("* * * * *", "five fields and a command"),
        ("@often run", "@often is not known"),
        ("* * * FEBRUARY * run", "month: 'FEBRUARY' is not a value"),
        ("1,~ * * * * run", "draws one of several values"),
        ("* * * * 1~x run", "is not a value"),
        ("* 1- * * * run", "'1-' has no end"),
        ("whatever", "five fields and a command"),
    ],
)
def test_lines_that_are_refused(line: str, said: str) -> None:
    good, bad = read(f"\n0 0 * * * good\n{line}\n")
    assert not good.problem
    assert bad.problem.startswith("crontab, line 3: ")
    assert said in bad.problem


@pytest.mark.parametrize(
    ("variable", "said"), [("CRON_TZ=Mars/Base", "no time zone 'Mars/Base'"), ("RANDOM_DELAY=x", "'x' is no number")]
)
def test_variables_that_are_refused(variable: str, said: str) -> None:
    assert said in read(f"{variable}\n* * * * * run\n")[0].problem


FIELDS = [(0, 59), (0, 23), (1, 28), (1, 12), (0, 7)]


@st.composite
def lines(draw: st.DrawFn, *, any_step: bool) -> str:
    """The five fields of a line; steps beyond a field's range, which only cron takes, on request."""
    fields: list[str] = []
    for low, high in FIELDS:
        items: list[str] = []
        for _ in range(draw(st.integers(1, 2))):
            step = draw(st.integers(1, 200 if any_step else high - low))
            first = draw(st.integers(low, high - 1))
            last = draw(st.integers(first + 1, high))  # cronsim takes 7-7/1 for 7/1
            items.append(
                draw(st.sampled_from(["*", "*", f"*/{step}", f"{first}", f"{first}-{last}", f"{first}-{last}/{step}"]))
            )
        fields.append(",".join(items))
    return " ".join(fields)


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
TIMES = st.integers(1735689600, 1830297600).map(lambda time: datetime.fromtimestamp(time, UTC))


@settings(max_examples=settings().max_examples // 2)
@given(lines(any_step=False), ZONES, TIMES)
def test_its_reading_is_cronsims(line: str, zone: str, after: datetime) -> None:
    job = one(f"CRON_TZ={zone}\n{line} run")
    start = after
    theirs = [
        int(fire.timestamp()) * SECOND
        for fire in islice(CronSim(line, start.astimezone(ZoneInfo(zone))), 4)
        if (fire - start).days < 4000
    ]
    assert job.reading is not None
    assert job.reading(int(start.timestamp()) * SECOND, len(theirs)) == theirs


@given(lines(any_step=True), ZONES, TIMES)
@settings(max_examples=settings().max_examples // 2)
def test_any_line_fires_here_as_there(line: str, zone: str, after: datetime) -> None:
    job = one(f"CRON_TZ={zone}\n{line} run")
    start = int(after.timestamp()) * SECOND
    assert job.reading is not None
    theirs = [time for time in job.reading(start, 4) if time < start + 4000 * 86400 * SECOND]
    assert fires_here(job, start, len(theirs)) == theirs


@given(st.text(alphabet="*/-~,0123456789 @=%#\\'\"\n\tabMONreboot\x00é", max_size=60), st.booleans())
def test_any_text_is_read(text: str, system: bool) -> None:
    for job in read_crontabs([("crontab", text, system)], Options()):
        assert job.problem.startswith("crontab, line ") if job.problem else job.document["schedule"]
