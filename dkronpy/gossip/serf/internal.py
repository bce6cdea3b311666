"""The queries that every node answers: reachability, who has a name, and the keyring."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from enum import StrEnum

from dkronpy.gossip.codec.keyring import Keyring, KeyringError
from dkronpy.gossip.codec.messages import ip_bytes
from dkronpy.gossip.codec.msgpack import CodecError
from dkronpy.gossip.codec.serf_messages import (
    KeyRequest,
    KeyResponse,
    Query,
    Response,
    WireMember,
    decode_as,
    encode_serf,
)
from dkronpy.gossip.context import Context
from dkronpy.gossip.effects import KeyringChanged
from dkronpy.gossip.serf.members import Members
from dkronpy.gossip.serf.queries import MAX_RESPONSE

log = logging.getLogger(__name__)


class InternalName(StrEnum):
    """What they are called."""

    PING = "_serf_ping"
    """Needs only its acknowledgement."""
    CONFLICT = "_serf_conflict"
    INSTALL_KEY = "_serf_install-key"
    USE_KEY = "_serf_use-key"
    REMOVE_KEY = "_serf_remove-key"
    LIST_KEYS = "_serf_list-keys"


class Internal:
    """`keyring` is None in a cluster without encryption."""

    def __init__(self, context: Context, me: str, members: Members, keyring: Keyring | None) -> None:
        self._context = context
        self._me = me
        self._members = members
        self._keyring = keyring

    def answer(self, query: Query) -> bytes | None:
        """This node's answer, if there is any to be given."""
        match query.name:
            case InternalName.CONFLICT:
                return self._who_has(query.payload.decode(errors="replace"))
            case InternalName.LIST_KEYS:
                return self._list_keys(query)
            case InternalName.INSTALL_KEY:
                return self._change(query, Keyring.add)
            case InternalName.USE_KEY:
                return self._change(query, Keyring.use)
            case InternalName.REMOVE_KEY:
                return self._change(query, Keyring.remove)
            case _:
                return None

    def _who_has(self, name: str) -> bytes | None:
        """A node doesn't vote about itself."""
        known = self._members.get(name)
        if name == self._me or known is None:
            return None
        member = known.member
        return encode_serf(
            WireMember(
                member.name,
                ip_bytes(member.addr),
                member.port,
                member.tags,
                member.status,
                member.protocol_min,
                member.protocol_max,
                member.protocol_cur,
                member.delegate_min,
                member.delegate_max,
                member.delegate_cur,
            )
        )

    def _change(self, query: Query, change: Callable[[Keyring, bytes], None]) -> bytes:
        if self._keyring is None:
            return encode_serf(KeyResponse(False, "this node has no keyring: gossip is not encrypted"))
        try:
            change(self._keyring, decode_as(KeyRequest, query.payload).key)
        except (KeyringError, CodecError) as error:
            log.error("%s: %s", query.name, error)
            return encode_serf(KeyResponse(False, str(error)))
        log.info("the keyring was changed by %s: %s", query.source_node, query.name)
        self._context.emit(KeyringChanged())
        return encode_serf(KeyResponse(True))

    def _list_keys(self, query: Query) -> bytes:
        """As many keys as the answer holds."""
        if self._keyring is None:
            return encode_serf(KeyResponse(False, "this node has no keyring: gossip is not encrypted"))
        keys = [base64.b64encode(key).decode() for key in self._keyring.keys]
        answer = encode_serf(KeyResponse(True, "", tuple(keys), keys[0]))
        for count in range(len(keys) - 1, -1, -1):
            if len(encode_serf(Response(query.ltime, query.id, self._me, 0, answer))) <= MAX_RESPONSE:
                break
            message = f"truncated: the first {count} of {len(keys)} keys"
            answer = encode_serf(KeyResponse(True, message, tuple(keys[:count]), keys[0]))
        return answer
