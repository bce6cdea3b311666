"""The command run in this process against a fake server, at a fixed time in a fixed zone."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from dkronpy.cli import context, main
from tests.support.fake_api import FakeServer, serving

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving() as fake:
        yield fake


class _FixedTime(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return NOW.astimezone(tz)


_parser = functools.cache(main.build_parser)
"""Made once: it takes longer than most commands."""


@dataclass
class Result:
    code: int
    out: str
    err: str


Dkron = Callable[..., Result]


@pytest.fixture
def dkron(server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Dkron]:
    """Run a command against the fake server, at a fixed time in a fixed zone."""
    for name in ("DKRON_API_TOKEN", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DKRON_API_URL", server.url)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    monkeypatch.setattr(context, "datetime", _FixedTime)
    monkeypatch.setattr(main, "build_parser", _parser)

    def run(*argv: str) -> Result:
        try:
            code = main.main(argv)
        except SystemExit as end:  # argparse's way out
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    yield run
    monkeypatch.undo()
    time.tzset()
