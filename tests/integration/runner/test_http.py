"""Executor `http` against a real server."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dkronpy.model.execution import State
from dkronpy.model.run import Ended, Grown, Started
from tests.integration.runner.conftest import Agent
from tests.support.processes import free_port


async def answer(request: web.Request) -> web.StreamResponse:
    match request.path:
        case "/echo":
            headers = {name: value for name, value in request.headers.items() if name.startswith("X-")}
            said = {"method": request.method, "headers": headers, "body": await request.text()}
            return web.json_response(said)
        case "/redirect":
            raise web.HTTPFound("/code/200")
        case "/slow":
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"begun\n")
            await asyncio.sleep(300)
            return response
        case "/large":
            return web.Response(body=b"x" * 5_000_000)
        case "/many-a":
            return web.Response(text="a" * 40 + "b")
        case _:
            return web.Response(status=int(request.path.rpartition("/")[2]), text=f"answer of {request.path}")


async def serve(tls: ssl.SSLContext | None = None) -> tuple[web.AppRunner, str]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    return runner, f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    runner, url = await serve()
    yield url
    await runner.cleanup()


class Files:
    """A certificate for 127.0.0.1 that nobody but itself vouches for, and its key."""

    def __init__(self, directory: Path) -> None:
        self.certificate, self.key = directory / "certificate.pem", directory / "key.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .sign(key, hashes.SHA256())
        )
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


async def request(agent: Agent, url: str, **config: str) -> Ended:
    return await agent.run(executor="http", url=url, method=config.pop("method", "GET"), **config)


@pytest.mark.parametrize(
    ("path", "config", "state", "words"),
    [
        ("/code/200", {}, State.SUCCESS, ""),
        ("/code/201", {}, State.SUCCESS, ""),
        ("/code/500", {}, State.FAILED, "the server answered 500, expected 2xx"),
        ("/code/404", {"expectCode": "404, 410"}, State.SUCCESS, ""),
        ("/code/200", {"expectCode": "201,204"}, State.FAILED, "the server answered 200, expected 201, 204"),
        ("/code/200", {"expectBody": "^answer of .*200$"}, State.SUCCESS, ""),
        ("/code/200", {"expectBody": "question"}, State.FAILED, "the body does not match 'question'"),
        ("/code/200", {"expectBody": "(a"}, State.FAILED, "executor_config.expectBody"),
        ("/redirect", {}, State.SUCCESS, ""),
        ("/code/200", {"method": "get", "debug": "true"}, State.SUCCESS, ""),
    ],
)
async def test_success_is_what_is_expected(
    agent: Agent, url: str, path: str, config: dict[str, str], state: State, words: str
):
    ended = await request(agent, url + path, **config)
    assert (ended.state, ended.exit_code) == (state, None)
    assert words in ended.error
    assert bool(words) == bool(ended.error)
    if "executor_config" not in words:
        assert ended.tail.startswith(b"answer of /code/")


async def test_what_is_sent(agent: Agent, url: str):
    headers = json.dumps(["X-One: a:b", "X-Two:c "])
    ended = await request(agent, url + "/echo", method="POST", headers=headers, body="hällo")
    assert json.loads(ended.tail) == {"method": "POST", "headers": {"X-One": "a:b", "X-Two": "c"}, "body": "hällo"}


async def test_it_has_no_process_but_a_start(agent: Agent, url: str):
    key = await agent.start(executor="http", method="GET", url=url + "/code/200")
    ended = await agent.end(key)
    (started,) = agent.heard(Started, key)
    assert started.pid == 0
    assert ended.started == started.at


async def test_the_body_is_spooled_as_any_output(agent: Agent, url: str):
    key = await agent.start(executor="http", method="GET", url=url + "/large", expectBody="^x{100}")
    ended = await agent.end(key)
    assert (ended.state, ended.size, ended.tail) == (State.SUCCESS, 5_000_000, b"")
    assert 1 << 20 <= len(agent.output(key)) <= 2 << 20


async def test_a_slow_answer_times_out_with_what_came_of_it(agent: Agent, url: str):
    ended = await request(agent, url + "/slow", timeout="2s")
    assert (ended.state, ended.tail) == (State.TIMED_OUT, b"begun\n")
    assert "within 2s" in ended.error


async def test_it_can_be_killed(agent: Agent, url: str):
    key = await agent.start(executor="http", method="GET", url=url + "/slow")
    await agent.until(lambda: agent.heard(Grown, key))
    assert await agent.runner.kill(key)
    ended = await agent.end(key)
    assert (ended.state, ended.error, ended.tail) == (State.KILLED, "killed on request", b"begun\n")


async def test_it_is_lost_with_its_runner(agent: Agent, url: str):
    key = await agent.start(executor="http", method="GET", url=url + "/slow")
    await agent.until(lambda: agent.heard(Grown, key))
    await agent.kill_runner()
    await agent.connect()
    ended = agent.status(key).ended
    assert ended is not None
    assert (ended.state, ended.tail) == (State.LOST, b"begun\n")
    assert "under way" in ended.error


async def test_nobody_there(agent: Agent):
    port = free_port()
    ended = await request(agent, f"http://127.0.0.1:{port}/")
    assert ended.state is State.FAILED
    assert f"http://127.0.0.1:{port}/" in ended.error
    assert "refused" in ended.error or "Connect" in ended.error


async def test_a_pattern_that_takes_for_ever_holds_nobody_up(agent: Agent, url: str):
    ended = await request(agent, url + "/many-a", expectBody="(a+)+$")
    assert ended.state is State.FAILED
    assert "write a simpler pattern" in ended.error
    assert (await request(agent, url + "/many-a", expectBody="a+b$")).state is State.SUCCESS
    assert (await agent.run("echo fine")).tail == b"fine\n"


async def test_certificates_are_checked_unless_told_otherwise(agent: Agent, tmp_path: Path):
    files = Files(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files.certificate, files.key)
    server, url = await serve(tls)
    try:
        refused = await request(agent, url + "/code/200")
        assert refused.state is State.FAILED
        assert "certificate" in refused.error.lower()
        assert (await request(agent, url + "/code/200", tlsNoVerifyPeer="true")).state is State.SUCCESS
        known = await request(agent, url + "/code/200", tlsRootCAsFile=str(files.certificate))
        assert known.state is State.SUCCESS
        missing = await request(agent, url + "/code/200", tlsRootCAsFile=str(tmp_path / "missing.pem"))
        assert missing.state is State.FAILED
        assert "missing.pem" in missing.error
    finally:
        await server.cleanup()


async def test_a_certificate_is_shown_where_one_is_asked_for(agent: Agent, tmp_path: Path):
    files = Files(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.certificate))
    tls.load_cert_chain(files.certificate, files.key)
    tls.verify_mode = ssl.CERT_REQUIRED
    server, url = await serve(tls)
    try:
        roots = {"tlsRootCAsFile": str(files.certificate)}
        assert (await request(agent, url + "/code/200", **roots)).state is State.FAILED
        shown = {"tlsCertificateFile": str(files.certificate), "tlsCertificateKeyFile": str(files.key)}
        assert (await request(agent, url + "/code/200", **roots, **shown)).state is State.SUCCESS
    finally:
        await server.cleanup()
