"""Who is at the other end of a lane: a mutual challenge over keys derived from the cluster key, and sealed frames
after it.

Each side sends a nonce; each proves that it knows the key by an HMAC over the whole greeting (kind of lane, names,
versions, both nonces), with a label of its own so that neither proof can be sent back. From the same greeting come
two AES-GCM keys, one a direction; frames are numbered by their nonce, so that none can be left out, repeated or
changed. Without a cluster key (loopback only, or `--allow-unencrypted`) the same messages are exchanged with an empty
key, and frames are not sealed.

A node may hold several keys while the cluster's key is changed: it greets with its primary one and hints which that
is, and the other side answers with the same one if it holds it. The hint is an HMAC over the greeting's nonce, so
that it tells nothing to those who have no key.

HKDF is RFC 5869, AES-GCM NIST SP 800-38D.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 32

Keys = Callable[[], Sequence[bytes]]
"""The cluster's keys of the moment, the primary first; none where there is no key."""


class Unauthenticated(Exception):
    """The peer does not know the cluster key, or a frame was tampered with."""


def hint(key: bytes | None, nonce: bytes) -> bytes:
    """Tells those who hold the key, among the keys that they hold, which one it is; empty for no key."""
    return b"" if key is None else hmac.digest(key, b"dkronpy rpc hint\0" + nonce, hashlib.sha256)[:16]


def hinted(keys: Sequence[bytes], hint_: bytes, nonce: bytes) -> bytes | None:
    """The key that a hint means; where it is none of these, the primary one, which the peer won't accept."""
    for key in keys:
        if hmac.compare_digest(hint(key, nonce), hint_):
            return key
    return primary(keys)


def primary(keys: Sequence[bytes]) -> bytes | None:
    """The key to greet with, None where there is none."""
    return keys[0] if keys else None


class Secret:
    """What both ends of a lane derive from the cluster key and the transcript of their greeting."""

    def __init__(self, key: bytes | None, transcript: bytes) -> None:
        self._root = hmac.digest(b"dkronpy rpc 1", key or b"", hashlib.sha256)
        self._transcript = transcript
        self.sealed = key is not None

    def proof(self, side: str) -> bytes:
        """What the `client` or the `server` shows to prove that it knows the key."""
        return self._derive(f"proof {side}")

    def check(self, side: str, proof: bytes) -> None:
        """Raise Unauthenticated unless this is the proof of that side."""
        if not hmac.compare_digest(self.proof(side), proof):
            raise Unauthenticated("the peer does not know this cluster's key: give every node the same --encrypt")

    def seal(self, side: str) -> Seal | None:
        """The seal of the frames that this side sends; None when frames are not sealed."""
        return Seal(self._derive(f"frames {side}")) if self.sealed else None

    def _derive(self, label: str) -> bytes:
        return hmac.digest(self._root, label.encode() + b"\0" + self._transcript, hashlib.sha256)


class Seal:
    """One direction's frames, in order."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._count = 0

    def close(self, frame: bytes) -> bytes:
        """Encrypt the next frame."""
        return self._cipher.encrypt(self._next(), frame, None)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt the next frame. Raises Unauthenticated if it is not the one its sender sent next."""
        try:
            return self._cipher.decrypt(self._next(), sealed, None)
        except InvalidTag:
            raise Unauthenticated("a frame was changed, repeated or left out on its way") from None

    def _next(self) -> bytes:
        self._count += 1
        return self._count.to_bytes(12, "big")
