"""YAML 1.1 as PyYAML, and so dsari, reads it, made safe: plain values only, no key twice, no text whose depth ends the
process or that stands for a huge value."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any, Final, cast

import yaml

_Loader: Final = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))
MAX_DEPTH: Final = 100
"""Lists and objects inside each other; libyaml's composer recurses, and some thousands end the process."""
MAX_VALUES: Final = 200_000
"""Values in one document, each counted as often as aliases repeat it."""


class YamlError(ValueError):
    """Not YAML, or not one we take; says where."""


def load_yaml(text: str) -> object:
    """The only document of a text; None for an empty one. Raises YamlError, which names line and column."""
    try:
        check_depth(text)
        value: object = yaml.load(text, UniqueLoader)
        _bound(value)
    except YamlError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise YamlError(f"{place}{error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:  # ValueError: `2024-99-99`
        raise YamlError(f"not YAML: {' '.join(str(error).split())[:200]}") from error
    return value


class UniqueLoader(_Loader):
    """A key given twice is an error, as it is by the specification."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                name = str(key.value)
                if name in seen:
                    raise yaml.constructor.ConstructorError(
                        None,
                        None,
                        f"the key {name[:80]!r} is given twice in one object; keep one of them",
                        key.start_mark,
                    )
                seen.add(name)
        return super().construct_mapping(node, deep)


def check_depth(text: str) -> None:
    """Raises YamlError for a text, of one document or several, that is nested too deeply to be loaded."""
    depth = 0
    parse = cast("Callable[..., Iterator[yaml.Event]]", cast("Any", yaml).parse)
    for event in parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise YamlError(f"lists and objects are nested deeper than {MAX_DEPTH}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _bound(value: object) -> None:
    """Raises YamlError for a value that is too large once its aliases are followed, or that holds itself."""
    left = MAX_VALUES
    todo = [value]
    while todo:
        left -= 1
        if left < 0:
            raise YamlError(f"more than {MAX_VALUES} values, counting what aliases repeat")
        found = todo.pop()
        if isinstance(found, dict):
            todo.extend(cast("dict[object, object]", found).values())
        elif isinstance(found, list):
            todo.extend(cast("list[object]", found))
