"""What the fields of anything that users write are made of: their types, and how what is wrong with them is told."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from dkronpy.model.duration import format_duration, parse_duration
from dkronpy.model.size import parse_size
from dkronpy.model.spec_errors import field_errors, kind
from dkronpy.model.times import parse_rfc3339

MAX_NAME: Final = 64
MAX_TEXT: Final = 1000
"""Characters of the other short texts, and of keys."""
MAX_VALUE: Final = 100_000
"""Characters of one value in `executor_config` or `processors`."""
MAX_ENTRIES: Final = 100
"""Entries of each map of strings."""
MAX_WAIT: Final = parse_duration("3650d")
_GROUP_NAME: Final = re.compile(r"[- A-Za-z0-9_+.:@]{1,64}")
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class SpecError(Exception):
    """What is wrong, field by field: (field, message) with dots inside nested fields, "" for the whole."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {message}" if field else message for field, message in errors))
        self.errors = errors


def check_name(name: str) -> str:
    """A job's name: lower-case letters of any script, digits, `_`, `-`. Raises ValueError that names the character."""
    if not name:
        raise ValueError("is empty: a job needs a name")
    if len(name) > MAX_NAME:
        raise ValueError(f"has {len(name)} characters: at most {MAX_NAME} are allowed")
    for character in name:
        if not (character in "0123456789_-" or unicodedata.category(character) == "Ll"):
            raise ValueError(f"contains illegal character {character!r}: use lower-case letters, digits, '_' and '-'")
    return name


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError(f"must be a duration as a string, such as 30s or 1h30m, not {kind(value)}")
    ns = parse_duration(value)
    if ns > MAX_WAIT:
        raise ValueError(f"{value!r} is too long: at most {format_duration(MAX_WAIT)}")
    return ns


def _time(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError(f"must be a time as a string, such as 2026-12-24T18:00:00Z, not {kind(value)}")
    return (parse_rfc3339(value) or None) if value else None


def check_env_name(name: str) -> str:
    """The name of an environment variable. Raises ValueError."""
    if not _ENV_NAME.fullmatch(name):
        raise ValueError(f"{name[:40]!r} must be letters, digits and underscores, and not begin with a digit")
    return name


def check_env_value(value: str) -> str:
    """The value of an environment variable. Raises ValueError."""
    if "\0" in value:
        raise ValueError("must not hold the character NUL")
    return value


Name = Annotated[str, AfterValidator(check_name)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Key = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Value = Annotated[str, Field(max_length=MAX_VALUE)]
EnvName = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(check_env_name)]
EnvValue = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(check_env_value)]
Texts = Annotated[dict[Key, Text], Field(max_length=MAX_ENTRIES)]
Values = Annotated[dict[Key, Value], Field(max_length=MAX_ENTRIES)]
Duration = Annotated[int, BeforeValidator(_duration)]
"""Text in, ns out."""
OptionalDuration = Annotated[int | None, BeforeValidator(lambda value: None if value is None else _duration(value))]


def _size(value: Any) -> Any:
    if value is not None and not isinstance(value, str):
        raise ValueError("must be a string such as 500MB")
    return None if value is None else parse_size(value)


OptionalSize = Annotated[int | None, BeforeValidator(_size)]
"""Text in, bytes out."""
Time = Annotated[int | None, BeforeValidator(_time)]
"""RFC 3339 in, ns since the epoch out."""


def check_group_name(name: str) -> str:
    """A concurrency group's name, as dsari has them. Raises ValueError."""
    if not _GROUP_NAME.fullmatch(name) or name in (".", ".."):
        raise ValueError(
            f"{name[:MAX_NAME]!r} is no name of a group: use 1 to 64 letters, digits, blanks and . _ - + : @"
        )
    return name


def _as_tuple(value: Any) -> Any:
    """A list as JSON has it."""
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


GroupNames = Annotated[
    tuple[Annotated[str, AfterValidator(check_group_name)], ...], Field(max_length=10), BeforeValidator(_as_tuple)
]


class Spec(BaseModel):
    """Base of what users may write: strict, unknown keys ignored, null as if it were not there."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}  # pyright: ignore[reportUnknownVariableType]
        return data


_S = TypeVar("_S", bound=Spec)


def validated(model: type[_S], data: object) -> _S:
    """What a user has written, checked. Raises SpecError with everything that is wrong."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise SpecError(field_errors(error)) from None
