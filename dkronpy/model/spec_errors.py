"""What pydantic finds wrong with what users wrote, in this project's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_LONGEST: Final = 64
"""Characters shown of a key that is not ours."""
_KINDS: Final[dict[type, str]] = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    dict: "an object",
    list: "a list",
    tuple: "a list",
}


def kind(value: object) -> str:
    """What a decoded JSON value is, in words."""
    return _KINDS.get(type(value), "null")


def _bound(context: Mapping[str, Any], key: str) -> str:
    return f"{context[key]:g}" if isinstance(context[key], float) else str(context[key])


_MESSAGES: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "missing": lambda _: "is missing",
    "string_type": lambda _: 'must be a string, such as "5"',
    "bool_type": lambda _: "must be true or false",
    "int_type": lambda _: "must be a whole number",
    "float_type": lambda _: "must be a number",
    "finite_number": lambda _: "must be a finite number",
    "tuple_type": lambda _: "must be a list",
    "dict_type": lambda _: "must be an object",
    "model_type": lambda _: "must be an object",
    "model_attributes_type": lambda _: "must be an object",
    "greater_than_equal": lambda context: f"must be at least {_bound(context, 'ge')}",
    "less_than_equal": lambda context: f"must be at most {_bound(context, 'le')}",
    "string_too_long": lambda context: f"is too long: at most {context['max_length']} characters",
    "string_too_short": lambda _: "is empty",
    "too_long": lambda context: f"has too many entries: at most {context['max_length']}",
    "enum": lambda context: f"must be one of {context['expected']}",
    "value_error": lambda context: str(context["error"]),
}
_SHOWS_KIND: Final = frozenset(
    {"string_type", "bool_type", "int_type", "float_type", "tuple_type", "dict_type", "model_type"}
)


def field_errors(error: ValidationError) -> list[tuple[str, str]]:
    """pydantic's findings in this project's words, as `SpecError` holds them."""
    return [(_field(found), _message(found)) for found in error.errors(include_url=False)]


def _field(found: ErrorDetails) -> str:
    parts = [str(part)[:_LONGEST] for part in found["loc"] if part != "[key]"]
    return ".".join(parts)


def _message(found: ErrorDetails) -> str:
    words = _MESSAGES.get(found["type"])
    text = words(found.get("ctx", {})) if words else found["msg"]
    if found["loc"][-1:] == ("[key]",):
        text = f"the key {text}"
    return f"{text}, not {kind(found['input'])}" if found["type"] in _SHOWS_KIND else text
