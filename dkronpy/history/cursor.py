"""The opaque text by which a listing goes on: the place of the last execution seen, in the order of a query."""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Annotated

import msgspec

if TYPE_CHECKING:
    from dkronpy.model.execution import Execution

_Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


class Position(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A place in the order of a query: group and attempt descending, then node and job ascending."""

    group: _Int64
    attempt: _Int64
    node: str
    job: str


_decoder = msgspec.msgpack.Decoder(Position)


def encode_cursor(execution: Execution) -> str:
    """The cursor that continues after `execution`; URL-safe."""
    return encode_position(Position(execution.group, execution.attempt, execution.node, execution.job))


def encode_position(position: Position) -> str:
    """The cursor that continues after a place."""
    return urlsafe_b64encode(msgspec.msgpack.encode(position)).rstrip(b"=").decode()


def decode_cursor(text: str) -> Position:
    """The inverse of `encode_cursor`. Raises ValueError for text that it did not make."""
    try:
        data = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return _decoder.decode(data)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise ValueError(f"not a cursor of this list: {text[:80]!r}; use one that an answer gave, unchanged") from error
