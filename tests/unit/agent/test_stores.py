from __future__ import annotations

import sys

import pytest

from dkronpy.agent.resources import StartError
from dkronpy.agent.stores import make_store
from dkronpy.config import load
from tests.support.stores import SERVERS

PACKAGES = {"dynamodb": "aiobotocore", "etcd": "aetcd", "redis": "redis", "zookeeper": "kazoo"}
"""What a backend needs."""


@pytest.mark.parametrize("backend", PACKAGES)
def test_a_missing_package_is_named(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = PACKAGES[backend]
    for name in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in [name for name in sys.modules if name.startswith(f"dkronpy.store.{backend}")]:
        monkeypatch.delitem(sys.modules, name)
    settings = load(["--server", f"--backend={backend}", "--backend-machine=a:1"], {}, search=[]).settings
    with pytest.raises(StartError, match=rf"{package}.*pip install 'dkronpy\[{backend}\]'"):
        make_store(settings)


@pytest.mark.parametrize("backend", SERVERS)
def test_each_backend_has_a_store(backend: str) -> None:
    settings = load(["--server", f"--backend={backend}", "--backend-machine=a:1"], {}, search=[]).settings
    assert type(make_store(settings)).__module__ == f"dkronpy.store.{backend}"
