"""What a single server does with jobs besides firing them: environment, kills, following, deletion, parents, pauses."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from dkronpy.model.times import parse_rfc3339
from tests.support.processes import SECOND, Agent, fire_second, until

KEY = "pBcTlrqlDmLAr1bkGrZVmQW7RvFtDvVhnFmpAZbTtv0="
TOKEN = "a-token-that-no-run-may-see"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Generator[Agent]:
    """One agent for all tests here; its environment holds secrets."""
    secrets = {"DKRON_ENCRYPT": KEY, "DKRON_API_TOKEN": TOKEN, "DKRON_LOG_LEVEL": "info", "OURS": "seen"}
    agent = Agent(tmp_path_factory.mktemp("node"), environment=secrets)
    try:
        yield agent.start()
    finally:
        agent.clean_up()
