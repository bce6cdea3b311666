"""What a node remembers on disk: the other members, so that it finds them after a restart, and the keyring."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from dkronpy.gossip.codec.keyring import Keyring, KeyringError
from dkronpy.gossip.codec.messages import Address
from dkronpy.gossip.errors import GossipError
from dkronpy.gossip.serf.serf import Clocks

log = logging.getLogger(__name__)

_MEMBERS: Final = "members.json"
_KEYRING: Final = "keyring.json"


class Remembered(msgspec.Struct, frozen=True):
    """The other members and the clocks when it was written."""

    members: dict[str, Address] = msgspec.field(default_factory=dict[str, Address])
    clocks: Clocks = Clocks()


class _Keys(msgspec.Struct, frozen=True):
    keys: list[str]
    """In base64, the primary first."""
    configured: str
    """The SHA-256 of the key in the configuration when the file was written."""


class Files:
    """A directory of them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self) -> Remembered:
        """What was remembered; nothing, where there is no file or one that can't be read."""
        try:
            return msgspec.json.decode((self._directory / _MEMBERS).read_bytes(), type=Remembered)
        except FileNotFoundError:
            return Remembered()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("the remembered members can't be read: %s", error)
            return Remembered()

    def save(self, remembered: Remembered) -> None:
        """Raises OSError."""
        self._write(_MEMBERS, msgspec.json.encode(remembered), durable=False)  # it is only a hint

    def forget(self) -> None:
        """Don't remember any members. Raises OSError."""
        (self._directory / _MEMBERS).unlink(missing_ok=True)

    def keyring(self, configured: bytes) -> Keyring:
        """The keys that were installed last. A key that was configured since comes first, and the others are still
        understood. Raises GossipError."""
        try:
            found = msgspec.json.decode((self._directory / _KEYRING).read_bytes(), type=_Keys)
            keys = [base64.b64decode(key, validate=True) for key in found.keys]
            if found.configured != _fingerprint(configured):
                keys.insert(0, configured)
            elif configured not in keys:
                log.warning("the configured key was removed from the keyring: configure the one in use")
            return Keyring(dict.fromkeys(keys))
        except FileNotFoundError:
            return Keyring([configured])
        except (OSError, ValueError, msgspec.DecodeError, KeyringError) as error:
            raise GossipError(
                f"the keyring {self._directory / _KEYRING} can't be read ({error}): mend it, or delete it to begin "
                "anew with the configured key"
            ) from error

    def save_keyring(self, keyring: Keyring, configured: bytes) -> None:
        """Raises OSError."""
        keys = [base64.b64encode(key).decode() for key in keyring.keys]
        self._write(_KEYRING, msgspec.json.encode(_Keys(keys, _fingerprint(configured))), durable=True)

    def _write(self, name: str, data: bytes, *, durable: bool) -> None:
        """All or nothing, readable by this user only."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / name
        fresh = path.with_suffix(".new")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        fresh.replace(path)


def _fingerprint(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()
