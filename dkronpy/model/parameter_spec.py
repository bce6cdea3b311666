"""What users may write of a job's parameters, and the values that triggers give to them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from pydantic import Field

from dkronpy.model.fields import MAX_ENTRIES, EnvName, Spec, SpecError, Text, check_env_value
from dkronpy.model.parameter import Parameter, ParameterType
from dkronpy.model.spec_errors import kind

MAX_PARAMETERS: Final = MAX_ENTRIES
MAX_LENGTH: Final = 10_000
"""Characters of a value."""
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?([0-9]{1,300}(\.[0-9]{0,300})?|\.[0-9]{1,300})([eE][+-]?[0-9]{1,3})?", re.ASCII)


class ParameterSpec(Spec):
    """A parameter as its user writes it. `default` and `choices` are texts, or JSON values of its type."""

    name: EnvName
    type: Annotated[ParameterType, Field(strict=False)] = ParameterType.STRING
    default: Any = None
    choices: Annotated[list[Any], Field(max_length=MAX_ENTRIES)] = Field(default_factory=list)
    description: Text = ""


Parameters = Annotated[list[ParameterSpec], Field(max_length=MAX_PARAMETERS)]


def to_parameters(specs: Sequence[ParameterSpec]) -> tuple[Parameter, ...]:
    """The parameters that specs describe. Raises SpecError with everything that is wrong."""
    errors: list[tuple[str, str]] = []
    found: list[Parameter] = []

    def read(bare: Parameter, value: object, field: str) -> str:
        try:
            return text_of(bare, value)
        except ValueError as error:
            errors.append((field, str(error)))
            return ""

    for index, spec in enumerate(specs):
        field = f"parameters.{index}"
        bare = Parameter(spec.name, spec.type, description=spec.description)
        if any(spec.name == other.name for other in found):
            errors.append((f"{field}.name", f"{spec.name} is there twice"))
        choices = tuple(read(bare, value, f"{field}.choices.{at}") for at, value in enumerate(spec.choices))
        full = msgspec.structs.replace(bare, choices=choices)
        default = None if spec.default is None else read(full, spec.default, f"{field}.default")
        found.append(msgspec.structs.replace(full, default=default))
    if errors:
        raise SpecError(errors)
    return tuple(found)


def to_documents(parameters: Sequence[Parameter]) -> list[dict[str, Any]]:
    """Parameters as their user writes them."""
    return [
        {
            "name": parameter.name,
            "type": parameter.type.value,
            "default": parameter.default,
            "choices": list(parameter.choices),
            "description": parameter.description,
        }
        for parameter in parameters
    ]


def text_of(parameter: Parameter, value: object) -> str:
    """What a run finds for a value, which is a text or a JSON value of the parameter's type. Raises ValueError that
    says what it must be."""
    text = _texts[parameter.type](value)
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is too long: at most {MAX_LENGTH} characters")
    if parameter.choices and text not in parameter.choices:
        raise ValueError(f"must be one of {', '.join(parameter.choices)}, not {text[:40]!r}")
    return text


def given(parameters: Sequence[Parameter], values: Mapping[str, object], env: Mapping[str, str]) -> dict[str, str]:
    """The environment that a trigger gives to its run: `env`, and the parameters among `values` or in `env`, checked.

    Raises SpecError that names each parameter that is missing, unknown or wrong."""
    known = {parameter.name: parameter for parameter in parameters}
    found, errors = dict(env), list[tuple[str, str]]()
    for name in values:
        if name not in known:
            there = f"it has {', '.join(known)}" if known else "it has none; give other variables as env"
            errors.append((f"parameters.{name[:64]}", f"is no parameter of the job: {there}"))
        elif name in env:
            errors.append((f"parameters.{name}", "is given as env too: leave one out"))
    for name, parameter in known.items():
        field = f"parameters.{name}" if name in values else f"env.{name}"
        try:
            if name in values or name in env:
                found[name] = text_of(parameter, values[name] if name in values else env[name])
            elif parameter.default is None:
                errors.append((f"parameters.{name}", f"is missing: it is {_ARTICLES[parameter.type]}"))
        except ValueError as error:
            errors.append((field, str(error)))
    if errors:
        raise SpecError(errors)
    return found


def faults(parameters: Sequence[Parameter], *, fires: bool, envs: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    """What of a job contradicts its parameters: without a default where it `fires` by itself, and values that its
    schedules give by `envs`."""
    errors: list[tuple[str, str]] = []
    for index, parameter in enumerate(parameters):
        if fires and parameter.default is None:
            words = "is missing: the job also runs without being asked, and then its parameters have their defaults"
            errors.append((f"parameters.{index}.default", words))
        for at, env in enumerate(envs):
            try:
                if parameter.name in env:
                    text_of(parameter, env[parameter.name])
            except ValueError as error:
                errors.append((f"schedules.{at}.env.{parameter.name}", str(error)))
    return errors


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {kind(value)}")
    return check_env_value(value)


def _integer(value: object) -> str:
    if type(value) is int and _INTEGER.fullmatch(text := format(value, "d") if abs(value) < 10**30 else ""):
        return text
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return value
    raise ValueError(f"must be an integer, such as 5, of at most 30 digits, not {_shown(value)}")


def _number(value: object) -> str:
    if type(value) is int:
        return _integer(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value) and math.isfinite(float(value)):
        return value
    raise ValueError(f"must be a number, such as 5 or 0.25, not {_shown(value)}")


def _boolean(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value in ("true", "false"):
        return str(value)
    raise ValueError(f"must be true or false, not {_shown(value)}")


def _shown(value: object) -> str:
    return repr(value)[:40] if isinstance(value, str | int | float) and not _is_vast(value) else kind(value)


def _is_vast(value: object) -> bool:
    """Whether it is an integer that Python would not write in decimal."""
    return isinstance(value, int) and value.bit_length() > 1000


_texts: Final[dict[ParameterType, Callable[[object], str]]] = {
    ParameterType.STRING: _string,
    ParameterType.INTEGER: _integer,
    ParameterType.NUMBER: _number,
    ParameterType.BOOLEAN: _boolean,
}
_ARTICLES: Final = {
    ParameterType.STRING: "a string",
    ParameterType.INTEGER: "an integer",
    ParameterType.NUMBER: "a number",
    ParameterType.BOOLEAN: "true or false",
}
