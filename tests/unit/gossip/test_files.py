"""What a node remembers on disk."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dkronpy.gossip.codec.keyring import Keyring
from dkronpy.gossip.codec.messages import Address
from dkronpy.gossip.errors import GossipError
from dkronpy.gossip.files import Files, Remembered
from dkronpy.gossip.serf.serf import Clocks

OLD, NEW, OTHER = bytes(16), bytes(range(16)), bytes(range(32))


def test_members_and_clocks_are_remembered_until_they_are_forgotten(tmp_path: Path) -> None:
    files = Files(tmp_path / "gossip")
    assert files.load() == Remembered()
    remembered = Remembered({"größe": Address("10.0.0.1", 8946), "n2": Address("::1", 1)}, Clocks(3, 4, 5))
    files.save(remembered)
    assert Files(tmp_path / "gossip").load() == remembered
    files.forget()
    files.forget()
    assert files.load() == Remembered()


@pytest.mark.parametrize("damage", [b"", b"{", b'{"members": 7}', b"\xff"])
def test_a_damaged_memory_is_none(tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "members.json").write_bytes(damage)
    assert Files(tmp_path).load() == Remembered()
    assert "can't be read" in caplog.text


def test_keys_that_were_installed_outlast_a_restart(tmp_path: Path) -> None:
    files = Files(tmp_path)
    ring = files.keyring(OLD)
    assert ring.keys == (OLD,)
    ring.add(NEW)
    ring.use(NEW)
    ring.remove(OLD)
    files.save_keyring(ring, OLD)
    assert stat.S_IMODE((tmp_path / "keyring.json").stat().st_mode) == 0o600
    assert files.keyring(OLD).keys == (NEW,), "the configuration is the old one still"
    assert files.keyring(NEW).keys == (NEW,), "the configuration was brought up to date"
    assert files.keyring(OTHER).keys == (OTHER, NEW), "another key was configured since"


@pytest.mark.parametrize("damage", [b"", b'{"keys": ["x"], "configured": ""}', b'{"keys": [], "configured": ""}'])
def test_a_damaged_keyring_is_not_passed_over(tmp_path: Path, damage: bytes) -> None:
    files = Files(tmp_path)
    files.save_keyring(Keyring([OLD]), OLD)
    configured = (tmp_path / "keyring.json").read_text().split('"configured":"')[1][:64].encode()
    (tmp_path / "keyring.json").write_bytes(damage.replace(b'"configured": ""', b'"configured": "' + configured + b'"'))
    with pytest.raises(GossipError, match="mend it, or delete it"):
        files.keyring(OLD)
