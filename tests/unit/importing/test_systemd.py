"""Timers of systemd with their services as jobs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.importing.mapped import Mapped
from dkronpy.importing.systemd import read_timers
from dkronpy.importing.unit_file import UnitError, parse_unit, split_words, time_span
from dkronpy.model.duration import SECOND
from dkronpy.model.times import parse_rfc3339
from tests.support.readings import command_of, fires_here, kinds

NOW = parse_rfc3339("2026-11-26T16:35:12Z")
SERVICE = "[Service]\nType=oneshot\nExecStart=/bin/true\n"


def one(folder: Path, timer: str, service: str = SERVICE, name: str = "backup") -> Mapped:
    (folder / f"{name}.timer").write_text(timer)
    (folder / f"{name}.service").write_text(service)
    (job,) = read_timers([folder / f"{name}.timer"], "", NOW)
    return job


def ran(tmp_path: Path, service: str, name: str = "backup") -> Mapped:
    job = one(tmp_path, "[Timer]\nOnCalendar=daily\n", f"[Service]\n{service}", name)
    assert not job.problem
    return job


def test_a_timer_and_its_service(tmp_path: Path) -> None:
    job = one(
        tmp_path,
        """\
[Unit]
Description=Back up the database

[Timer]
OnCalendar=Mon..Fri 02:30 Europe/Berlin
# twice on Saturdays
OnCalendar=Sat *-*-* 02,14:30:00 Europe/Berlin
RandomizedDelaySec=15min
Persistent=true
AccuracySec=1us

[Install]
WantedBy=timers.target
""",
        """\
[Unit]
After=network-online.target

[Service]
Type=oneshot
User=postgres
Environment="PGHOST=db 1" LEVEL=9
WorkingDirectory=/var/lib/postgresql
ExecStart=/usr/bin/pg_dump \\
    --file "/backup/shop 1.sql" shop
