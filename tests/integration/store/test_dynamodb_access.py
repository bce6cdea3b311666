"""Ways into DynamoDB: regions and other addresses, access keys, TLS, tables, and what is said where there is none; and
the log that it keeps of changes."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from dkronpy.agent.stores import make_store
from dkronpy.config import Settings
from dkronpy.store.contract import Compacted, Delete, Event, Guard, Put, StoreError, TooLarge, Unavailable
from dkronpy.store.dynamodb import DynamoDbStore
from dkronpy.store.dynamodb_access import Place, parse_place
from dkronpy.store.dynamodb_batch import MAX_KEY
from tests.support.certificates import make_certificates
from tests.support.dynamodb import PASSWORD, USER, DynamoDb
from tests.support.processes import HOST, free_port
from tests.support.proxy import Proxy
from tests.support.servers import shared
from tests.support.store_faults import opened

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def dynamodb() -> DynamoDb:
    """One that others use too, empty."""
    server = shared(DynamoDb)
    server.clear()
    return server


def connected(machine: str, *, user: str = USER, password: str = PASSWORD, **options: Any) -> DynamoDbStore:
    return DynamoDbStore([machine], user=user, password=password, **options)


@pytest.mark.parametrize(
    "machine",
    ["", "dkron", "eu-west-1/a", "eu-west-1/a/b", "https://", "https://:80/dkron", "ftp://a:1/dkron", "a:b/dkron"],
)
def test_what_is_no_table(machine: str) -> None:
    with pytest.raises(ValueError, match="not a table of DynamoDB"):
        DynamoDbStore([machine])


def test_places() -> None:
    assert parse_place("eu-west-1") == Place("eu-west-1", None, "dkron")
    assert parse_place("us-gov-west-1/jobs") == Place("us-gov-west-1", None, "jobs")
    assert parse_place("a:8000") == parse_place("http://a:8000/") == Place(None, "http://a:8000", "dkron")
    assert parse_place("https://[::1]:8000/jobs") == Place(None, "https://[::1]:8000", "jobs")
    aws = "https://dynamodb.eu-west-1.amazonaws.com"
    assert parse_place(f"{aws}/jobs") == Place("eu-west-1", aws, "jobs")
    endpoint = "https://vpce-1.dynamodb.us-east-2.vpce.amazonaws.com"
    assert parse_place(endpoint) == Place("us-east-2", endpoint, "dkron")


def test_one_address_and_a_whole_access_key() -> None:
    for machines in ([], ["eu-west-1", "eu-west-2"]):
        with pytest.raises(ValueError, match="give one"):
            DynamoDbStore(machines)
    with pytest.raises(ValueError, match="give both"):
        DynamoDbStore(["eu-west-1"], user="a")
    with pytest.raises(ValueError, match="give both"):
        DynamoDbStore(["eu-west-1"], password="a")


async def test_nobody_there() -> None:
    machine = f"{HOST}:{free_port()}"
    with pytest.raises(Unavailable, match=rf"DynamoDB can't be used at http://{machine}/dkron: Could not connect"):
        await connected(machine).open()


class TestAccessKeys:
    async def test_the_settings_say_which(self, dynamodb: DynamoDb, tmp_path: Path) -> None:
        given = {"server": True, "node_name": "n1", "data_dir": tmp_path, "backend": "dynamodb"}
        access = {"backend_machine": (dynamodb.address,), "backend_username": USER, "backend_password": PASSWORD}
        async with opened(make_store(Settings.model_validate({**given, **access}))) as store:
            await store.commit([], [Put("a", b"1")])

    async def test_the_environment_says_which(self, dynamodb: DynamoDb, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", USER)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PASSWORD)
        monkeypatch.setattr("dkronpy.store.dynamodb_table._session", _session())
        async with opened(DynamoDbStore([dynamodb.address])) as store:
            await store.commit([], [Put("a", b"1")])

    async def test_none(self, dynamodb: DynamoDb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            monkeypatch.setenv(name, str(tmp_path / "none"))
        monkeypatch.setattr("dkronpy.store.dynamodb_table._session", _session())
        with pytest.raises(Unavailable, match="no credentials: give an access key as backend-username"):
            await DynamoDbStore([dynamodb.address]).open()

    async def test_one_that_is_unknown(self, dynamodb: DynamoDb) -> None:
        with pytest.raises(Unavailable, match=r"security token is invalid.*check the access key"):
            await connected(dynamodb.address, user="no-such-key").open()


def _session() -> Any:
    """What gives out a new session: one keeps the credentials that it has found."""
    from aiobotocore.session import AioSession

    session = AioSession()
    return lambda: session


class TestTls:
    async def test_an_authority_is_named(self, dynamodb: DynamoDb, tmp_path: Path) -> None:
        files = make_certificates(tmp_path)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files / "ca.pem")
        tls.load_cert_chain(files / "server.pem", files / "server.key")
        tls.verify_mode = ssl.CERT_REQUIRED
        async with Proxy(dynamodb.address, tls=tls) as proxy:
            machine = f"https://{proxy.address}"
            ca, certificate, key = (files / name for name in ("ca.pem", "client.pem", "client.key"))
            async with opened(connected(machine, ca_file=ca, cert_file=certificate, key_file=key)) as store:
                revision = await store.commit([], [Put("a", b"1")])
                assert [event.revision for event in await anext(store.watch("", revision - 1))] == [revision]
            with pytest.raises(Unavailable, match="SSL validation failed"):
                await connected(machine, cert_file=certificate, key_file=key).open()
            with pytest.raises(Unavailable, match="DynamoDB can't be used"):
                await connected(machine, ca_file=ca).open()

    async def test_a_file_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match=r"can't read a file for TLS with DynamoDB: .*none\.pem"):
            await connected("https://a:1", ca_file=tmp_path / "none.pem").open()


class TestTable:
    async def test_is_made_once_by_those_who_open_it_together(self, dynamodb: DynamoDb) -> None:
        machine = f"{dynamodb.address}/together{free_port()}"
        stores = [connected(machine) for _ in range(4)]
        await asyncio.gather(*(store.open() for store in stores))
        revisions = await asyncio.gather(*(store.commit([], [Put("a", b"")]) for store in stores))
        assert len(set(revisions)) == 4
        for store in stores:
            await store.close()

    async def test_two_are_apart(self, dynamodb: DynamoDb) -> None:
        names = [f"apart{free_port()}" for _ in range(2)]
        async with (
            opened(connected(f"{dynamodb.address}/{names[0]}")) as one,
            opened(connected(f"{dynamodb.address}/{names[1]}")) as other,
        ):
            await one.commit([], [Put("a", b"")])
            assert await other.get("a") is None

    async def test_of_somebody_else(self, dynamodb: DynamoDb) -> None:
        name = f"other{free_port()}"
        dynamodb.call(
            "CreateTable",
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        with pytest.raises(StoreError, match="has other keys than dkronpy's: name another one"):
            await connected(f"{dynamodb.address}/{name}").open()

    async def test_of_another_version(self, dynamodb: DynamoDb) -> None:
        name = f"newer{free_port()}"
        async with opened(connected(f"{dynamodb.address}/{name}")):
            pass
        head = {"p": {"S": "head"}, "k": {"B": "aGVhZA=="}, "r": {"N": "0"}, "f": {"N": "99"}}
        dynamodb.call("PutItem", TableName=name, Item=head)
        with pytest.raises(StoreError, match="made by another version of dkronpy: its format is 99"):
            await connected(f"{dynamodb.address}/{name}").open()

    async def test_that_goes_away(self, dynamodb: DynamoDb) -> None:
        name = f"gone{free_port()}"
        async with opened(connected(f"{dynamodb.address}/{name}")) as store:
            await store.commit([], [Put("a", b"")])
            dynamodb.call("DeleteTable", TableName=name)
            with pytest.raises(Unavailable, match="non-existent table"):
                await store.commit([], [Put("a", b"")])
            with pytest.raises(Unavailable, match="non-existent table"):
                await store.get("a")


async def test_the_longest_key(dynamodb: DynamoDb) -> None:
    async with opened(dynamodb.store()) as store:
        key = "é" * (MAX_KEY // 2)
        revision = await store.commit([Guard(key, 0)], [Put(key, b"1")])
        page = await store.list(key)
        assert [(entry.key, entry.revision) for entry in page.entries] == [(key, revision)]
        assert (await store.list("", after=key)).entries == ()
        with pytest.raises(TooLarge, match="keys of at most 1000 bytes"):
            await store.commit([], [Put(f"{key}x", b"1")])


class TestLog:
    @pytest.fixture
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A log of eight transactions."""
        for module in ("batch", "table"):
            monkeypatch.setattr(f"dkronpy.store.dynamodb_{module}.RING", 8)

    @pytest.mark.usefixtures("small")
    async def test_holds_the_newest_transactions(self, dynamodb: DynamoDb) -> None:
        name = f"log{free_port()}"
        async with opened(connected(f"{dynamodb.address}/{name}")) as store:
            revisions = [await store.commit([], [Put("a", b"%d" % n)]) for n in range(20)]
            for start in range(12, 19):
                seen: list[Event] = []
                async for events in store.watch("", revisions[start]):
                    seen += events
                    if seen[-1].revision == revisions[-1]:
                        break
                assert [event.revision for event in seen] == revisions[start + 1 :]
            for start in (0, 4, 11):  # of the last one the transaction itself is gone, which may have held more
                with pytest.raises(Compacted):
                    await anext(store.watch("", revisions[start]))
        logged = dynamodb.call("Scan", TableName=name)["Items"]
        assert sorted(item["p"]["S"] for item in logged) == ["head", "keys", *["log"] * 8]

    async def test_deletions_of_what_is_absent_are_not_in_it(self, dynamodb: DynamoDb) -> None:
        """Nor do they take a transaction of it."""
        async with opened(dynamodb.store()) as store:
            first = await store.commit([], [Put("a", b"")])
            assert await store.commit([], [Delete("b"), Delete("c")]) == first
            second = await store.commit([], [Delete("a"), Delete("b")])
            assert await anext(store.watch("", first)) == [Event("a", None, second)]
            assert await store.commit([], [Delete("a")]) == second

    async def test_commits_that_wait_together_share_a_transaction(self, dynamodb: DynamoDb) -> None:
        async with opened(dynamodb.store()) as store:
            start = await store.commit([], [Put("epoch", b"")])
            commits = [store.commit([Guard("epoch", start)], [Put(f"k{n}", b"")]) for n in range(40)]
            revisions = await asyncio.gather(*commits)
            assert len({revision // 128 for revision in revisions}) < 5
            assert len(set(revisions)) == 40
