"""systemd's timers with their services → jobs.

Source: systemd.timer(5), systemd.service(5), systemd.exec(5). What a job has no counterpart for is told,
each setting by its name.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from dkronpy.importing.changes import Kind
from dkronpy.importing.commands import argument_list, shell_line
from dkronpy.importing.mapped import Draft, Mapped, Names, Reading
from dkronpy.importing.oncalendar import Calendar, CalendarError, parse_calendar
from dkronpy.importing.unit_file import Unit, UnitError, last, read_unit, split_words, time_span
from dkronpy.model.duration import SECOND, format_duration
from dkronpy.schedule import local_zone

_MISSED: Final = "3650d"
"""`Persistent=`: however long ago the time was that was missed, the newest runs once."""
_HARMLESS: Final = frozenset({"Description", "Documentation", "SourcePath"})
"""Settings that only tell something to people."""
_TIMER: Final = frozenset(
    {
        *("OnCalendar", "OnActiveSec", "OnBootSec", "OnStartupSec", "OnUnitActiveSec", "OnUnitInactiveSec", "Unit"),
        *("RandomizedDelaySec", "FixedRandomDelay", "RandomizedOffsetSec", "Persistent", "AccuracySec"),
    }
)
_SERVICE: Final = frozenset(
    {
        *("Type", "ExecStart", "ExecStartPre", "Environment", "User", "Group", "WorkingDirectory", "TimeoutStartSec"),
        *("TimeoutSec", "RuntimeMaxSec", "MemoryMax", "TimeoutStopSec"),
    }
)
_TRUE: Final = frozenset({"1", "yes", "y", "true", "t", "on"})
_VARIABLE: Final = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_STARTS: Final = ("OnActiveSec", "OnBootSec", "OnStartupSec")
_REPEATS: Final = ("OnUnitActiveSec", "OnUnitInactiveSec")
_WHEN: Final = ("OnCalendar", *_STARTS, *_REPEATS)


def read_timers(paths: Iterable[Path], prefix: str, now: int) -> list[Mapped]:
    """The job of each timer; its service lies beside it, or in a place where systemd keeps units.

    Raises OSError where a timer can't be read."""
    names = Names(prefix)
    found: list[Mapped] = []
    for path in paths:
        draft = Draft(names.new(path.stem), "systemd", str(path))
        try:
            if path.suffix != ".timer":
                raise UnitError(f"{path} is no timer: name files that end with .timer")
            timer = read_unit(path)
            _job(draft, path, timer, now)
        except ValueError as error:
            draft.problem = str(error)
        found.append(draft.done())
    return found


def _job(draft: Draft, path: Path, timer: Unit, now: int) -> None:
    section = timer.get("Timer", {})
    if not section:
        raise UnitError(f"{path} has no [Timer]")
    _when(draft, section, now)
    service_name = last(section, "Unit", f"{path.stem}.service")
    place = next((place for place in _places(path, service_name) if place.exists()), None)
    if place is None:
        raise UnitError(f"{path}: there is no {service_name} beside it, so what it starts is not known")
    service = read_unit(place)
    expand = _Specifiers(service_name)
    _what(draft, service.get("Service", {}), expand)
    draft.document["concurrency"] = "forbid"
    description = last(timer.get("Unit", {}), "Description") or last(service.get("Unit", {}), "Description")
    if description:
        draft.document["displayname"] = description
    draft.document["metadata"] = {"imported_from": str(path)}
    _left_out(draft, section, _TIMER, "Timer")
    _left_out(draft, service.get("Service", {}), _SERVICE, "Service")
    for unit in (timer, service):
        _left_out(draft, unit.get("Unit", {}), _HARMLESS, "Unit")


def _places(timer: Path, service: str) -> Iterable[Path]:
    """Where a service may be: beside its timer; an instance is made from its template."""
    names = [service]
    if match := re.fullmatch(r"([^@]+@)[^@]+(\.service)", service):
        names.append(match[1] + match[2])
    folders = (timer.parent, Path("/etc/systemd/system"), Path("/usr/lib/systemd/system"))
    return (folder / name for folder in folders for name in names)