MemoryMax=512M
TimeoutStartSec=1h 30min
ProtectSystem=strict
""",
    )
    document = job.document
    assert document["schedules"] == [
        {"schedule": "30 2 * * 1-5", "timezone": "Europe/Berlin"},
        {"schedule": "30 2,14 * * 6", "timezone": "Europe/Berlin"},
    ]
    assert document["displayname"] == "Back up the database"
    assert document["spread"] == "15m"
    assert document["catchup"] == {"window": "3650d", "policy": "latest"}
    assert document["concurrency"] == "forbid"
    config = command_of(job)
    assert config.argv[2] == (
        "cd /var/lib/postgresql || exit 200\nexec /usr/bin/pg_dump --file '/backup/shop 1.sql' shop"
    )
    assert config.env == {"PGHOST": "db 1", "LEVEL": "9"}
    assert config.clean_env
    assert (config.user, config.memory, config.timeout, config.grace) == (
        "postgres",
        512 << 20,
        5400 * SECOND,
        90 * SECOND,
    )
    told = [change.text for change in job.changes]
    assert "[Service] ProtectSystem=strict is not carried over" in told
    assert "[Unit] After=network-online.target is not carried over" in told
    assert kinds(job) == ["chance", "meaning", "left_out", "left_out"]
    assert job.reading is None  # it is drawn


def test_both_readings_agree(tmp_path: Path) -> None:
    job = one(tmp_path, "[Timer]\nOnCalendar=Fri *-*-13 12:00 UTC\nOnCalendar=*-*~1 18:00 UTC\n")
    assert job.reading is not None
    assert job.reading(NOW, 8) == fires_here(job, NOW, 8)


def test_drop_ins_and_a_list_that_begins_anew(tmp_path: Path) -> None:
    drop_in = tmp_path / "backup.timer.d"
    drop_in.mkdir()
    (drop_in / "override.conf").write_text("[Timer]\nOnCalendar=\nOnCalendar=*-*-* 05:00:00 UTC\n")
    job = one(tmp_path, "[Timer]\nOnCalendar=daily\n")
    assert (job.document["schedule"], job.document["timezone"]) == ("0 5 * * *", "UTC")


def test_timers_that_count(tmp_path: Path) -> None:
    job = one(tmp_path, "[Timer]\nOnBootSec=5min\nOnUnitActiveSec=1h\n")
    assert job.document["schedule"] == "@every 1h"
    assert kinds(job) == ["every", "left_out", "meaning"]
    only_boot = one(tmp_path, "[Timer]\nOnBootSec=5min\n")
    assert only_boot.document["schedule"] == "@manually"
    assert kinds(only_boot) == ["no_times", "meaning"]


def test_a_time_that_is_past(tmp_path: Path) -> None:
    for text in ("2020-01-01 00:00:00 UTC", "Fri 2020-*-1 UTC"):
        job = one(tmp_path, f"[Timer]\nOnCalendar={text}\n")
        assert not job.problem
        assert "past" in kinds(job)
        assert fires_here(job, NOW, 1) == []


def test_an_instance_of_a_template(tmp_path: Path) -> None:
    (tmp_path / "dump@.service").write_text("[Service]\nExecStart=/bin/dump %i --unit %n --path %I 100%%\n")
    (tmp_path / "dump@srv-www.timer").write_text("[Timer]\nOnCalendar=daily\n")
    (job,) = read_timers([tmp_path / "dump@srv-www.timer"], "", NOW)
    assert job.name == "dump-srv-www"
    assert command_of(job).argv == (
        *("/bin/dump", "srv-www", "--unit", "dump@srv-www.service", "--path", "srv/www", "100%"),
    )


@pytest.mark.parametrize(
    ("service", "line"),
    [
        ("ExecStart=/bin/a\nExecStart=/bin/b", "/bin/a || exit\n/bin/b"),
        ("ExecStartPre=-/bin/a\nExecStart=/bin/b", "/bin/a || true || exit\n/bin/b"),
        ("ExecStart=/bin/echo $A ${B}-$C 'd e' $$HOME", """/bin/echo $A "${B}"'-$C' 'd e' '$'HOME"""),
        ("ExecStart=:/bin/echo $A", "/bin/echo '$A'"),
        ("ExecStart=@/bin/sh sh-name -c x", "/bin/sh -c x"),
        ("WorkingDirectory=-/srv\nExecStart=/bin/a", "cd /srv || true\nexec /bin/a"),
        ("WorkingDirectory=~\nUser=bob\nExecStart=/bin/a", 'cd "$HOME" || exit 200\nexec /bin/a'),
    ],
)
def test_commands(tmp_path: Path, service: str, line: str) -> None:
    job = ran(tmp_path, service)
    assert job.document["executor_config"]["command"] == line
    command_of(job)


@pytest.mark.parametrize(
    ("timer", "service", "said"),
    [
        ("[Timer]\nOnCalendar=noon\n", SERVICE, "OnCalendar=noon: 'noon' is no"),
        ("[Timer]\nOnUnitActiveSec=soon\n", SERVICE, "'soon' is no span of time"),
        ("[Service]\nA=1\n", SERVICE, "has no [Timer]"),
        ("OnCalendar=daily\n", SERVICE, "line 1: 'OnCalendar=daily' is neither"),
        ("[Timer]\nOnCalendar=daily\nUnit=other.service\n", SERVICE, "there is no other.service beside it"),
        ("[Timer]\nOnCalendar=daily\n", "[Service]\nType=oneshot\n", "has no ExecStart"),
        ("[Timer]\nOnCalendar=daily\n", "[Service]\nExecStart=/bin/a %h\n", "%h depends on the machine"),
        ("[Timer]\nOnCalendar=daily\n", "[Service]\nExecStart=/bin/a 'x\n", "quotation without an end"),
        ("[Timer]\nOnCalendar=daily\n", "[Service]\nExecStart=/bin/a ; /bin/b\n", "several commands"),
        ("[Timer]\nOnCalendar=daily\n", "[Service]\nExecStart=-\n", "is no command"),
        ("[Timer]\nOnCalendar=daily\n", "[Service]\nEnvironment=1A=2\nExecStart=/bin/a\n", "'1A' must be letters"),
    ],
)
def test_what_is_refused(tmp_path: Path, timer: str, service: str, said: str) -> None:
    assert said in one(tmp_path, timer, service).problem


def test_what_is_no_timer(tmp_path: Path) -> None:
    (tmp_path / "a.service").write_text(SERVICE)
    assert "is no timer" in read_timers([tmp_path / "a.service"], "", NOW)[0].problem
    (tmp_path / "b.timer").write_bytes(b"[Timer]\nOnCalendar=\xff\n")
    assert "is not UTF-8" in read_timers([tmp_path / "b.timer"], "", NOW)[0].problem
    with pytest.raises(FileNotFoundError):
        read_timers([tmp_path / "c.timer"], "", NOW)


def test_privileges_before_commands_are_told(tmp_path: Path) -> None:
    assert "left_out" in kinds(ran(tmp_path, "ExecStart=+/bin/a"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1h 30min", 5400), ("1.5s", 1.5), ("2w", 14 * 86400), ("100ms", 0.1), ("1hour30m", 5400)],
)
def test_spans_of_time(text: str, seconds: float) -> None:
    assert time_span(text) == seconds * SECOND


@pytest.mark.parametrize("text", ["", "h", "1 fortnight", "-5s", "99999d", "1h,2h"])
def test_what_is_no_span_of_time(text: str) -> None:
    with pytest.raises(UnitError):
        time_span(text)


def test_words() -> None:
    assert split_words(r"""a "b c" 'd "e' f\sg \x41\101 pre"in"post ''""") == [
        *("a", "b c", 'd "e', "f g", "AA", "preinpost", "")
    ]
    with pytest.raises(UnitError, match="escape"):
        split_words(r"a\q")


@given(st.text(alphabet="[]Timer=\n\\#; ABunit.d\"'%$", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        unit: dict[str, dict[str, list[str]]] = {}
        parse_unit(text, "a.timer", unit)
        split_words(text)
        time_span(text)
    except UnitError:
        return
