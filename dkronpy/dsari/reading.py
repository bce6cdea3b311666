"""The files of a configuration directory, merged as dsari merges them.

`dsari.yaml`, then `dsari.json`, then `*.yaml` and `*.json` of `config.d`, each by name. Objects are merged, deeply;
anything else that comes later replaces what was there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from dkronpy.dsari.problems import ConfigRefused, Problem
from dkronpy.model.json_text import unique
from dkronpy.model.yaml_text import YamlError, load_yaml

MAX_FILE: Final = 8 << 20
"""Bytes."""
MAX_DEPTH: Final = 100
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MAIN: Final = ("dsari.yaml", "dsari.json")
_HOMES: Final = ("~/.dsari/etc", "/usr/local/etc/dsari", "/etc/dsari")


@dataclass(frozen=True)
class Merged:
    """`values` as merged; `places` tells for a section's name, such as ("jobs", "backup"), the file that spoke last of
    it; `digest` names the content of all files, `newest` (ns) when any of them, or their directories, changed last;
    `included` is the directory of further files."""

    values: dict[str, Any]
    files: tuple[str, ...]
    digest: str
    newest: int
    included: Path
    places: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])


def default_directory() -> Path:
    """Where dsari looks for its configuration when nobody says where."""
    if home := os.environ.get("DSARI_HOME"):
        return Path(home) / "etc"
    for name in _HOMES:
        directory = Path(name).expanduser()
        if any((directory / part).exists() for part in (*_MAIN, "config.d")):
            return directory
    return Path("~/.dsari").expanduser()


def read(directory: Path) -> Merged:
    """Read a directory. Raises ConfigRefused with every file that can't be read."""
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    places: dict[tuple[str, str], str] = {}
    digest = hashlib.sha256()
    names: list[str] = []
    newest = 0
    for path in _files(directory, values, problems):
        name = _shown(path, directory)
        try:
            content, changed = _content(path)
            newest = max(newest, changed)
            found = _parsed(path, content)
        except OSError as error:
            problems.append(Problem(name, f"can't be read: {error.strerror}"))
        except ValueError as error:
            problems.append(Problem(name, str(error)))
        else:
            digest.update(f"{name}\0{len(content)}\0".encode(errors="surrogateescape") + content)
            names.append(name)
            _merge(values, found)
            for section, entries in found.items():
                if isinstance(entries, dict):
                    places.update({(section, str(key)): name for key in cast("dict[object, object]", entries)})
    if not names and not problems:
        problems.append(Problem("", f"{directory} holds no dsari.yaml, dsari.json or config.d/*.yaml"))
    if problems:
        raise ConfigRefused(problems)
    included = _included(directory, values)
    for place in (directory, included):
        if place.exists():
            newest = max(newest, place.stat().st_mtime_ns)
    return Merged(values, tuple(names), digest.hexdigest(), newest, included, places)


def signature(directory: Path, included: Path | None = None) -> object:
    """Equal as long as no file of the directory, or of that of further files (config.d), has changed. Cheap."""
    found: list[object] = []
    for place in (directory, included or directory / "config.d"):
        try:
            entries = sorted(place.iterdir())
        except OSError as error:
            found.append((str(place), error.errno))
            continue
        for path in entries:
            try:
                about = path.stat()
            except OSError as error:
                found.append((path.name, error.errno))
            else:
                found.append((path.name, about.st_mtime_ns, about.st_size, about.st_ino))
    return found


def _included(directory: Path, values: dict[str, Any]) -> Path:
    config_d = values.get("config_d")
    return directory / (config_d if isinstance(config_d, str) and "\0" not in config_d else "config.d")


def _files(directory: Path, values: dict[str, Any], problems: list[Problem]) -> Iterator[Path]:
    """The files in their order; `values` are asked for config.d once the main files are merged."""
    for name in _MAIN:
        if (directory / name).exists():
            yield directory / name
    included = _included(directory, values)
    try:
        found = sorted(included.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        problems.append(Problem(_shown(included, directory), f"can't be read: {error.strerror}"))
        return
    for suffix in (".yaml", ".json"):
        yield from (path for path in found if path.suffix == suffix and path.is_file())


def _shown(path: Path, directory: Path) -> str:
    return str(path.relative_to(directory) if path.is_relative_to(directory) else path)


def _content(path: Path) -> tuple[bytes, int]:
    """A plain file's content, and when (ns) it changed. Raises OSError, ValueError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("is no plain file")
        content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise ValueError(f"is larger than {MAX_FILE} bytes")
    return content, about.st_mtime_ns


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    """The object in a file. Raises ValueError that says where it is broken."""
    value = decoded(content, path.suffix)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("must hold an object: `jobs:` and the like")
    return cast("dict[str, Any]", value)


def decoded(content: bytes, suffix: str) -> object:
    """JSON, or YAML for a suffix other than `.json`, as values. Raises ValueError that says where it is broken."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 at byte {error.start}") from None
    try:
        value = _json(text) if suffix == ".json" else load_yaml(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except YamlError as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("lists and objects are nested too deeply") from None
    _check(value, MAX_DEPTH)
    return value


def _json(text: str) -> object:
    return json.loads(text, object_pairs_hook=unique, parse_constant=_no_number)


def _check(value: object, left: int) -> None:
    """Raises ValueError for what is nested deeper than `left`, and for texts that can't be written."""
    if not left:
        raise ValueError(f"lists and objects are nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict | list):
        found = cast("dict[object, object] | list[object]", value)
        parts = [*found, *found.values()] if isinstance(found, dict) else found
        for part in parts:
            _check(part, left - 1)
    elif isinstance(value, str) and (match := _SURROGATE.search(value)):
        raise ValueError(f"holds {match[0]!r}, which is half a character")


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no JSON")


def _merge(values: dict[str, Any], later: dict[str, Any]) -> None:
    for key, value in later.items():
        old = values.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged = dict(cast("dict[str, Any]", old))
            _merge(merged, cast("dict[str, Any]", value))
            values[key] = merged
        else:
            values[key] = value
