"""The greeting of a lane: who knows which keys."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import pytest
from aiohttp import ClientError, web
from aiohttp.test_utils import TestClient, TestServer

from dkronpy.rpc.auth import NONCE_BYTES
from dkronpy.rpc.channel import Channel, ChannelError, Hello, Welcome, answer, converse, greet
from dkronpy.rpc.server import PROTOCOL_NEWEST, PROTOCOL_OLDEST, door

OLD, NEW, OTHER = (os.urandom(16) for _ in range(3))


async def talk(client_keys: Sequence[bytes], server_keys: Sequence[bytes]) -> list[str]:
    """What the server hears when a client greets it and says one word. Raises ChannelError."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def door(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        try:
            channel: Channel[str] = await answer(socket, "test", "server", lambda: server_keys, str)
            await converse(channel, heard.put_nowait)
        except ChannelError:
            await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/", door)
    async with TestClient(TestServer(app)) as client, client.ws_connect("/") as socket:
        channel: Channel[str] = await greet(socket, "test", "client", lambda: client_keys, str)
        assert channel.peer == "server"
        channel.send("hello")
        talking = asyncio.create_task(converse(channel, lambda _: None))
        done, _ = await asyncio.wait(
            [talking, said := asyncio.create_task(heard.get())], timeout=30, return_when=asyncio.FIRST_COMPLETED
        )
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        assert said in done, "the server heard nothing"
        return [said.result()]


@pytest.mark.parametrize(
    ("client", "server"),
    [
        ([], []),
        ([OLD], [OLD]),
        ([OLD], [OLD, NEW]),
        ([OLD, NEW], [NEW, OLD]),
        ([NEW, OLD], [OLD, NEW]),
        ([NEW], [OLD, OTHER, NEW]),
    ],
)
async def test_any_key_that_both_hold_will_do(client: Sequence[bytes], server: Sequence[bytes]) -> None:
    assert await talk(client, server) == ["hello"]


@pytest.mark.parametrize(
    ("client", "server"), [([OLD], [NEW]), ([NEW, OLD], [OLD]), ([], [OLD]), ([OLD], []), ([OLD], [NEW, OTHER])]
)
async def test_the_key_greeted_with_must_be_known(client: Sequence[bytes], server: Sequence[bytes]) -> None:
    """Also where the client holds an older key that the server knows: nodes install a key before any uses it."""
    with pytest.raises(ChannelError, match="does not know this cluster's key"):
        await talk(client, server)


async def welcomed(oldest: int, newest: int) -> Welcome:
    """The answer to a client that speaks these versions."""

    async def door(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        with suppress(ChannelError):
            await answer(socket, "test", "server", list, str)
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/", door)
    async with TestClient(TestServer(app)) as client, client.ws_connect("/") as socket:
        hello = Hello("test", oldest, newest, "client", os.urandom(NONCE_BYTES))
        await socket.send_bytes(msgspec.msgpack.encode(hello))
        return msgspec.msgpack.decode(await socket.receive_bytes(timeout=30), type=Welcome)


@pytest.mark.parametrize("newer", [0, 1])
async def test_neighbouring_releases_agree_on_the_newest_version_that_both_speak(
    monkeypatch: pytest.MonkeyPatch, newer: int
) -> None:
    """`newer`: the server is of a release that speaks one version more."""
    ours = PROTOCOL_NEWEST + newer
    monkeypatch.setattr("dkronpy.rpc.channel.PROTOCOL_NEWEST", ours)
    for oldest, newest in ((PROTOCOL_OLDEST, PROTOCOL_NEWEST), (PROTOCOL_NEWEST, ours + 1)):
        welcome = await welcomed(oldest, newest)
        assert (welcome.version, welcome.refusal) == (min(newest, ours), "")
    refused = await welcomed(ours + 1, ours + 2)
    assert refused.refusal == (
        f"protocol versions {ours + 1}-{ours + 2} are not spoken here, {PROTOCOL_OLDEST}-{ours} are"
    )


async def test_a_greeting_of_a_later_release_may_say_more() -> None:
    hello = msgspec.msgpack.encode([*msgspec.structs.astuple(Hello("test", 1, 9, "n", b"x" * 32)), "news"])
    assert msgspec.msgpack.decode(hello, type=Hello).newest == 9


async def test_a_peer_that_hung_up_before_it_was_greeted_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    served: list[web.WebSocketResponse] = []

    async def serve(socket: web.WebSocketResponse) -> None:
        served.append(socket)

    async def lost(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return await door(serve)(request)

    app = web.Application()
    app.router.add_get("/", lost)
    async with TestClient(TestServer(app)) as client:
        with pytest.raises(ClientError):
            await client.ws_connect("/")
    assert served == []
    assert "Error" not in caplog.text
