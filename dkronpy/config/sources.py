"""Where values come from: the command line, the environment, a file. Each is read into text, with its place."""

from __future__ import annotations

import json
import os
import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import yaml

from dkronpy.config.keys import IGNORED, IGNORED_SWITCHES, PREFIX, Key, Kind, suggestion, variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

SUFFIXES = (".yml", ".yaml", ".json", ".toml")
OTHER_SUFFIXES = (".hcl", ".properties")
"""Dkron reads these as well."""

_OUR_VARIABLES = frozenset(
    [
        *("DKRON_API_URL", "DKRON_API_TOKEN"),
        # What every run finds in its environment; an agent may be started from one.
        *("DKRON_JOB_NAME", "DKRON_EXECUTION_ID", "DKRON_FIRE_TIME", "DKRON_ATTEMPT", "DKRON_EPOCH"),
    ]
)
_SERVICE_NAME = re.compile(r"DKRON_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://.*")


@dataclass(frozen=True, slots=True)
class Given:
    """A key's value as text (a list of texts for lists and tags), and where it was found."""

    value: str | list[str]
    where: str


@dataclass(slots=True)
class Findings:
    """What reading has brought to light."""

    problems: list[str] = field(default_factory=list[str])
    warnings: list[str] = field(default_factory=list[str])

    def ignored(self, name: str, where: str) -> None:
        self.warnings.append(f"{where}: Dkron's {name} has no effect here: {IGNORED[name]}")


def read_flags(argv: Sequence[str], keys: Iterable[Key], findings: Findings) -> dict[str, Given]:
    """The values of `--flag value`, `--flag=value`, `--switch` and `--switch=false`; one dash does as well."""
    flags = {key.flag: key for key in keys}
    given: dict[str, Given] = {}
    arguments = iter(argv)
    before = ""
    for argument in arguments:
        name, equals, text = argument.lstrip("-").partition("=")
        if not argument.startswith("-") or argument.startswith("---"):
            hint = f": write {before}={argument}" if before.lstrip("-") in flags else ""
            findings.problems.append(f'unexpected argument "{argument}"{hint}')
            before = ""
            continue
        before = where = f"--{name}"
        key = flags.get(name)
        if key is None and name not in IGNORED:
            findings.problems.append(f"{where}: there is no such flag{suggestion(name, flags, '--')}")
            continue
        is_switch = name in IGNORED_SWITCHES if key is None else key.kind is Kind.SWITCH
        if not equals:
            value = "true" if is_switch else next(arguments, None)
            if value is None or (value.startswith("--") and value.partition("=")[0][2:] in flags):
                findings.problems.append(
                    f"{where}: a value is missing: write {where}={key.about.placeholder if key else 'VALUE'}"
                )
                if value is None:
                    break
                arguments = iter([value, *arguments])
                continue
            text = value
        if key is None:
            findings.ignored(name, where)
        elif key.kind in (Kind.ONE, Kind.SWITCH):
            given[key.name] = Given(text, where)
        else:
            earlier = given[key.name].value if key.name in given else []
            given[key.name] = Given([*earlier, *_split(text)], where)
    return given


def read_environment(environ: Mapping[str, str], keys: Iterable[Key], findings: Findings) -> dict[str, Given]:
    """The values of DKRON_… variables; an empty one counts as not set."""
    variables = {key.variable.removeprefix(PREFIX): key for key in keys}
    ignored = {variable(name): name for name in IGNORED}
    given: dict[str, Given] = {}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name in _OUR_VARIABLES or not text or _is_service(name, text):
            continue
        word = name.removeprefix(PREFIX)
        key = variables.get(word)
        if key is not None and key.kind is Kind.TAGS:
            given[key.name] = Given(_split(text, r"[,\s]"), name)
        elif key is not None:
            given[key.name] = Given(_split(text) if key.kind is Kind.LIST else text, name)
        elif name in ignored:
            findings.ignored(ignored[name], name)
        else:
            findings.problems.append(f"{name}: there is no such variable{suggestion(word, variables, PREFIX)}")
    return given


def find_file(search: Sequence[Path], findings: Findings) -> Path | None:
    """The first dkron.yml, .yaml, .json or .toml in the directories searched."""
    found: Path | None = None
    for directory in search:
        for suffix in (*SUFFIXES, *OTHER_SUFFIXES):
            candidate = directory / f"dkron{suffix}"
            if not os.path.exists(candidate):  # unlike Path.exists it does not raise where nothing may be seen
                continue
            if suffix in OTHER_SUFFIXES:
                findings.warnings.append(f"{candidate}: not read: write it as {_suffixes()}")
            elif found is not None:
                findings.warnings.append(f"{candidate}: not read, for {found} comes first")
            else:
                found = candidate
    return found


