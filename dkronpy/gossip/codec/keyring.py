"""AES-GCM as memberlist does it, and the keys: the first encrypts, all of them decrypt, so that keys can be changed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dkronpy.gossip.codec.msgpack import CodecError

NONCE: Final = 12
TAG: Final = 16
BLOCK: Final = 16
OVERHEAD: Final = 1 + NONCE + TAG
"""Bytes that sealing adds."""
KEY_SIZES: Final = (16, 24, 32)


class SealVersion(IntEnum):
    """The first byte of what is sealed."""

    PADDED = 0
    """Padded to whole blocks, as memberlist's protocol 1 wants it; only read."""
    PLAIN = 1


class KeyringError(ValueError):
    """A key can't be used so; the message says why."""


class Keyring:
    """At least one key, the primary first. Raises KeyringError for a key of another size than AES has."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._ciphers: dict[bytes, AESGCM] = {}
        for key in keys:
            self.add(key)
        if not self._ciphers:
            raise KeyringError("a keyring needs a key")

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The primary one first."""
        return tuple(self._ciphers)

    @property
    def primary(self) -> bytes:
        return next(iter(self._ciphers))

    def add(self, key: bytes) -> None:
        """Decrypt with it too; one that is there already stays where it is."""
        if len(key) not in KEY_SIZES:
            raise KeyringError(f"a key of {len(key)} bytes: it must have 16, 24 or 32")
        self._ciphers.setdefault(key, AESGCM(key))

    def use(self, key: bytes) -> None:
        """Encrypt with it from now on."""
        if key not in self._ciphers:
            raise KeyringError("the key is not in the keyring: install it first")
        self._ciphers = {key: self._ciphers[key], **self._ciphers}

    def remove(self, key: bytes) -> None:
        """One that is not there may be removed, the primary may not."""
        if key == self.primary:
            raise KeyringError("the key is the primary one, which encrypts: use another first")
        self._ciphers.pop(key, None)

    def seal(self, plain: bytes, associated: bytes | None = None) -> bytes:
        """Encrypt and authenticate; `associated` is authenticated only."""
        nonce = os.urandom(NONCE)
        sealed = self._ciphers[self.primary].encrypt(nonce, plain, associated)
        return bytes((SealVersion.PLAIN,)) + nonce + sealed

    def open(self, data: bytes, associated: bytes | None = None) -> bytes:
        """The plain bytes. Raises CodecError if no key fits or anything was changed."""
        if len(data) < OVERHEAD or data[0] > SealVersion.PLAIN:
            raise CodecError("the data is not encrypted, or in a newer way")
        nonce, sealed = data[1 : 1 + NONCE], data[1 + NONCE :]
        for cipher in self._ciphers.values():
            try:
                plain = cipher.decrypt(nonce, sealed, associated)
            except InvalidTag:
                continue
            return _unpadded(plain) if data[0] == SealVersion.PADDED else plain
        raise CodecError("no key decrypts the data")


def _unpadded(plain: bytes) -> bytes:
    """Without its PKCS#7 padding."""
    padding = plain[-1] if plain else 0
    if not 0 < padding <= min(BLOCK, len(plain)):
        raise CodecError("the padding is wrong")
    return plain[:-padding]
