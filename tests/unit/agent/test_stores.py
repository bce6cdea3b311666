from __future__ import annotations

import sys

import pytest

from dkronpy.agent.resources import StartError
from dkronpy.agent.stores import make_store
from dkronpy.config import load
from tests.support.stores import SERVERS

PACKAGES = {"etcd": "aetcd", "redis": "redis"}
"""What a backend needs."""


@pytest.mark.parametrize("backend", PACKAGES)
def test_a_missing_package_is_named(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES[backend], None)
    monkeypatch.delitem(sys.modules, f"dkronpy.store.{backend}", raising=False)
    settings = load(["--server", f"--backend={backend}", "--backend-machine=a:1"], {}, search=[]).settings
    with pytest.raises(StartError, match=rf"{PACKAGES[backend]}.*pip install 'dkronpy\[{backend}\]'"):
        make_store(settings)


@pytest.mark.parametrize("backend", SERVERS)
def test_each_backend_has_a_store(backend: str) -> None:
    settings = load(["--server", f"--backend={backend}", "--backend-machine=a:1"], {}, search=[]).settings
    assert type(make_store(settings)).__module__ == f"dkronpy.store.{backend}"