def _when(draft: Draft, timer: Mapping[str, Sequence[str]], now: int) -> None:
    draft.schedule = "; ".join(f"{key}={text}" for key in _WHEN for text in timer.get(key, ()))
    calendars = [_calendar(text) for text in timer.get("OnCalendar", ())]
    entries = [(text, calendar.zone) for calendar in calendars for text in calendar.schedules(now)]
    if calendars and not any(calendar.fires(now, 1) for calendar in calendars):
        draft.tell(Kind.PAST, "the times of its OnCalendar are past: they fire no more, as in systemd")
    elif not all(calendar.zone for calendar in calendars):
        told = f"the machine's time zone counted; here, with no timezone, this server's does ({local_zone()})"
        draft.tell(Kind.ZONE, told)
    repeats = [(key, text) for key in _REPEATS for text in timer.get(key, ())]
    entries += [(_every(draft, key, text), "") for key, text in repeats]
    starts = [key for key in _STARTS if timer.get(key)]
    if starts:
        told = f"{', '.join(starts)}: nothing here starts a job when a machine, systemd or a timer does"
        draft.tell(Kind.LEFT_OUT if entries else Kind.NO_TIMES, told if entries else f"{told}: it is @manually")
    if len(entries) > 1:
        draft.document["schedules"] = [{"schedule": text, "timezone": zone} for text, zone in entries]
    else:
        text, zone = entries[0] if entries else ("@manually", "")
        draft.document |= {"schedule": text, "timezone": zone}
    delayed = _delays(draft, timer)
    if _is_true(last(timer, "Persistent")):
        draft.document["catchup"] = {"window": _MISSED, "policy": "latest"}
    if not repeats and not delayed:
        draft.reading = _reading(calendars)


def _reading(calendars: Sequence[Calendar]) -> Reading:
    return lambda after, count: sorted({time for one in calendars for time in one.fires(after, count)})[:count]


def _calendar(text: str) -> Calendar:
    try:
        return parse_calendar(text)
    except CalendarError as error:
        raise CalendarError(f"OnCalendar={text}: {error}") from error


def _every(draft: Draft, key: str, text: str) -> str:
    """A timer that counts from its unit, as one that counts from the epoch."""
    span = max(time_span(text) // SECOND, 1) * SECOND
    since = "the last start" if key == "OnUnitActiveSec" else "the end of the last run"
    draft.tell(Kind.EVERY, f"{key}={text} counted from {since}; here it counts from 1970, whatever runs or restarts")
    return f"@every {format_duration(span)}"


def _delays(draft: Draft, timer: Mapping[str, Sequence[str]]) -> bool:
    """`spread`; returns whether there is one."""
    keys = [key for key in ("RandomizedDelaySec", "RandomizedOffsetSec") if time_span(last(timer, key, "0"))]
    span = sum(time_span(last(timer, key)) // SECOND * SECOND for key in keys)
    if span:
        draft.document["spread"] = format_duration(span)
        fixed = keys == ["RandomizedOffsetSec"] or _is_true(last(timer, "FixedRandomDelay"))
        how = "was drawn from the timer and the machine" if fixed else "was drawn anew for each fire"
        draft.tell(Kind.CHANCE, f"{' and '.join(keys)} {how}; here it is drawn from the name, once for all")
    if timer.get("AccuracySec"):
        told = (
            f"AccuracySec={last(timer, 'AccuracySec')} let systemd start it later to save power; here it starts at once"
        )
        draft.tell(Kind.MEANING, told)
    return bool(span)


def _is_true(text: str) -> bool:
    return text.lower() in _TRUE


class _Specifiers:
    """Replaces `%n` and its like in a unit's settings."""

    def __init__(self, unit: str) -> None:
        stem = unit.rpartition(".")[0]
        prefix, at, instance = stem.partition("@")
        unescaped = re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), instance.replace("-", "/"))
        self._known = {"%": "%", "n": unit, "N": stem, "p": prefix, "i": instance, "I": unescaped if at else ""}

    def __call__(self, text: str, key: str) -> str:
        def known(match: re.Match[str]) -> str:
            if match[1] not in self._known:
                raise UnitError(f"{key}: %{match[1]} depends on the machine and can't be carried over: write its value")
            return self._known[match[1]]

        return re.sub(r"%(.?)", known, text)


