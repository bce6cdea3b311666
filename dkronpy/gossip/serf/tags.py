"""Tags on the wire: 0xFF and a map. What doesn't begin so is the role alone, as serf's protocol 2 has it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from dkronpy.gossip.codec.msgpack import CodecError, pack, unpack
from dkronpy.gossip.swim.nodes import MAX_META

log = logging.getLogger(__name__)

_MAGIC: Final = b"\xff"


class TagsError(ValueError):
    """The tags don't fit."""


def encode_tags(tags: Mapping[str, str]) -> bytes:
    """Raises TagsError if they need more than MAX_META bytes."""
    meta = _MAGIC + pack(dict(tags))
    if len(meta) > MAX_META:
        raise TagsError(
            f"the node's tags need {len(meta)} bytes, {len(meta) - MAX_META} more than gossip carries: "
            "take fewer or shorter ones"
        )
    return meta


def decode_tags(meta: bytes) -> dict[str, str]:
    """What can't be read has no tags."""
    if not meta.startswith(_MAGIC):
        return {"role": meta.decode(errors="replace")}
    try:
        tags, _ = unpack(meta, 1)
    except CodecError as error:
        log.warning("a node's tags can't be read: %s", error)
        return {}
    if not isinstance(tags, dict):
        return {}
    return {
        key.decode(errors="replace"): value.decode(errors="replace")
        for key, value in tags.items()
        if isinstance(value, bytes)
    }
