"""TLS between nodes: both ends show a certificate of one authority."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, web

from dkronpy.rpc.channel import Channel, ChannelError, answer, greet
from dkronpy.rpc.dialer import Dialer
from dkronpy.rpc.tls import BadCertificate, Tls, load
from tests.support.certificates import make_certificates
from tests.support.processes import HOST


def certificates(folder: Path, name: str = "server") -> Tls:
    folder.mkdir(exist_ok=True)
    if not (folder / "ca.pem").exists():
        make_certificates(folder)
    return load(folder / f"{name}.pem", folder / f"{name}.key", folder / "ca.pem")


@asynccontextmanager
async def node(tls: Tls | None) -> AsyncGenerator[str]:
    """The address of a node that greets everybody who gets so far."""

    async def door(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        try:
            await answer(socket, "test", "server", list, str)
        except ChannelError:
            await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/", door)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0, ssl_context=None if tls is None else tls.server).start()
        yield f"{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def greeted(address: str, tls: Tls | None) -> str:
    async with AsyncExitStack() as stack:
        dialer = Dialer(await stack.enter_async_context(ClientSession()), tls)
        socket = await stack.enter_async_context(dialer.connect(address, "/", longest=4096))
        channel: Channel[str] = await greet(socket, "test", "client", list, str)
        return channel.peer


async def test_who_has_a_certificate_of_the_authority_gets_in(tmp_path: Path) -> None:
    async with node(certificates(tmp_path)) as address:
        assert await greeted(address, certificates(tmp_path, "client")) == "server"


async def test_nobody_else_does(tmp_path: Path) -> None:
    ours, others = certificates(tmp_path / "ours"), certificates(tmp_path / "others")
    halves = [Tls(ours.server, others.client), None]
    bare = load(tmp_path / "ours" / "client.pem", tmp_path / "ours" / "client.key", tmp_path / "others" / "ca.pem")
    async with node(ours) as address:
        for tls in (*halves, bare):  # of another authority; without TLS; that trusts another authority
            with pytest.raises((ClientError, OSError, ChannelError)):
                await greeted(address, tls)
    async with node(None) as address:
        with pytest.raises((ClientError, OSError, ChannelError)):
            await greeted(address, ours)


def test_files_that_can_not_be_used_are_named(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    with pytest.raises(BadCertificate, match=r"rpc-key-file .*client\.key"):
        load(tmp_path / "server.pem", tmp_path / "client.key", tmp_path / "ca.pem")
    with pytest.raises(BadCertificate, match=r"none\.pem.*No such file"):
        load(tmp_path / "none.pem", tmp_path / "client.key", tmp_path / "ca.pem")
