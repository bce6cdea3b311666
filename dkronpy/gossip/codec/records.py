"""Records on the wire: maps keyed by the names that Go gives its fields.

Reading follows Go: what is missing or nil is the zero value, what is unknown is passed over. Unlike Go it bounds every
text and list.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Final, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

from dkronpy.gossip.codec.msgpack import (
    MAX_VALUES,
    CodecError,
    Value,
    pack,
    pack_int,
    pack_list_head,
    pack_map_head,
    pack_raw,
    unpack,
)

MAX_TEXT: Final = 4096
"""Bytes of a text: a name, an error, a regular expression."""

_ABBREVIATIONS: Final = {"ltime": "LTime", "ltimes": "LTimes", "id": "ID", "cc": "CC", "ip": "IP"}


def go_name(field: str) -> str:
    """`seq_no` is SeqNo on the wire, `status_ltimes` StatusLTimes."""
    return "".join(_ABBREVIATIONS.get(word) or word.capitalize() for word in field.split("_"))


class Record(msgspec.Struct, frozen=True, gc=False, rename=go_name):
    """A map on the wire. Every field has its zero value as default."""


U8 = Annotated[int, range(1 << 8)]
U16 = Annotated[int, range(1 << 16)]
U32 = Annotated[int, range(1 << 32)]
U63 = Annotated[int, range(1 << 63)]
I64 = Annotated[int, range(-(1 << 63), 1 << 63)]

R = TypeVar("R", bound=Record)
_Reader = Callable[[Value], Any]
_Writer = Callable[[Any], bytes]


def encode(record: Record) -> bytes:
    """The record as a map."""
    return _record_writer(type(record))(record)


def decode(kind: type[R], data: bytes, at: int = 0, values: int = MAX_VALUES) -> tuple[R, int]:
    """The record that begins at `at`, of at most `values` values, and where it ends. Raises Incomplete and
    CodecError."""
    value, at = unpack(data, at, values)
    return _record_reader(kind)(value), at


# ---- reading


@cache
def _record_reader(kind: type[R]) -> Callable[[Value], R]:
    hints = get_type_hints(kind, include_extras=True)
    fields = {
        field.encode_name.encode(): (field.name, _reader(hints[field.name])) for field in msgspec.structs.fields(kind)
    }

    def read(value: Value) -> R:
        if not isinstance(value, dict):
            raise CodecError(f"a {kind.__name__} is not a map")
        found: dict[str, Any] = {}
        for key, part in value.items():
            if part is not None and (field := fields.get(key)):
                found[field[0]] = field[1](part)
        return kind(**found)

    return read


def _reader(hint: Any) -> _Reader:
    """What reads a value of this type. Nil was turned into the zero value before, but for elements of a list."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _int_reader(arguments[1])
    if origin is tuple:
        return _list_reader(_reader(arguments[0]))
    if origin is dict:
        return _map_reader(_reader(arguments[1]))
    if isinstance(hint, type) and issubclass(hint, Record):
        return _record_reader(hint)
    return _PLAIN_READERS[hint]


def _int_reader(allowed: range) -> _Reader:
    def read(value: Value) -> int:
        if type(value) is not int or value not in allowed:
            raise CodecError(f"{value!r:.40} is not a number of {allowed.start} … {allowed.stop - 1}")
        return value

    return read


def _list_reader(reader: _Reader) -> _Reader:
    def read(value: Value) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise CodecError("a list is none")
        return tuple(reader(part) for part in value if part is not None)

    return read


def _map_reader(reader: _Reader) -> _Reader:
    def read(value: Value) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise CodecError("a map is none")
        return {_read_text(key): reader(part) for key, part in value.items()}

    return read


def _read_text(value: Value) -> str:
    if not isinstance(value, bytes) or len(value) > MAX_TEXT:
        raise CodecError(f"text is none, or has more than {MAX_TEXT} bytes")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise CodecError("text is not UTF-8") from None


def _read_bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise CodecError("bytes are none")
    return value


def _read_bool(value: Value) -> bool:
    if not isinstance(value, bool):
        raise CodecError("a truth value is none")
    return value


def _read_float(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CodecError("a number is none")
    return float(value)


_PLAIN_READERS: Final[dict[Any, _Reader]] = {
    str: _read_text,
    bytes: _read_bytes,
    bool: _read_bool,
    float: _read_float,
}

# ---- writing


@cache
def _record_writer(kind: type[Record]) -> Callable[[Record], bytes]:
    hints = get_type_hints(kind, include_extras=True)
    ordered = sorted(msgspec.structs.fields(kind), key=lambda field: field.encode_name)  # as Go does
    fields = [(pack(field.encode_name), field.name, _writer(hints[field.name])) for field in ordered]
    head = pack_map_head(len(fields))

    def write(record: Record) -> bytes:
        parts = [head]
        for key, name, writer in fields:
            parts.append(key)
            parts.append(writer(getattr(record, name)))
        return b"".join(parts)

    return write


def _writer(hint: Any) -> _Writer:
    origin = get_origin(hint)
    if origin is Annotated:
        return pack_int
    if origin is tuple:
        return _list_writer(_writer(get_args(hint)[0]))
    if isinstance(hint, type) and not isinstance(hint, types.GenericAlias) and issubclass(hint, Record):
        return cast("_Writer", _record_writer(hint))
    return pack_raw if hint is bytes else pack


def _list_writer(writer: _Writer) -> _Writer:
    def write(values: tuple[Any, ...]) -> bytes:
        return pack_list_head(len(values)) + b"".join(map(writer, values))

    return write
