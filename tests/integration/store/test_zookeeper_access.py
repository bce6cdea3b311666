"""Ways into ZooKeeper: addresses, users, TLS, versions, and what is said where there is none; what it takes at once."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from dkronpy.agent.stores import make_store
from dkronpy.config import Settings
from dkronpy.store.contract import MAX_BYTES, MAX_PARTS, Guard, Put, TooLarge, Unavailable
from dkronpy.store.zookeeper import ZooKeeperStore
from tests.support.certificates import make_certificates
from tests.support.processes import HOST, free_port
from tests.support.servers import shared
from tests.support.store_faults import opened, wait_for
from tests.support.zookeeper import ZooKeeper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkronpy.store.contract import Store


@pytest.mark.parametrize("machine", ["", "https://", "ftp://a:1", "a:b", "a/b", ":2181", "https://a:1/x"])
def test_what_is_no_machine(machine: str) -> None:
    with pytest.raises(ValueError, match="not a machine of ZooKeeper"):
        ZooKeeperStore([machine])


def test_no_machines() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ZooKeeperStore([])
    with pytest.raises(ValueError, match="add backend-username"):
        ZooKeeperStore(["a:1"], password="s3cret")


async def refuses(store: Store, why: str) -> None:
    """It can't be opened, and says why as soon as it had the time, which is short, to find out."""

    async def says() -> bool:
        with pytest.raises(Unavailable) as caught:
            await store.open()
        return re.search(why, str(caught.value)) is not None

    await wait_for(says)


async def test_nobody_there() -> None:
    first, second = (f"{HOST}:{free_port()}" for _ in range(2))
    refused = "Connection refused"
    store = ZooKeeperStore([first, second], timeout=0.5)
    await refuses(store, rf"can't be reached: {first}: {refused}; {second}: {refused}")


@asynccontextmanager
async def answering(*answers: bytes, last: bytes = b"") -> AsyncGenerator[str]:
    """The address of a server that gives these answers, each to a packet, then always the last one, if there is any."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        given = iter(answers)
        try:
            while True:
                [length] = struct.unpack("!i", await reader.readexactly(4))
                packet = await reader.readexactly(length)
                answer = next(given, None)
                if answer is None:
                    answer = packet[:4] + last if last else b""
                if answer:
                    writer.write(struct.pack("!i", len(answer)) + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, HOST, 0)
    try:
        yield f"{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_something_else_is_there() -> None:
    async with answering() as address:
        await refuses(ZooKeeperStore([address], timeout=0.5), f"{address}: it does not answer as ZooKeeper does")


async def test_a_connection_that_gets_no_answer_is_made_anew() -> None:
    """As one to a ZooKeeper that just starts, which may forget it."""
    made = 0

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal made
        made += 1
        try:
            await reader.read()
        finally:
            writer.close()

    async with await asyncio.start_server(swallow, HOST, 0) as server:
        store = ZooKeeperStore(["{}:{}".format(*server.sockets[0].getsockname())], timeout=0.5)

        async def again() -> bool:
            """Within the time that a call has."""
            before = made
            with pytest.raises(Unavailable):
                await store.open()
            return made - before > 1

        await wait_for(again)


async def test_a_version_that_is_too_old() -> None:
    """It answers a read of several nodes as 3.5 does: unimplemented (-6)."""
    welcome = struct.pack("!iiqi16sb", 0, 4000, 1, 16, b"", 0)
    async with answering(welcome, last=struct.pack("!qi", 1, -6)) as address:
        with pytest.raises(Unavailable, match=r"too old: 3\.6 or later is needed"):
            await ZooKeeperStore([address]).open()


def settings(address: str, folder: Path, **access: Any) -> Settings:
    """Those of a server on this ZooKeeper."""
    given = {
        "server": True,
        "node_name": "n1",
        "data_dir": folder,
        "backend": "zookeeper",
        "backend_machine": (address,),
    }
    return Settings.model_validate({**given, **access})


async def works(store: Store) -> None:
    """It does what it must be allowed to do."""
    async with opened(store):
        revision = await store.commit([], [Put("a", b"1")])
        assert [event.revision for event in await anext(store.watch("", revision - 1))] == [revision]
        assert await store.get("a")
        assert (await store.list("")).entries


class TestUsers:
    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeper]:
        """What there is was made by a user."""
        with ZooKeeper(tmp_path_factory.mktemp("zookeeper")) as server:
            asyncio.run(works(ZooKeeperStore([server.address], user="dkron", password="sec:ret")))
            yield server

    async def test_the_settings_say_who(self, server: ZooKeeper, tmp_path: Path) -> None:
        access = {"backend_username": "dkron", "backend_password": "sec:ret"}
        await works(make_store(settings(server.address, tmp_path, **access)))

    @pytest.mark.parametrize(("user", "password"), [("dkron", "wrong"), ("other", "sec:ret"), ("", "")])
    async def test_one_who_may_not(self, server: ZooKeeper, user: str, password: str) -> None:
        with pytest.raises(Unavailable, match="refuses access to /dkronpy: give the backend-username and password"):
            await ZooKeeperStore([server.address], user=user, password=password).open()

    async def test_after_a_new_connection(self, server: ZooKeeper) -> None:
        async with opened(ZooKeeperStore([server.address], user="dkron", password="sec:ret")) as store:
            server.kill()
            await asyncio.to_thread(server.start)
            assert await store.get("a")
            await store.commit([], [Put("a", b"2")])


class TestTls:
    @pytest.fixture(scope="class")
    @classmethod
    def files(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = make_certificates(tmp_path_factory.mktemp("certificates"))
        both = (folder / "server.key").read_text() + (folder / "server.pem").read_text()
        (folder / "both.pem").write_text(both)
        return folder

    @pytest.fixture(scope="class")
    @classmethod
    def address(cls, files: Path) -> Iterator[str]:
        """Of a server that wants a client's certificate."""
        port = free_port()
        tls: dict[str, Any] = {
            "secureClientPort": port,
            "secureClientPortAddress": HOST,
            "serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory",
            "ssl_keyStore_location": files / "both.pem",
            "ssl_trustStore_location": files / "ca.pem",
            "ssl_clientAuth": "need",
        }
        with ZooKeeper(files, **tls):
            yield f"{HOST}:{port}"

    async def test_the_settings_name_the_files(self, address: str, files: Path) -> None:
        named = {"ca": "ca.pem", "cert": "client.pem", "key": "client.key"}
        access = {f"backend_{name}_file": str(files / file) for name, file in named.items()}
        await works(make_store(settings(address, files, **access)))

    async def test_both_ends_show_certificates(self, address: str, files: Path) -> None:
        ca, certificate, key = (files / name for name in ("ca.pem", "client.pem", "client.key"))
        await works(ZooKeeperStore([address], ca_file=ca, cert_file=certificate, key_file=key))
        for wrong, why in (
            (ZooKeeperStore([address], timeout=1), "does not answer|certificate"),
            (ZooKeeperStore([f"https://{address}"], cert_file=certificate, key_file=key, timeout=1), "verify failed"),
            (ZooKeeperStore([address], ca_file=ca, timeout=1), "does not answer|certificate"),
        ):
            await refuses(wrong, rf"ZooKeeper can't be reached: {address}: .*({why})")

    async def test_files_that_can_not_be_used(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match=r"can't use a file for TLS with ZooKeeper \(.*none\.pem\)"):
            await ZooKeeperStore(["a:1"], ca_file=tmp_path / "none.pem").open()


