"""What all tests share: the meaning of `--full`, and that what a test leaves open is told of at its own end."""

from __future__ import annotations

import gc
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


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def pytest_collection_finish() -> None:
    """What is there before the first test stays: without it a collection takes a few milliseconds."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def left_open() -> Generator[None]:
    """What nobody closed is reported by the test that left it, not by whichever runs when the garbage is collected: so
    it is collected after each test with more open files than before it."""
    before = _open_files()
    yield
    if _open_files() > before:
        gc.collect()


@pytest.fixture(autouse=True, scope="module")
def left_by_module() -> Generator[None]:
    """As `left_open`, for what the other tests of a module and its own fixtures leave."""
    yield
    gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked `full` unless they were asked for."""
    if FULL:
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason="runs only with ./test --full"))
