from __future__ import annotations

import subprocess
import sys

import pytest

from dkronpy.agent.stores import make_store
from dkronpy.config import load
from tests.support.stores import SERVERS

PACKAGES = {"dynamodb": "aiobotocore", "etcd": "aetcd", "redis": "redis", "zookeeper": "kazoo"}
"""What a backend needs."""


WITHOUT = """
import sys
backend, sys.modules[sys.argv[2]] = sys.argv[1], None
from dkronpy.agent.stores import make_store
from dkronpy.config import load
make_store(load(["--server", f"--backend={backend}", "--backend-machine=a:1"], {}, search=[]).settings)
"""


@pytest.mark.parametrize("backend", PACKAGES)
def test_a_missing_package_is_named(backend: str) -> None:
    """In a process of its own: a module imported twice would not be the one that other tests have."""
    command = [sys.executable, "-c", WITHOUT, backend, PACKAGES[backend]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    last = done.stderr.splitlines()[-1]
    assert "StartError" in last
    assert PACKAGES[backend] in last
    assert last.endswith(f"pip install 'dkronpy[{backend}]'")


@pytest.mark.parametrize("backend", SERVERS)
def test_each_backend_has_a_store(backend: str) -> None:
    settings = load(["--server", f"--backend={backend}", "--backend-machine=a:1"], {}, search=[]).settings
    assert type(make_store(settings)).__module__ == f"dkronpy.store.{backend}"