def read_file(path: Path, keys: Iterable[Key], findings: Findings) -> dict[str, Given]:
    """The values of a configuration file, whose suffix tells its format."""
    if path.suffix not in SUFFIXES:
        findings.problems.append(f"{path}: the name of a configuration file must end in {_suffixes()}")
        return {}
    try:
        content: object = _PARSERS[path.suffix](path.read_text(encoding="utf-8"))
    except OSError as error:
        findings.problems.append(f"{path}: can't be read: {error.strerror}")
        return {}
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        findings.problems.append(f"{path}{line}: {reason}")
        return {}
    except (ValueError, yaml.YAMLError) as error:
        findings.problems.append(f"{path}: {' '.join(str(error).split())}")
        return {}
    except RecursionError:
        findings.problems.append(f"{path}: nested too deeply")
        return {}
    if content is None:
        return {}
    if not isinstance(content, dict):
        findings.problems.append(f"{path}: must hold keys and values, as in log-level: debug")
        return {}
    return _from_map(cast("dict[object, object]", content), path, keys, findings)


def _from_map(content: dict[object, object], path: Path, keys: Iterable[Key], findings: Findings) -> dict[str, Given]:
    names = {key.name: key for key in keys}
    given: dict[str, Given] = {}
    for name, value in content.items():
        where = f"{path}: {name}"
        key = names.get(str(name))
        if key is None and name in IGNORED:
            findings.ignored(str(name), str(path))
        elif key is None:
            findings.problems.append(f"{where}: there is no such key{suggestion(str(name), names)}")
        elif value is not None:
            try:
                given[key.name] = Given(_text(value, key.kind), where)
            except ValueError as error:
                findings.problems.append(f"{where}: {error}")
    return given


def _text(value: object, kind: Kind) -> str | list[str]:
    """A file's value in the shape of its kind. Raises ValueError where it has another."""
    match kind:
        case Kind.ONE | Kind.SWITCH:
            return _scalar(value)
        case Kind.LIST:
            items = cast("list[object]", value) if isinstance(value, list) else [value]
            return [part for item in items for part in _split(_scalar(item))]
        case Kind.TAGS:
            return list(_file_tags(value))


def _file_tags(value: object) -> Iterator[str]:
    """`name=value` of a map, of a list of maps, and of text."""
    if isinstance(value, dict):
        for name, text in cast("dict[object, object]", value).items():
            if "=" in str(name):
                raise ValueError(f'tag "{name}" must not hold "="')
            yield f"{_scalar(name)}={_scalar(text)}"
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            if isinstance(item, list):
                raise ValueError("must be a map, or a list of maps, as in role: web")
            yield from _file_tags(item)
    else:
        yield from _split(_scalar(value))


def _scalar(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        raise ValueError(f"must be one value, not a {'map' if isinstance(value, dict) else 'list'}")
    return str(value)


def _split(text: str, separator: str = ",") -> list[str]:
    return [part for part in map(str.strip, re.split(separator, text)) if part]


def _is_service(name: str, text: str) -> bool:
    """Kubernetes tells every container of a service named dkron… in such variables."""
    return bool(_SERVICE_NAME.fullmatch(name) or (name.endswith("_PORT") and _SERVICE_URL.fullmatch(text)))


def _suffixes() -> str:
    return f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A map. Raises ValueError where a key comes twice."""
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f'the key "{key}" is given twice')
        content[key] = value
    return content


class _Loader(yaml.BaseLoader):
    """YAML whose scalars stay text (`8:30` is no number, `no` is read by whoever expects a switch), but for null."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen if isinstance(key, yaml.ScalarNode) else False:
                raise yaml.constructor.ConstructorError(
                    None, None, f'the key "{key.value}" is given twice', key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType]
    "tag:yaml.org,2002:null", re.compile(r"(~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]
)
_Loader.add_constructor("tag:yaml.org,2002:null", lambda _loader, _node: None)


def _yaml(text: str) -> object:
    return yaml.load(text, _Loader)


def _json(text: str) -> object:
    return json.loads(text, object_pairs_hook=_unique, parse_int=str, parse_float=str)


def _toml(text: str) -> object:
    return tomllib.loads(text, parse_float=str)


_PARSERS = {".yml": _yaml, ".yaml": _yaml, ".json": _json, ".toml": _toml}
