"""A merged configuration → what it says, checked: dsari's keys, and `dkron` for what only we have."""

from __future__ import annotations

import difflib
import math
import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from dkronpy.dsari.problems import ConfigRefused, Problem
from dkronpy.dsari.reading import Merged

_NAME: Final = re.compile(r"[- A-Za-z0-9_+.:@]{1,64}")
GRACE: Final = 60.0
"""Seconds from TERM to KILL where a job does not say."""
MAX_SECONDS: Final = 3650 * 86400
MAX_BITS: Final = 1000
"""Of a whole number that is written into an environment or a command."""
JOB_KEYS: Final = frozenset(
    {
        *("command", "command_append_run", "schedule", "schedule_timezone", "environment", "max_execution"),
        *("max_execution_grace", "concurrency_groups", "concurrent_runs", "job_group", "jenkins_environment"),
        *("render_reports", "dkron"),
    }
)
TOP_KEYS: Final = frozenset(
    {
        *("config_d", "environment", "shutdown_kill_runs", "jobs", "job_groups", "concurrency_groups", "dkron"),
        *(_UNUSED := ("data_dir", "database", "template_dir", "report_html_gz", "shutdown_kill_grace")),
        *("report_run_output_start", "report_run_output_end"),
    }
)


@dataclass(frozen=True)
class DsariJob:
    """A job as dsari knows it. `command` is quoted for a shell's rules; times in seconds, 0 is no limit."""

    name: str
    place: str
    command: str = ""
    append_run: bool = False
    schedule: str = ""
    timezone: str = ""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    max_execution: float = 0
    grace: float = GRACE
    groups: tuple[str, ...] = ()
    concurrent: bool = False
    job_group: str = ""
    jenkins: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields of a job here, by the names that the API has for them."""


@dataclass(frozen=True)
class DsariConfig:
    """`groups` are concurrency groups with their places."""

    jobs: tuple[DsariJob, ...]
    groups: Mapping[str, int]
    environment: Mapping[str, str]
    kill_runs: bool
    extra: Mapping[str, Any]
    warnings: tuple[Problem, ...]


def parse(merged: Merged) -> DsariConfig:
    """What a configuration says. Raises ConfigRefused with all that is wrong."""
    reader = _Reader(merged)
    config = reader.config()
    if reader.problems:
        raise ConfigRefused(reader.problems)
    return config


class _Reader:
    """Collects problems and warnings on the way."""

    def __init__(self, merged: Merged) -> None:
        self._merged = merged
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def config(self) -> DsariConfig:
        top = _Section(self, self._merged.values, "", "")
        top.known(TOP_KEYS)
        for key in _UNUSED:
            if key in self._merged.values:
                self.warnings.append(Problem(key, "means nothing here"))
        jobs = self._jobs(top)
        return DsariConfig(
            jobs=tuple(jobs[name] for name in sorted(jobs)),
            groups=self._groups(top),
            environment=top.environment("environment"),
            kill_runs=top.flag("shutdown_kill_runs"),
            extra=top.object("dkron"),
            warnings=tuple(self.warnings),
        )

    def _jobs(self, top: _Section) -> dict[str, DsariJob]:
        found: dict[str, DsariJob] = {}
        for name, section in self._sections(top, "jobs").items():
            section.known(JOB_KEYS)
            found[name] = _job(name, section, section.text("job_group"))
        for group, section in self._sections(top, "job_groups").items():
            section.known(JOB_KEYS | {"job_names"})
            for name in section.texts("job_names"):
                if not _NAME.fullmatch(name) or name in (".", ".."):
                    section.complain("job_names", f"{name[:80]!r} is no name of a job")
                    continue
                if name in found:
                    section.warn("job_names", f"replaces the job {name!r}, which {found[name].place} defines")
                found[name] = _job(name, section, group)
        return found

    def _groups(self, top: _Section) -> dict[str, int]:
        found: dict[str, int] = {}
        for name, section in self._sections(top, "concurrency_groups").items():
            section.known({"max"})
            places = section.value("max", 1)
            if type(places) is not int or not 1 <= places <= 100_000:
                section.complain("max", "must be a whole number from 1 to 100000")
            else:
                found[name] = places
        return found

    def _sections(self, top: _Section, key: str) -> dict[str, _Section]:
        found: dict[str, _Section] = {}
        for name, value in top.object(key).items():
            place = self._merged.places.get((key, str(name)), "")
            if not isinstance(name, str) or not _NAME.fullmatch(name) or name in (".", ".."):
                text = f"{str(name)[:80]!r} is no name: use 1 to 64 letters, digits, blanks and . _ - + : @"
                self.problems.append(Problem(f"{place}: {key}", text))
            elif not isinstance(value, dict | None):
                self.problems.append(Problem(f"{place}: {key}.{name}", "must be an object"))
            else:
                found[name] = _Section(self, cast("dict[str, Any]", value or {}), place, f"{key}.{name}")
        return found


class _Section:
    """An object of the configuration: its values by key, checked as they are asked for."""

    def __init__(self, reader: _Reader, values: Mapping[str, Any], file: str, path: str) -> None:
        self._reader = reader
        self._values = values
        self.file = file
        self.path = path

    def known(self, keys: Collection[str]) -> None:
        """Warn of keys that nobody reads."""
        for key in self._values:
            if key not in keys:
                close = difflib.get_close_matches(str(key)[:80], keys, n=1)
                self.warn(str(key)[:80], f"is not known{f': did you mean {close[0]}?' if close else ''}")

    def warn(self, key: str, text: str) -> None:
        self._reader.warnings.append(self._problem(key, text))

    def complain(self, key: str, text: str) -> None:
        self._reader.problems.append(self._problem(key, text))

    def value(self, key: str, default: object) -> object:
        """`default` where it is absent or null."""
        value = self._values.get(key)
        return default if value is None else value

    def flag(self, key: str) -> bool:
        value = self.value(key, False)
        if not isinstance(value, bool):
            self.complain(key, "must be true or false")
        return value is True

    def text(self, key: str) -> str:
        value = self.value(key, "")
        if not isinstance(value, str):
            self.complain(key, "must be a text")
            return ""
        return value

    def seconds(self, key: str, default: float) -> float:
        value = self.value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_SECONDS:
            self.complain(key, f"must be a number of seconds from 0 to {MAX_SECONDS}")
            return default
        return float(value)

    def texts(self, key: str) -> list[str]:
        value = self.value(key, [])
        found = cast("list[object]", value) if isinstance(value, list) else [None]
        texts = [text for text in found if isinstance(text, str)]
        if len(texts) < len(found):
            self.complain(key, "must be a list of texts")
        return texts

    def object(self, key: str) -> dict[Any, Any]:
        value = self.value(key, {})
        if not isinstance(value, dict):
            self.complain(key, "must be an object")
            return {}
        return cast("dict[Any, Any]", value)

    def environment(self, key: str) -> dict[str, str]:
        """Names and values; numbers are written as dsari writes them."""
        found: dict[str, str] = {}
        for name, value in self.object(key).items():
            if not isinstance(name, str) or not name or "=" in name or "\0" in name:
                self.complain(key, f"{str(name)[:80]!r} is no name of a variable")
            elif not isinstance(value, str | int | float) or (text := written(value)) is None or "\0" in text:
                self.complain(f"{key}.{name[:80]}", "must be a text or a number")
            else:
                found[name] = text
        return found

    def command(self, key: str) -> str:
        """The words of a command, quoted as a shell reads them."""
        value = self.value(key, None)
        if isinstance(value, str):
            try:
                words = shlex.split(value)
            except ValueError as error:
                self.complain(key, f"can't be split into words: {error}")
                return ""
        elif isinstance(value, list):
            parts = cast("list[object]", value)
            texts = [written(part) for part in parts if isinstance(part, str | int | float)]
            words = [text for text in texts if text is not None]
            if len(words) < len(parts):
                self.complain(key, "must be a text, or a list of texts and numbers")
                return ""
        else:
            self.complain(key, "is missing" if value is None else "must be a text, or a list of texts")
            return ""
        if not words or not words[0]:
            self.complain(key, "is empty")
            return ""
        return shlex.join(words)

    def _problem(self, key: str, text: str) -> Problem:
        path = f"{self.path}.{key}" if self.path else key
        return Problem(f"{self.file}: {path}" if self.file else path, text)


def _job(name: str, section: _Section, job_group: str) -> DsariJob:
    return DsariJob(
        name=name,
        place=section.file,
        command=section.command("command"),
        append_run=section.flag("command_append_run"),
        schedule=section.text("schedule"),
        timezone=section.text("schedule_timezone"),
        environment=section.environment("environment"),
        max_execution=section.seconds("max_execution", 0),
        grace=section.seconds("max_execution_grace", GRACE),
        groups=tuple(dict.fromkeys(section.texts("concurrency_groups"))),
        concurrent=section.flag("concurrent_runs"),
        job_group=job_group,
        jenkins=section.flag("jenkins_environment"),
        extra=section.object("dkron"),
    )


def written(value: str | float) -> str | None:
    """A value as text; None for a number that is none, or is too large to write."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        return None
    return str(value)