class TestLimits:
    @pytest.fixture
    def server(self) -> ZooKeeper:
        server = shared(ZooKeeper)
        server.clear()
        return server

    async def test_the_largest_commits(self, server: ZooKeeper) -> None:
        """As many parts and bytes as the contract allows, made and changed, with keys that are percent-encoded."""
        keys = [f"ключ/{n:02}/ы" for n in range(MAX_PARTS)]
        size = (MAX_BYTES - sum(len(key.encode()) for key in keys)) // len(keys)
        async with opened(server.store()) as store:
            for fill in (b"x", b"y"):
                revision = await store.commit([], [Put(key, fill * size) for key in keys])
                found = (await store.list("ключ/")).entries
                assert [(e.key, e.value, e.revision) for e in found] == [(key, fill * size, revision) for key in keys]

    async def test_keys_alone_that_are_too_long_in_their_long_form(self, server: ZooKeeper) -> None:
        async with opened(server.store()) as store:
            with pytest.raises(TooLarge, match="at most 1000000 bytes"):
                await store.commit([], [Put(f"{n}" + "ы" * 2400, b"") for n in range(MAX_PARTS)])

    async def test_ten_thousand_keys(self, server: ZooKeeper) -> None:
        keys = [f"k/{n:05}" for n in range(10_000)]
        async with opened(server.store()) as store:
            batches = [keys[start : start + MAX_PARTS] for start in range(0, len(keys), MAX_PARTS)]
            await asyncio.gather(*(store.commit([], [Put(key, key.encode()) for key in batch]) for batch in batches))
        async with opened(server.store()) as store:
            found: list[str] = []
            while True:
                page = await store.list("k/", after=found[-1] if found else "")
                found += [entry.key for entry in page.entries]
                if not page.more:
                    break
            assert found == keys
            entry = await store.get(keys[5000])
            assert entry is not None
            await store.commit([Guard(keys[5000], entry.revision)], [Put(keys[5000], b"")])
