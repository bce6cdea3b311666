"""Ways into etcd: addresses, users, TLS, and what is said where there is none."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from dkronpy.agent.stores import make_store
from dkronpy.config import Settings
from dkronpy.store.contract import Put, Unavailable
from dkronpy.store.etcd import EtcdStore
from tests.support.certificates import make_certificates
from tests.support.etcd import Etcd, encoded
from tests.support.processes import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.mark.parametrize("machine", ["", "http://", "ftp://a:1", "a:b", "a/b", ":2379", "https://a:1/x"])
def test_what_is_no_machine(machine: str) -> None:
    with pytest.raises(ValueError, match="not a machine of etcd"):
        EtcdStore([machine])


def test_no_machines() -> None:
    with pytest.raises(ValueError, match="at least one"):
        EtcdStore([])
    with pytest.raises(ValueError, match="add backend-username"):
        EtcdStore(["a:1"], password="s3cret")


async def test_nobody_there() -> None:
    first, second = (f"{HOST}:{free_port()}" for _ in range(2))
    with pytest.raises(Unavailable, match=rf"etcd can't be reached: {first}: .*; {second}: "):
        await EtcdStore([first, f"http://{second}/"]).open()


async def test_a_version_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Etcd(tmp_path) as etcd:
        monkeypatch.setattr("dkronpy.store.etcd.OLDEST", (4, 0))
        with pytest.raises(Unavailable, match=r"is version 3\.\d+\.\d+: 4.0 or later is needed"):
            await etcd.store().open()


def settings(etcd: Etcd, folder: Path, **access: Any) -> Settings:
    """Those of a server on this etcd."""
    machines = (etcd.address,)
    given = {"server": True, "node_name": "n1", "data_dir": folder, "backend": "etcd", "backend_machine": machines}
    return Settings.model_validate({**given, **access})


class TestUsers:
    @pytest.fixture
    def etcd(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Etcd]:
        """It knows root, who may do everything, and one who may use the keys under `mine/`. Its tokens last for the
        parameter's seconds."""
        with Etcd(tmp_path, "--auth-token-ttl", str(getattr(request, "param", 300))) as server:
            for user, role in (("root", "root"), ("user", "role")):
                server.call("auth/role/add", name=role)
                server.call("auth/user/add", name=user, password="secret")
                server.call("auth/user/grant", user=user, role=role)
            mine = {"permType": "READWRITE", "key": encoded("mine/"), "range_end": encoded("mine0")}
            server.call("auth/role/grant", name="role", perm=mine)
            server.call("auth/enable")
            yield server

    async def test_one_who_may(self, etcd: Etcd) -> None:
        store = EtcdStore([etcd.address], user="root", password="secret")
        await store.open()
        watch = store.watch("", 1)
        revision = await store.commit([], [Put("a", b"1")])
        assert [event.revision for event in await anext(watch)] == [revision]
        await store.close()

    async def test_the_settings_say_who(self, etcd: Etcd, tmp_path: Path) -> None:
        access = {"backend_username": "root", "backend_password": "secret"}
        store = make_store(settings(etcd, tmp_path, **access))
        await store.open()
        await store.commit([], [Put("a", b"1")])
        await store.close()

    async def test_one_who_may_only_some(self, etcd: Etcd) -> None:
        store = EtcdStore([etcd.address], user="user", password="secret")
        await store.open()
        await store.commit([], [Put("mine/a", b"1")])
        assert await store.get("mine/a")
        with pytest.raises(Unavailable, match="permission denied"):
            await store.get("a")
        with pytest.raises(Unavailable, match="permission denied"):
            await store.commit([], [Put("a", b"1")])
        await store.close()

    @pytest.mark.parametrize(
        ("user", "password", "why"),
        [
            ("root", "wrong", "authentication failed"),
            ("nobody", "secret", "authentication failed"),
            ("", "", "user name is empty"),
        ],
    )
    async def test_one_who_may_not(self, etcd: Etcd, user: str, password: str, why: str) -> None:
        with pytest.raises(Unavailable, match=why):
            await EtcdStore([etcd.address], user=user, password=password).open()

    async def test_tokens_do_not_outlive_the_server(self, etcd: Etcd) -> None:
        store = EtcdStore([etcd.address], user="root", password="secret")
        await store.open()
        etcd.kill()
        etcd.start()
        assert await store.get("a") is None
        await store.commit([], [Put("a", b"1")])
        await store.close()

    @pytest.mark.parametrize("etcd", [2], indirect=True)
    async def test_tokens_expire(self, etcd: Etcd) -> None:
        stores = [EtcdStore([etcd.address], user="root", password="secret") for _ in range(3)]
        for store in stores:
            await store.open()
        await asyncio.sleep(4)
        reading, writing, watching = stores
        assert await reading.get("a") is None
        revision = await writing.commit([], [Put("a", b"1")])
        async with asyncio.timeout(60):
            assert [event.revision for event in await anext(watching.watch("", revision - 1))] == [revision]
        for store in stores:
            await store.close()

    async def test_users_are_changed(self, etcd: Etcd) -> None:
        """etcd then refuses every token that it gave before."""
        store, other = (EtcdStore([etcd.address], user="root", password="secret") for _ in range(2))
        for each in (store, other):
            await each.open()
        await store.commit([], [Put("a", b"1")])
        token = etcd.call("auth/authenticate", name="root", password="secret")["token"]
        etcd.call("auth/role/add", name="another", headers={"Authorization": token})
        assert await other.get("a")
        await store.commit([], [Put("a", b"2")])
        for each in (store, other):
            await each.close()


class TestTls:
    @pytest.fixture
    def files(self, tmp_path: Path) -> Path:
        return make_certificates(tmp_path)

    @pytest.fixture
    def etcd(self, files: Path) -> Iterator[Etcd]:
        """It wants a client's certificate."""
        tls = ssl.create_default_context(cafile=files / "ca.pem")
        tls.load_cert_chain(files / "client.pem", files / "client.key")
        options = {"cert-file": "server.pem", "key-file": "server.key", "trusted-ca-file": "ca.pem"}
        given = [text for name, file in options.items() for text in (f"--{name}", str(files / file))]
        with Etcd(files, *given, "--client-cert-auth", tls=tls) as server:
            yield server

    async def test_the_settings_name_the_files(self, etcd: Etcd, files: Path) -> None:
        named = {"ca": "ca.pem", "cert": "client.pem", "key": "client.key"}
        access = {f"backend_{name}_file": str(files / file) for name, file in named.items()}
        store = make_store(settings(etcd, files, **access))
        await store.open()
        await store.commit([], [Put("a", b"1")])
        await store.close()

    async def test_both_ends_show_certificates(self, etcd: Etcd, files: Path) -> None:
        ca, certificate, key = (files / name for name in ("ca.pem", "client.pem", "client.key"))
        store = EtcdStore([etcd.address], ca_file=ca, cert_file=certificate, key_file=key)
        await store.open()
        revision = await store.commit([], [Put("a", b"1")])
        assert [event.revision for event in await anext(store.watch("", revision - 1))] == [revision]
        await store.close()
        for wrong in (
            EtcdStore([etcd.address]),
            EtcdStore([f"https://{etcd.address}"], cert_file=certificate, key_file=key),  # authority unknown
            EtcdStore([etcd.address], ca_file=ca),
        ):
            with pytest.raises(Unavailable, match="etcd can't be reached"):
                await wrong.open()

    async def test_a_file_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match=r"can't read a file for TLS with etcd: .*none\.pem"):
            await EtcdStore(["a:1"], ca_file=tmp_path / "none.pem").open()
