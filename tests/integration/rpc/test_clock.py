"""Clocks are compared over real connections."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from dkronpy.leadership.clock_lanes import PATH, compare, door
from dkronpy.leadership.clocks import Clocks
from dkronpy.model.duration import SECOND
from dkronpy.model.member import Member
from dkronpy.rpc.dialer import Dialer
from tests.support.machine import measured
from tests.support.processes import free_port

KEY = bytes(16)


async def test_a_clock_behind_all_others(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = {"n2": 5.0, "n3": 5.0}
    told: asyncio.Queue[float] = asyncio.Queue()
    clocks = Clocks()
    monkeypatch.setattr("dkronpy.leadership.clock_lanes.INTERVAL", 0.05)
    async with AsyncExitStack() as stack:
        members = [
            Member("n1", "127.0.0.1", 1, {}),
            Member("n4", "127.0.0.1", 1, {"rpc_addr": f"127.0.0.1:{free_port()}"}),
        ]
        for name in ahead:
            app = web.Application()
            clock = lambda name=name: time.time_ns() + int(ahead[name] * SECOND)  # noqa: E731
            app.router.add_get(PATH, door(name, lambda: [KEY], clock))
            server = await stack.enter_async_context(TestServer(app))
            members.append(Member(name, "127.0.0.1", 1, {"rpc_addr": f"{server.host}:{server.port}"}))
        session = await stack.enter_async_context(ClientSession())
        comparing = asyncio.create_task(
            compare(Dialer(session), "n1", lambda: [KEY], lambda: members, clocks, told.put_nowait)
        )
        async with asyncio.timeout(60):
            for _ in range(3):
                with measured() as machine:
                    worst = await told.get()
                assert worst == pytest.approx(5, abs=machine.allowed(0.2))
            assert "s behind the other servers'" in (clocks.fault(time.monotonic()) or "")
            ahead["n2"] = 0.0
            while clocks.fault(time.monotonic()) is not None:
                await told.get()
            await told.get()
        comparing.cancel()
        await asyncio.wait([comparing])
    assert [record.levelno for record in caplog.records if record.levelno > logging.INFO] == [logging.ERROR], (
        "told once"
    )


async def test_who_has_another_key_is_not_believed() -> None:
    told: asyncio.Queue[float] = asyncio.Queue()
    app = web.Application()
    app.router.add_get(PATH, door("n2", lambda: [bytes(range(16))], lambda: 0))
    async with TestServer(app) as server, ClientSession() as session:
        member = Member("n2", "127.0.0.1", 1, {"rpc_addr": f"{server.host}:{server.port}"})
        comparing = asyncio.create_task(
            compare(Dialer(session), "n1", lambda: [KEY], lambda: [member], Clocks(), told.put_nowait)
        )
        async with asyncio.timeout(60):
            assert await told.get() == 0
        comparing.cancel()
        await asyncio.wait([comparing])
