"""Parameters of a job: variables with a type and perhaps a default that every run finds in its environment."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec


class ParameterType(StrEnum):
    """What a parameter's value may be. The run finds its text."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    """`true` or `false`."""


class Parameter(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A parameter. Without a `default` every trigger must give it; with `choices` it is one of these."""

    name: str
    type: ParameterType = ParameterType.STRING
    default: str | None = None
    choices: tuple[str, ...] = ()
    description: str = ""


def with_defaults(parameters: Sequence[Parameter], env: dict[str, str]) -> dict[str, str]:
    """A run's environment with the defaults of the parameters that it lacks."""
    if not parameters:
        return env
    return {p.name: p.default for p in parameters if p.default is not None} | env
