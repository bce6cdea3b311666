"""What users may write of the settings that hold in the whole cluster."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dkronpy.model.spec import MAX_ENTRIES, EnvName, EnvValue, Spec, validated


class SettingsSpec(Spec):
    env: Annotated[dict[EnvName, EnvValue], Field(max_length=MAX_ENTRIES)] = Field(default_factory=dict)


def parse_settings(data: object) -> dict[str, str]:
    """The environment in a decoded JSON object of settings. Raises SpecError."""
    return validated(SettingsSpec, data).env
