"""MessagePack as Go's codec writes it by default: the specification of before 2013, with one "raw" type for text and
bytes.

No library reads it safely enough: raw may hold any bytes, and every length and count here comes from a stranger.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, cast

Value: TypeAlias = "bool | int | float | bytes | list[Value] | dict[bytes, Value] | None"
"""What is read: raw, strings and binaries are all bytes, keys too."""

MAX_DEPTH: Final = 8
"""Containers in containers; serf's deepest message, a push-pull with events, has four."""
MAX_VALUES: Final = 4096
"""Elements of all containers of one value: bounds memory, for an empty list costs a byte on the wire and 56 here."""


class CodecError(Exception):
    """The bytes are not what a peer of this protocol sends."""


class Incomplete(CodecError):
    """The bytes end before the value does."""


def unpack(data: bytes, at: int = 0, values: int = MAX_VALUES) -> tuple[Value, int]:
    """The value that begins at `at`, and where it ends. Raises Incomplete and CodecError, the latter also where its
    containers have more than `values` elements."""
    try:
        return _unpack(data, at, MAX_DEPTH, [values])
    except (IndexError, struct.error):
        raise Incomplete("the value is cut off") from None


_NUMBERS: Final[dict[int, struct.Struct]] = {
    0xCA: struct.Struct(">f"),
    0xCB: struct.Struct(">d"),
    0xCC: struct.Struct(">B"),
    0xCD: struct.Struct(">H"),
    0xCE: struct.Struct(">I"),
    0xCF: struct.Struct(">Q"),
    0xD0: struct.Struct(">b"),
    0xD1: struct.Struct(">h"),
    0xD2: struct.Struct(">i"),
    0xD3: struct.Struct(">q"),
}
_RAW_LENGTHS: Final[dict[int, int]] = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_COUNT_LENGTHS: Final[dict[int, int]] = {0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}
_CONSTANTS: Final[dict[int, bool | None]] = {0xC0: None, 0xC2: False, 0xC3: True}


def _unpack(data: bytes, at: int, depth: int, budget: list[int]) -> tuple[Value, int]:
    """`budget` holds how many elements containers may still have."""
    kind = data[at]
    at += 1
    if kind < 0x80:
        return kind, at
    if kind >= 0xE0:
        return kind - 0x100, at
    if kind < 0x90:
        return _map(data, at, kind & 0x0F, depth, budget)
    if kind < 0xA0:
        return _list(data, at, kind & 0x0F, depth, budget)
    if kind < 0xC0:
        return _raw(data, at, kind & 0x1F)
    if number := _NUMBERS.get(kind):
        return number.unpack_from(data, at)[0], at + number.size
    if size := _RAW_LENGTHS.get(kind):
        length, at = _length(data, at, size)
        return _raw(data, at, length)
    if size := _COUNT_LENGTHS.get(kind):
        count, at = _length(data, at, size)
        return (_map if kind >= 0xDE else _list)(data, at, count, depth, budget)
    try:
        return _CONSTANTS[kind], at
    except KeyError:
        raise CodecError(f"no value begins with byte {kind:#04x}") from None


def _length(data: bytes, at: int, size: int) -> tuple[int, int]:
    end = at + size
    if end > len(data):
        raise Incomplete("a length is cut off")
    return int.from_bytes(data[at:end], "big"), end


def _raw(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    end = at + length
    if end > len(data):
        raise Incomplete("text is cut off")
    return data[at:end], end


def _enter(count: int, depth: int, budget: list[int]) -> None:
    budget[0] -= count
    if budget[0] < 0:
        raise CodecError("too many values in one message")
    if not depth:
        raise CodecError(f"values are nested deeper than {MAX_DEPTH}")


def _list(data: bytes, at: int, count: int, depth: int, budget: list[int]) -> tuple[list[Value], int]:
    _enter(count, depth, budget)
    values: list[Value] = []
    for _ in range(count):
        value, at = _unpack(data, at, depth - 1, budget)
        values.append(value)
    return values, at


def _map(data: bytes, at: int, count: int, depth: int, budget: list[int]) -> tuple[dict[bytes, Value], int]:
    _enter(count, depth, budget)
    values: dict[bytes, Value] = {}
    for _ in range(count):
        kind = data[at]
        if 0xA0 <= kind < 0xC0:  # as for all names of fields: this makes reading a third quicker
            key, at = _raw(data, at + 1, kind & 0x1F)
        else:
            key, at = _unpack(data, at, 0, budget)
        if not isinstance(key, bytes):
            raise CodecError("the key of a map is not text")
        values[key], at = _unpack(data, at, depth - 1, budget)
    return values, at


Packable: TypeAlias = "bool | int | float | bytes | str | Sequence[Packable] | Mapping[str, Packable] | None"
"""What can be written."""


def pack(value: Packable) -> bytes:
    """The value as bytes, every number and length in its shortest form."""
    if isinstance(value, str):
        return pack_raw(value.encode())
    try:
        return _PACKERS[type(value)](value)
    except KeyError:
        raise TypeError(f"{type(value).__name__} has no form on the wire") from None


def pack_raw(value: bytes) -> bytes:
    """Text or bytes."""
    return _head(len(value), 0xA0, 32, (0xDA, 0xDB)) + value


def pack_int(value: int) -> bytes:
    """A whole number of -2^63 … 2^64-1."""
    if -32 <= value < 128:
        return bytes((value & 0xFF,))
    for kind in (0xCC, 0xCD, 0xCE, 0xCF) if value >= 0 else (0xD0, 0xD1, 0xD2, 0xD3):
        try:
            return bytes((kind,)) + _NUMBERS[kind].pack(value)
        except struct.error:
            continue
    raise ValueError(f"{value} has more than 64 bits")


def pack_list_head(count: int) -> bytes:
    """What comes before the values of a list."""
    return _head(count, 0x90, 16, (0xDC, 0xDD))


def pack_map_head(count: int) -> bytes:
    """What comes before the keys and values of a map, which follow each other."""
    return _head(count, 0x80, 16, (0xDE, 0xDF))


def _head(count: int, short: int, limit: int, kinds: tuple[int, int]) -> bytes:
    if count < limit:
        return bytes((short | count,))
    if count < 0x10000:
        return bytes((kinds[0],)) + count.to_bytes(2, "big")
    return bytes((kinds[1],)) + count.to_bytes(4, "big")


def _pack_list(values: Sequence[Packable]) -> bytes:
    return pack_list_head(len(values)) + b"".join(map(pack, values))


def _pack_map(values: Mapping[str, Packable]) -> bytes:
    return pack_map_head(len(values)) + b"".join(pack(key) + pack(value) for key, value in values.items())


def _pack_none(_: None) -> bytes:
    return b"\xc0"


def _pack_bool(value: bool) -> bytes:
    return b"\xc3" if value else b"\xc2"


def _pack_float(value: float) -> bytes:
    return b"\xcb" + _NUMBERS[0xCB].pack(value)


_PACKERS: Final = cast(
    "dict[type, Callable[[object], bytes]]",
    {
        type(None): _pack_none,
        bool: _pack_bool,
        int: pack_int,
        float: _pack_float,
        bytes: pack_raw,
        list: _pack_list,
        tuple: _pack_list,
        dict: _pack_map,
    },
)