def _what(draft: Draft, service: Mapping[str, Sequence[str]], expand: _Specifiers) -> None:
    env: dict[str, str] = {}
    for text in service.get("Environment", ()):
        for word in split_words(text):
            name, _, value = expand(word, "Environment").partition("=")
            env[name] = value
    user = expand(last(service, "User"), "User")
    before: list[str] = []
    if folder := expand(last(service, "WorkingDirectory"), "WorkingDirectory"):
        optional, path = folder.startswith("-"), folder.removeprefix("-")
        place = '"$HOME"' if path == "~" else shlex.quote(path)
        before.append(f"cd {place} || {'true' if optional else 'exit 200'}")
    commands = [_Command(expand(text, key)) for key in ("ExecStartPre", "ExecStart") for text in service.get(key, ())]
    if not service.get("ExecStart"):
        raise UnitError("its service has no ExecStart: there is nothing to run")
    for marks in {command.privileged for command in commands if command.privileged}:
        draft.tell(
            Kind.LEFT_OUT, f"'{marks}' before a command set aside some of the unit's settings; here all hold for all"
        )
    if len(commands) == 1 and commands[0].plain:
        config = argument_list(commands[0].words, env, before=before)
    else:
        *first, final = [command.line for command in commands]
        config = shell_line(final, env, before=[*before, *(f"{line} || exit" for line in first)])
    if user:
        group = expand(last(service, "Group"), "Group")
        config["su"] = f"{user}:{group}" if group else user
    else:
        group = f", with the group {last(service, 'Group')}" if service.get("Group") else ""
        draft.tell(Kind.MEANING, f"without User= it ran as systemd does, mostly root{group}; here it runs as the agent")
    config["clean_env"] = "true"
    _limits(draft, service, config)
    draft.document |= {"executor": "shell", "executor_config": config}


def _limits(draft: Draft, service: Mapping[str, Sequence[str]], config: dict[str, Any]) -> None:
    kind = last(service, "Type", "simple")
    if kind not in ("simple", "exec", "oneshot", "idle"):
        draft.tell(Kind.MEANING, f"Type={kind}: the run ends here when the command does, whatever it leaves behind")
    start = last(service, "TimeoutStartSec") or last(service, "TimeoutSec")
    limits = [last(service, "RuntimeMaxSec"), start if kind == "oneshot" else ""]
    spans = [time_span(text) for text in limits if text and text not in ("infinity", "0")]
    if spans:
        config["timeout"] = format_duration(min(spans))
    stop = last(service, "TimeoutStopSec") or last(service, "TimeoutSec")
    config["kill_grace"] = format_duration(time_span(stop)) if stop not in ("", "infinity") else "1m30s"
    if memory := last(service, "MemoryMax"):
        if match := re.fullmatch(r"(\d+)([KMGT]?)", memory):
            config["mem_limit"] = f"{match[1]}{match[2]}B"
        elif memory != "infinity":
            draft.tell(Kind.LEFT_OUT, f"MemoryMax={memory}: a limit is a number of bytes here")


class _Command:
    """A command line of a unit: its words, and how a shell says the same."""

    def __init__(self, text: str) -> None:
        marks = re.match(r"[-@:+!|]*", text)
        prefix = marks[0] if marks else ""
        self.words = split_words(text[len(prefix) :])
        self.privileged = "".join(mark for mark in prefix if mark in "+!|")
        if "@" in prefix and len(self.words) > 1:
            del self.words[1]  # the name by which the program is called
        if not self.words:
            raise UnitError(f"{text!r} is no command")
        if ";" in self.words:
            raise UnitError(f"{text!r} holds several commands: write each on an ExecStart line of its own")
        literal, ignored = ":" in prefix, "-" in prefix
        self.plain = not ignored and (literal or not any("$" in word for word in self.words))
        """Whether no shell is needed."""
        shown = shlex.join(self.words) if literal else " ".join(map(_shown, self.words))
        self.line = f"{shown} || true" if ignored else shown


def _shown(word: str) -> str:
    """A word in which systemd puts in variables, as a shell does the same."""
    if match := re.fullmatch(r"\$([A-Za-z_][A-Za-z0-9_]*)", word):
        return f"${match[1]}"  # several words, as in a shell
    parts: list[str] = []
    position = 0
    for match in _VARIABLE.finditer(word):
        parts += [shlex.quote(word[position : match.start()]) if match.start() > position else ""]
        parts += [f'"${{{match[1]}}}"' if match[1] else "'$'"]
        position = match.end()
    parts += [shlex.quote(word[position:])] if position < len(word) else []
    return "".join(parts) or "''"


def _left_out(draft: Draft, section: Mapping[str, Sequence[str]], known: frozenset[str], name: str) -> None:
    """Tell of the settings that nothing here does."""
    for key, values in section.items():
        if key not in known and key not in _HARMLESS and values:
            draft.tell(Kind.LEFT_OUT, f"[{name}] {key}={' '.join(values)[:80]} is not carried over")
