"""Settings from all sources: flag before environment before file before default."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from dkronpy.config.choices import Backend
from dkronpy.config.keys import About, ConfigError, Group, Key, Kind
from dkronpy.config.settings import KEYS, Settings
from dkronpy.config.sources import SUFFIXES, Findings, Given, find_file, read_environment, read_file, read_flags
from dkronpy.config.tokens import TokenFile, read_tokens
from dkronpy.config.values import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

CONFIG = Key(
    "config",
    "config",
    Kind.ONE,
    About(Group.NODE, "FILE", f"the configuration file ({', '.join(SUFFIXES)}); it must exist"),
    "dkron.yml, .yaml, .json or .toml in /etc/dkron, ~/.dkron or ./config",
)
"""The one key that no file can hold."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A node's settings; what to warn of; where each key's value came from; and the file that was read."""

    settings: Settings
    warnings: tuple[str, ...]
    source: dict[str, str]
    file: Path | None


def load(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    search: Sequence[Path] | None = None,
) -> Loaded:
    """Read the settings of a node.

    `argv`: what follows `dkron agent`. `search`: the directories of the file, instead of the usual ones.
    Raises: ConfigError, with every problem found, each with its place.
    """
    findings = Findings()
    outer = (*KEYS.values(), CONFIG)
    flags = read_flags(argv, outer, findings)
    above = read_environment(environ, outer, findings) | flags
    path = _file(above.pop("config", None), _directories(environ) if search is None else search, findings)
    given = above if path is None else read_file(path, KEYS.values(), findings) | above
    given = dict(_printable(given, findings))
    tokens = _tokens(given.get("http-token-file"), findings)
    values: dict[str, Any] = {name.replace("-", "_"): item.value for name, item in given.items()}
    try:
        settings = Settings.model_validate({**values, "tokens": tokens})
    except ValidationError as error:
        raise ConfigError([*findings.problems, *_problems(error, given)]) from None
    if findings.problems:
        raise ConfigError(findings.problems)
    if settings.backend is Backend.EMBEDDED:
        findings.warnings.extend(
            f"{given[name].where}: the embedded store has no servers; its file is in data-dir {settings.data_dir}"
            for name in _OF_SHARED_STORES
            if name in given and given[name].value
        )
    if settings.job_dir is not None and not settings.server:
        findings.warnings.append(f"{given['job-dir'].where}: only servers read a directory of jobs; this node is none")
    source = {name: given[name].where if name in given else "default" for name in KEYS}
    return Loaded(settings, tuple(findings.warnings), source, path)


_OF_SHARED_STORES = tuple(name for name in KEYS if name.startswith("backend-"))


def add_agent_arguments(parser: argparse.ArgumentParser, groups: Iterable[Group] = Group) -> None:
    """Describe the flags of `dkron agent` of some groups to a parser, for its help; `load` does the reading."""
    keys = (*KEYS.values(), CONFIG)
    for group in groups:
        section = parser.add_argument_group(group.value)
        for key in keys:
            if key.about.group is not group:
                continue
            help_text = f"{key.about.meaning} (default: {key.default})".replace("%", "%%")
            if key.kind is Kind.SWITCH:
                section.add_argument(f"--{key.flag}", action="store_true", default=argparse.SUPPRESS, help=help_text)
            else:
                section.add_argument(
                    f"--{key.flag}", metavar=key.about.placeholder, default=argparse.SUPPRESS, help=help_text
                )


def _directories(environ: Mapping[str, str]) -> list[Path]:
    home = environ.get("HOME")
    return [Path("/etc/dkron"), *([Path(home) / ".dkron"] if home else []), Path("config")]


def _file(config: Given | None, search: Sequence[Path], findings: Findings) -> Path | None:
    """The file to read: the one asked for, else the first found."""
    if config is None:
        return find_file(search, findings)
    text = str(config.value)
    if not text or not text.isprintable():
        findings.problems.append(f"{config.where}: {text!r} is not the path of a file")
        return None
    try:
        path = expand(text)
    except ValueError as error:
        findings.problems.append(f"{config.where}: {error}")
        return None
    if not os.path.isfile(path):  # unlike Path.is_file it does not raise where nothing may be seen
        findings.problems.append(f"{config.where}: there is no file {path}")
        return None
    return path


def _printable(given: Mapping[str, Given], findings: Findings) -> Iterator[tuple[str, Given]]:
    """What holds no control characters: they have no place in any value, and would hide in a log."""
    for name, item in given.items():
        parts = [item.value] if isinstance(item.value, str) else item.value
        if all(part.isprintable() for part in parts):
            yield name, item
        else:
            findings.problems.append(f"{item.where}: holds a character that can't be printed")


def _tokens(given: Given | None, findings: Findings) -> tuple[object, ...]:
    if given is None or not given.value:
        return ()
    try:
        path = expand(str(given.value))
    except ValueError:
        return ()  # the setting itself is refused for it
    content: TokenFile = read_tokens(path)
    findings.problems.extend(f"{given.where}: {problem}" for problem in content.problems)
    findings.warnings.extend(content.warnings)
    return content.tokens


def _problems(error: ValidationError, given: Mapping[str, Given]) -> Iterator[str]:
    """One line for each thing that pydantic found, with its place."""
    for detail in error.errors(include_url=False, include_input=False):
        if detail["type"] == "default_factory_not_called":
            continue  # it depends on another field, which is refused itself
        name = str(detail["loc"][0]).replace("_", "-") if detail["loc"] else ""
        reason = detail.get("ctx", {}).get("error", detail["msg"])
        place = given[name].where if name in given else name
        yield from (f"{place}: {line}" if place else line for line in str(reason).split("\n"))
