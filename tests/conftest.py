"""What all tests share: the meaning of `--full`."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from typing import Any

import hypothesis
import pytest

from tests.support.consul import wait_built

FULL = bool(os.environ.get("DKRONPY_FULL"))

# Started in the background of a script, SIGINT is ignored, here and in every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("quick", deadline=None)
hypothesis.settings.register_profile("full", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("full" if FULL else "quick")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Before the test's time begins, wait for what it needs and is still being built."""
    if "consul" in item.nodeid and "unit" not in item.path.parts:
        capture: Any = item.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            wait_built()
    return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked `full` unless they were asked for."""
    if FULL:
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason="runs only with ./test --full"))
