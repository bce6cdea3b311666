"""A configuration of Nagios' NRPE → jobs: a check each, with the exit codes of Nagios' plugins.

Source: nrpe.cfg as NRPE 4 has it: `command[NAME]=LINE`, `command_prefix`, `command_timeout`, `include`, `include_dir`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from dkronpy.importing.changes import Kind
from dkronpy.importing.commands import shell_line
from dkronpy.importing.mapped import Draft, Mapped, Names

_COMMAND: Final = re.compile(r"command\[([^\]]+)\]")
_ARGUMENT: Final = re.compile(r"\$ARG\d+\$")
_TIMEOUT: Final = 60
"""Seconds that a command may take where the file does not say."""
_DEEPEST: Final = 10
"""Files that include one another."""
_USED: Final = frozenset({"command_prefix", "command_timeout"})


class _Line(NamedTuple):
    place: str
    key: str
    value: str


class Options(NamedTuple):
    """`schedule` is how often each check runs: NRPE itself has none, Nagios asks it."""

    schedule: str
    prefix: str = ""


def read_nrpe(path: Path, options: Options) -> list[Mapped]:
    """The checks of a file and of those that it includes. Raises OSError, and ValueError with the place for what can't
    be read."""
    lines = list(_lines(path, ()))
    settings = {line.key: line.value for line in lines if line.key in _USED}
    checks = {match[1]: line for line in lines if (match := _COMMAND.fullmatch(line.key))}
    timeout = settings.get("command_timeout", "").partition(":")[0] or str(_TIMEOUT)
    if not timeout.isascii() or not timeout.isdigit() or len(timeout) > 8:
        raise ValueError(f"{path}: command_timeout={timeout!r} is no number of seconds")
    names = Names(options.prefix)
    return [_job(name, line, settings, timeout, options, names) for name, line in checks.items()]


def _job(name: str, line: _Line, settings: dict[str, str], timeout: str, options: Options, names: Names) -> Mapped:
    draft = Draft(names.new(name), "NRPE", line.place, f"(Nagios asks for {name})")
    if _ARGUMENT.search(line.value):
        draft.problem = f"{line.place}: $ARG1$ and its like come from Nagios with each question: write their values"
        return draft.done()
    prefix = settings.get("command_prefix", "")
    command = f"{prefix} {line.value}" if prefix else line.value
    draft.tell(Kind.MEANING, f"Nagios said when it ran; here it runs {options.schedule} (--schedule)")
    draft.document |= {
        "schedule": options.schedule,
        "concurrency": "forbid",
        "catchup": {"policy": "latest"},
        "executor": "shell",
        "executor_config": {**shell_line(command, {}), "timeout": f"{timeout}s", "exit_codes": "nagios"},
        "metadata": {"imported_from": line.place, "nrpe_command": name},
    }
    if name != draft.name:
        draft.document["displayname"] = name
    return draft.done()


def _lines(path: Path, above: tuple[Path, ...]) -> Iterator[_Line]:
    """Settings in order, those of included files in their place."""
    if path in above or len(above) >= _DEEPEST:
        raise ValueError(f"{path} is included by itself: {' → '.join(map(str, (*above, path)))}")
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: byte {error.start} cannot be read") from error
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        key, equals, value = (part.strip() for part in stripped.partition("="))
        place = f"{path}, line {number}"
        if not equals or not key:
            raise ValueError(f"{place}: {stripped[:60]!r} is not NAME=VALUE")
        if key in ("include", "include_file"):
            yield from _lines(path.parent / value, (*above, path))
        elif key == "include_dir":
            for part in sorted((path.parent / value).rglob("*.cfg")):
                yield from _lines(part, (*above, path))
        else:
            yield _Line(place, key, value)
