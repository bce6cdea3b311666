"""Ways into Consul: addresses, tokens, TLS, and what is said where there is none."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from dkronpy.agent.stores import make_store
from dkronpy.config import Settings
from dkronpy.store.consul import ConsulStore
from dkronpy.store.contract import Put, TooLarge, Unavailable
from tests.support.certificates import make_certificates
from tests.support.consul import Consul
from tests.support.processes import HOST, free_port
from tests.support.servers import shared
from tests.support.store_faults import opened, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkronpy.store.contract import Store

MASTER = "7f1cf8ac-54f1-4c3e-9d0e-8a2a2e5b7c11"


@pytest.mark.parametrize("machine", ["", "http://", "consul://a:1", "a:b", "a/b", ":8500", "https://a:1/x"])
def test_what_is_no_machine(machine: str) -> None:
    with pytest.raises(ValueError, match="not a machine of Consul"):
        ConsulStore([machine])


def test_no_machines() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ConsulStore([])
    with pytest.raises(ValueError, match="give the token as backend-password"):
        ConsulStore(["a:1"], user="me", password="s3cret")


async def test_nobody_there() -> None:
    first, second = (f"{HOST}:{free_port()}" for _ in range(2))
    with pytest.raises(Unavailable, match=rf"Consul can't be reached: {first}: .*; {second}: "):
        await ConsulStore([first, f"http://{second}/"]).open()


async def test_a_version_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dkronpy.store.consul_machines.OLDEST", (99, 0))
    with pytest.raises(Unavailable, match=r"is version \d+\.\d+\.\d+: 99.0 or later is needed"):
        await shared(Consul).store().open()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"status": 404}, "is it Consul 1.0 or later"),
        ({"status": 405}, "is it Consul 1.0 or later"),
        ({"status": 301, "headers": {"Location": "/elsewhere"}}, "status 301"),
        ({"status": 200, "text": "It works!"}, "what answers is not Consul"),
        ({"status": 200, "text": "[]"}, "what answers is not Consul"),
        (
            {"status": 200, "text": '{"Config": {"Version": "0.9.4+ent"}}'},
            "is version 0.9.4.ent: 1.0 or later is needed",
        ),
        ({"status": 400, "text": 'unknown KV verb "check-not-exists"'}, "unknown KV verb"),
    ],
)
async def test_somebody_else_there(answer: dict[str, Any], why: str) -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(**answer)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, HOST, port := free_port()).start()
    try:
        with pytest.raises(Unavailable, match=why):
            await ConsulStore([f"{HOST}:{port}"]).open()
    finally:
        await runner.cleanup()


async def works(store: Store) -> None:
    """It does what it must be allowed to do."""
    async with opened(store):
        revision = await store.commit([], [Put("a", b"1")])
        assert [event.revision for event in await anext(store.watch("", revision - 1))] == [revision]
        assert (await store.list("")).revision == revision
        assert await store.get("a")


async def test_what_others_keep_there(tmp_path: Path) -> None:
    with Consul(tmp_path) as consul:
        for key in ("a", "dkron/jobs/a", "dkronpy", "keys/a"):
            consul.call("PUT", f"kv/{key}", "theirs")
        await works(consul.store())
        async with opened(consul.store()) as store:
            assert [entry.key for entry in (await store.list("")).entries] == ["a"]
            assert consul.call("GET", "kv/dkronpy/keys/a")[0]["Value"] == "MQ=="


async def test_more_keys_than_a_request_takes() -> None:
    """Their control characters take six bytes each."""
    async with opened(shared(Consul).store()) as store:
        revision = (await store.list("")).revision
        with pytest.raises(TooLarge, match="at most 524288 bytes in one request"):
            await store.commit([], [Put("\x01" * 290_000, b"")])
        assert (await store.list("")).revision == revision


def settings(consul: Consul, folder: Path, **access: Any) -> Settings:
    """Those of a server on this Consul."""
    machines = (consul.address,)
    given = {"server": True, "node_name": "n1", "data_dir": folder, "backend": "consul", "backend_machine": machines}
    return Settings.model_validate({**given, **access})


class TestTokens:
    @pytest.fixture
    def consul(self, tmp_path: Path) -> Iterator[Consul]:
        """It lets nobody in without a token."""
        server = Consul(tmp_path, acl={"enabled": True, "default_policy": "deny", "tokens": {"master": MASTER}})
        server.token = MASTER
        with server:
            yield server

    def token(self, consul: Consul, rules: str) -> str:
        """A new token with these rules."""
        consul.call("PUT", "acl/policy", {"Name": "dkron", "Rules": rules})
        return consul.call("PUT", "acl/token", {"Policies": [{"Name": "dkron"}]})["SecretID"]

    async def test_the_settings_name_one(self, consul: Consul, tmp_path: Path) -> None:
        token = self.token(consul, 'key_prefix "dkronpy/" { policy = "write" }')
        await works(make_store(settings(consul, tmp_path, backend_password=token)))

    async def test_none_and_a_wrong_one(self, consul: Consul) -> None:
        for token, why in (("", "Permission denied"), ("wrong", "ACL not found")):
            with pytest.raises(Unavailable, match=why):
                await ConsulStore([consul.address], password=token).open()

    @pytest.mark.parametrize(
        "rules", ['key_prefix "other/" { policy = "write" }', 'key_prefix "dkronpy/" { policy = "read" }']
    )
    async def test_one_that_allows_too_little(self, consul: Consul, rules: str) -> None:
        token = self.token(consul, rules)
        with pytest.raises(Unavailable, match="Permission denied"):
            await ConsulStore([consul.address], password=token).open()
        async with opened(ConsulStore([consul.address], password=MASTER)) as store:
            await store.commit([], [Put("a", b"1")])
        with pytest.raises(Unavailable, match="the token needs write"):
            await ConsulStore([consul.address], password=token).open()

    async def test_one_that_is_taken_back(self, consul: Consul) -> None:
        token = self.token(consul, 'key_prefix "dkronpy/" { policy = "write" }')
        async with opened(ConsulStore([consul.address], password=token)) as store:
            await store.commit([], [Put("a", b"1")])
            [mine] = [
                each["AccessorID"]
                for each in consul.call("GET", "acl/tokens")
                if [policy["Name"] for policy in each.get("Policies") or ()] == ["dkron"]
            ]
            consul.call("DELETE", f"acl/token/{mine}")

            async def refused() -> bool:
                try:
                    await store.commit([], [Put("a", b"2")])
                except Unavailable as error:
                    return "ACL not found" in str(error)
                return False

            await wait_for(refused)


class TestTls:
    @pytest.fixture
    def files(self, tmp_path: Path) -> Path:
        return make_certificates(tmp_path)

    @pytest.fixture
    def consul(self, files: Path) -> Iterator[Consul]:
        """It wants a client's certificate."""
        named = {"ca_file": "ca.pem", "cert_file": "server.pem", "key_file": "server.key"}
        server = Consul(files, verify_incoming=True, **{name: str(files / file) for name, file in named.items()})
        server.tls = ssl.create_default_context(cafile=files / "ca.pem")
        server.tls.load_cert_chain(files / "client.pem", files / "client.key")
        with server:
            yield server

    async def test_the_settings_name_the_files(self, consul: Consul, files: Path) -> None:
        named = {"ca": "ca.pem", "cert": "client.pem", "key": "client.key"}
        access = {f"backend_{name}_file": str(files / file) for name, file in named.items()}
        await works(make_store(settings(consul, files, **access)))

    async def test_both_ends_show_certificates(self, consul: Consul, files: Path) -> None:
        ca, certificate, key = (files / name for name in ("ca.pem", "client.pem", "client.key"))
        for wrong in (
            ConsulStore([consul.address]),
            ConsulStore([f"https://{consul.address}"], cert_file=certificate, key_file=key),  # authority unknown
            ConsulStore([consul.address], ca_file=ca),
        ):
            with pytest.raises(Unavailable, match=r"Consul (can't be reached|does not answer)"):
                await wrong.open()

    async def test_a_file_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match=r"can't use a file for TLS with Consul \(.*none\.pem\)"):
            await ConsulStore(["a:1"], ca_file=tmp_path / "none.pem").open()
