"""YAML and JSON as people keep them in files: reading several documents or lists, strictly, and writing YAML.

YAML is read by the core schema of version 1.2, so that `on: any` and `12:30` stay the texts they are, and times too.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import yaml

from dkronpy.model.json_text import GivenTwice, unique
from dkronpy.model.yaml_text import UniqueLoader, YamlError, check_depth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SPACE: Final = re.compile(r"\s*")
_Dumper: Final = cast("type[yaml.SafeDumper]", getattr(yaml, "CSafeDumper", yaml.SafeDumper))


class Document(NamedTuple):
    """A value and where it stands: `jobs.yml, document 2`."""

    place: str
    value: Any


def read_documents(text: str, source: str) -> list[Document]:
    """Every object of a file of JSON values or YAML documents; lists are taken apart, empty documents left out.

    Raises: ValueError, which names the source, line and column, for what is neither, and for a key that is given twice.
    """
    json_only = source.endswith(".json")
    if json_only or text.lstrip()[:1] in ("{", "["):
        try:
            return list(_flatten(_read_json(text), source))
        except json.JSONDecodeError as error:
            if json_only:
                raise ValueError(f"{source}, line {error.lineno}, column {error.colno}: {error.msg}") from error
        except GivenTwice as error:
            raise ValueError(f"{source}: {error}") from error
    try:
        check_depth(text)
        return list(_flatten(yaml.load_all(text, _CoreLoader), source))
    except YamlError as error:
        raise ValueError(f"{source}: {error}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{source}, line {mark.line + 1}, column {mark.column + 1}" if mark else source
        raise ValueError(f"{place}: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{source}: not YAML: {error}") from error


def to_yaml(data: object) -> str:
    """One YAML document: keys in their order, texts of several lines as blocks."""
    dump = cast("Callable[..., str]", cast("Any", yaml).dump)
    return dump(
        data, None, _BlockDumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=2**31 - 1
    )


def _flatten(values: Iterator[Any], source: str) -> Iterator[Document]:
    for number, value in enumerate(values, 1):
        place = f"{source}, document {number}"
        if isinstance(value, list):
            items = cast("list[Any]", value)
            yield from (Document(f"{place}, item {index}", item) for index, item in enumerate(items, 1))
        elif value is not None:
            yield Document(place, value)


def _read_json(text: str) -> Iterator[Any]:
    """JSON values one after another, with nothing but space between."""
    decoder = json.JSONDecoder(object_pairs_hook=unique)
    position = _after_space(text, 0)
    while position < len(text):
        value, end = decoder.raw_decode(text, position)
        yield value
        position = _after_space(text, end)


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


class _CoreLoader(UniqueLoader):
    """Plain scalars by YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML's own way to start from none


class _BlockDumper(_Dumper):
    """Writes texts of several lines as literal blocks."""


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    represent = cast("Callable[..., yaml.Node]", cast("Any", dumper).represent_scalar)
    return represent("tag:yaml.org,2002:str", str(text), style="|" if "\n" in text else None)


_BlockDumper.add_representer(str, _write_text)
_BlockDumper.add_multi_representer(StrEnum, _write_text)
for _tag, _pattern, _first in (
    ("null", r"(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    for _kind in (
        _CoreLoader,
        _BlockDumper,
    ):  # the dumper, so that it quotes texts which would be read as something else
        cast("Any", _kind).add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"{_pattern}$"), _first)
