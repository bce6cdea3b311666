"""From what users write to typed values. Every ValueError names what was written and what is allowed.

A source gives text, a list of texts, or (tags) a list of `name=value`; what has its type already passes.
"""

from __future__ import annotations

import base64
import binascii
import re
from enum import Enum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import BeforeValidator

from dkronpy.config.addresses import Address, parse_address
from dkronpy.config.keys import suggestion
from dkronpy.model.duration import format_duration, parse_duration
from dkronpy.model.size import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SWITCH = {
    **dict.fromkeys(["true", "t", "yes", "y", "on", "1"], True),
    **dict.fromkeys(["false", "f", "no", "n", "off", "0"], False),
}
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_KEYSPACE = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")
_QUANTILE = re.compile(r"0?\.[0-9]{1,17}|0|1(\.0+)?")
_STATSD_TAG = re.compile(r"[^\s|#,]+")
_KEY_SIZES = (16, 24, 32)
_ASK_KEYGEN = "it must be base64 of 16, 24 or 32 bytes, as dkron keygen makes"


def _switch(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.lower() not in _SWITCH:
        raise ValueError(f'"{value}" must be true or false')
    return _SWITCH[value.lower()]


switch = BeforeValidator(_switch)


def whole(least: int, most: int) -> BeforeValidator:
    """A whole number within bounds."""

    def parse(value: Any) -> Any:
        text = str(value)
        if not re.fullmatch(r"[0-9]{1,18}", text) or not least <= int(text) <= most:
            raise ValueError(f'"{text}" must be a whole number from {least} to {most}')
        return int(text)

    return BeforeValidator(parse)


def optional_whole(least: int, most: int) -> BeforeValidator:
    """A whole number within bounds, or `none`."""
    number = whole(least, most)
    return BeforeValidator(lambda value: None if value in ("", "none", None) else cast("Any", number.func)(value))


def _optional_size(value: Any) -> Any:
    return None if value in ("", "none") else parse_size(value) if isinstance(value, str) else value


optional_size = BeforeValidator(_optional_size)
"""Bytes, such as 500MB, or `none`."""


def choice(members: type[StrEnum], aliases: Mapping[str, str] | None = None) -> BeforeValidator:
    """One of an enum's values, or an alias of one, in any case of letters."""
    names = {member.value: member for member in members} | {
        alias: members(name) for alias, name in (aliases or {}).items()
    }

    def parse(value: Any) -> Any:
        if isinstance(value, Enum) or not isinstance(value, str):
            return value
        if value.lower() not in names:
            allowed = ", ".join(member.value for member in members)
            raise ValueError(f'"{value}" must be one of {allowed}{suggestion(value, names)}')
        return names[value.lower()]

    return BeforeValidator(parse)


def duration(least: int = 0) -> BeforeValidator:
    """A duration of at least so many ns; a number is taken as ns."""

    def parse(value: Any) -> Any:
        ns = parse_duration(value) if isinstance(value, str) else value
        if isinstance(ns, int) and ns < least:
            raise ValueError(f'"{value}" is too short: it must be at least {format_duration(least)}')
        return ns

    return BeforeValidator(parse)


def _optional_duration(value: Any) -> Any:
    return None if value in ("", "none") else parse_duration(value) if isinstance(value, str) else value


optional_duration = BeforeValidator(_optional_duration)
"""A duration, or `none`."""


def address(default_port: int) -> BeforeValidator:
    """An address to listen on."""
    return BeforeValidator(lambda value: parse_address(value, default_port) if isinstance(value, str) else value)


def peer(value: str, default_port: int) -> Address:
    """The address of another node. Raises ValueError where nothing can be reached by it."""
    if value.startswith("provider="):
        raise ValueError(f'"{value}": cloud discovery is not built in: name hosts, as HOST or HOST:PORT')
    found = parse_address(value, default_port)
    if found.unspecified or not found.port:
        raise ValueError(f'"{value}" names no node: write HOST or HOST:PORT')
    return found


def peers(default_port: int) -> BeforeValidator:
    """Addresses of other nodes."""
    return BeforeValidator(
        lambda value: tuple(item if isinstance(item, Address) else peer(item, default_port) for item in value)
    )


def optional_peer(default_port: int) -> BeforeValidator:
    """The address of another program, or empty for none."""
    return BeforeValidator(
        lambda value: None if value == "" else peer(value, default_port) if isinstance(value, str) else value
    )


def parse_quantile(text: str) -> float:
    """Raises ValueError."""
    if not _QUANTILE.fullmatch(text.strip()):
        raise ValueError(f'"{text.strip()}" must be a number from 0 to 1, as in 0.99')
    return float(text)


quantiles = BeforeValidator(
    lambda value: tuple(sorted({parse_quantile(part) if isinstance(part, str) else float(part) for part in value}))
)
"""Different ones, the smallest first."""


def _statsd_tags(value: Any) -> Any:
    for tag in value:
        if not _STATSD_TAG.fullmatch(str(tag)):
            raise ValueError(f'"{tag}" must be a name, or a name and a value, as in role:web; without blanks, | or #')
    return tuple(map(str, value))


statsd_tags = BeforeValidator(_statsd_tags)


def _name(value: Any) -> Any:
    if isinstance(value, str) and not _NAME.fullmatch(value):
        raise ValueError(f'"{value}" must be 1 to 128 letters (A-Z, a-z), digits, dots, dashes or underscores')
    return value


name = BeforeValidator(_name)


def _keyspace(value: Any) -> Any:
    if isinstance(value, str) and not _KEYSPACE.fullmatch(value):
        raise ValueError(
            f'"{value}" must be parts of letters (A-Z, a-z), digits, dots, dashes or underscores, '
            "separated by single slashes"
        )
    return value


keyspace = BeforeValidator(_keyspace)


def _path(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not value:
        raise ValueError("a path is needed: it is empty")
    return expand(value)


path = BeforeValidator(_path)
optional_path = BeforeValidator(lambda value: None if value == "" else _path(value))


def expand(text: str) -> Path:
    """A path with `~` resolved. Raises ValueError where there is no such home."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f'"{text}": there is no such home directory: write the whole path') from None


def _origins(value: Any) -> Any:
    origins = tuple(str(item).lower().rstrip("/") for item in value)
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f'"{origin}" is not an origin: write https://HOST or https://HOST:PORT, or * for every site'
            )
    return origins


origins = BeforeValidator(_origins)


def parse_key(value: str) -> bytes:
    """A key of the cluster in base64; empty for an empty text. Raises ValueError, which does not tell the key."""
    try:
        key = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"the key is not base64: {_ASK_KEYGEN}") from None
    if key and len(key) not in _KEY_SIZES:
        raise ValueError(f"the key has {len(key)} bytes: {_ASK_KEYGEN}")
    return key


def _gossip_key(value: Any) -> Any:
    return parse_key(value) or None if isinstance(value, str) else value


gossip_key = BeforeValidator(_gossip_key)


def _tags(value: Any) -> Any:
    if isinstance(value, dict):
        return cast("dict[str, str]", value)
    items: Iterable[str] = value
    tags: dict[str, str] = {}
    for item in items:
        tag, equals, text = item.partition("=")
        if not equals or not tag:
            raise ValueError(f'"{item}" must be a name and a value, as in role=web')
        if tag in tags:
            raise ValueError(f'tag "{tag}" is given twice: a tag has one value')
        tags[tag] = text
    return tags


tags = BeforeValidator(_tags)
