"""The keys of a real Dkron 1.2.5, as it laid them out in each store that it could use, read from real servers."""

from __future__ import annotations

import base64
import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dkronpy.client import ClientError
from dkronpy.importing.bolt import entries
from dkronpy.importing.dump import KEYSPACE, DumpError
from dkronpy.importing.files import read_boltdb
from dkronpy.importing.stores import KINDS, Access, read_store
from dkronpy.store.contract import Put
from tests.support.consul import Consul
from tests.support.dkron_data import BOLTDB
from tests.support.dynamodb import PASSWORD, TABLE, USER, DynamoDb
from tests.support.etcd import Etcd, encoded
from tests.support.processes import free_port
from tests.support.redis import Redis
from tests.support.servers import StoreServer, shared
from tests.support.zookeeper import ZooKeeper

KEYS = {path[1].decode(): value[8:] for path, value in entries(BOLTDB.read_bytes())} | {"dkron/leader": b"n1"}
"""What it kept, and who led."""


def fill_etcd(server: Etcd) -> None:
    for key, value in KEYS.items():
        server.call("kv/put", key=encoded(key), value=base64.b64encode(value).decode())


def fill_etcd2(server: Etcd) -> None:
    for key, value in KEYS.items():
        data = urllib.parse.urlencode({"value": value}).encode()
        request = urllib.request.Request(f"http://{server.address}/v2/keys/{key}", data, method="PUT")
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 201


def fill_consul(server: Consul) -> None:
    for key, value in KEYS.items():
        token = {"X-Consul-Token": server.token}
        request = urllib.request.Request(f"http://{server.address}/v1/kv/{key}", value, token, method="PUT")
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200


def fill_redis(server: Redis) -> None:
    for key, value in KEYS.items():
        pair = {"Key": key, "Value": base64.b64encode(value).decode(), "LastIndex": 7}
        server.call("SET", key, json.dumps(pair))


def fill_dynamodb(server: DynamoDb) -> None:
    server.call(
        "CreateTable",
        TableName=KEYSPACE,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        ProvisionedThroughput={"ReadCapacityUnits": 2, "WriteCapacityUnits": 2},
    )
    for key, value in KEYS.items():
        item = {"id": {"S": key}, "version": {"N": "1"}, "encoded_value": {"S": base64.b64encode(value).decode()}}
        server.call("PutItem", TableName=KEYSPACE, Item=item)


def fill_zookeeper(server: ZooKeeper) -> None:
    with server.client() as client:
        for key, value in KEYS.items():
            client.create(f"/{key}", value, makepath=True)


FILL: Mapping[str, tuple[Callable[..., StoreServer], Callable[..., None]]] = {
    "etcd": (Etcd, fill_etcd),
    "etcd2": (lambda folder: Etcd(folder, "--enable-v2"), fill_etcd2),
    "consul": (Consul, fill_consul),
    "zookeeper": (ZooKeeper, fill_zookeeper),
    "redis": (Redis, fill_redis),
    "dynamodb": (DynamoDb, fill_dynamodb),
}


def access(kind: str, address: str, keyspace: str = KEYSPACE) -> Access:
    user, password = (USER, PASSWORD) if kind == "dynamodb" else ("", "")
    return Access((address,), user, password, keyspace)


@pytest.mark.parametrize("kind", FILL)
def test_what_a_dkron_kept_is_read(tmp_path: Path, kind: str) -> None:
    make, fill = FILL[kind]
    with make(tmp_path) as server:
        with pytest.raises(DumpError, match=r"no jobs|nothing under|can't be read"):
            read_store(kind, access(kind, server.address))
        fill(server)
        assert read_store(kind, access(kind, server.address)) == read_boltdb(BOLTDB, KEYSPACE)
        with pytest.raises(DumpError, match="cron"):
            read_store(kind, access(kind, server.address, "cron"))


def test_users_of_etcd2(tmp_path: Path) -> None:
    with Etcd(tmp_path, "--enable-v2") as server:
        fill_etcd2(server)
        root = "Basic " + base64.b64encode(b"root:s3cret").decode()

        def auth(method: str, path: str, body: object = None) -> None:
            headers = {"Content-Type": "application/json", "Authorization": root}
            data = None if body is None else json.dumps(body).encode()
            url = f"http://{server.address}/v2/auth/{path}"
            with urllib.request.urlopen(
                urllib.request.Request(url, data, headers, method=method), timeout=30
            ) as answer:
                assert answer.status in (200, 201)

        auth("PUT", "users/root", {"user": "root", "password": "s3cret"})
        auth("PUT", "enable")
        auth("DELETE", "roles/guest")
        read = read_store("etcd2", Access((server.address,), "root", "s3cret", KEYSPACE))
        assert read == read_boltdb(BOLTDB, KEYSPACE)
        for user, password in (("", ""), ("root", "wrong")):
            with pytest.raises(DumpError, match=r"does not let 'dkron' be read: .*--username"):
                read_store("etcd2", Access((server.address,), user, password, KEYSPACE))


def test_tokens_of_consul(tmp_path: Path) -> None:
    master = "7f1cf8ac-54f1-4c3e-9d0e-8a2a2e5b7c11"
    server = Consul(tmp_path, acl={"enabled": True, "default_policy": "deny", "tokens": {"master": master}})
    server.token = master
    with server:
        fill_consul(server)
        read = Access((server.address,), "", master, KEYSPACE)
        assert read_store("consul", read) == read_boltdb(BOLTDB, KEYSPACE)
        with pytest.raises(DumpError, match=r"does not let 'dkron' be read: .*DKRON_BACKEND_PASSWORD"):
            read_store("consul", read._replace(password="wrong"))


@pytest.mark.parametrize(
    ("kind", "who", "why"), [("etcd2", ("", "s3cret"), "add --username"), ("consul", ("me", ""), "no --username")]
)
def test_who_can_t_be_asked_for(kind: str, who: tuple[str, str], why: str) -> None:
    with pytest.raises(DumpError, match=why):
        read_store(kind, Access(("127.0.0.1:1",), *who, KEYSPACE))


@pytest.mark.parametrize("kind", KINDS)
def test_where_nobody_answers(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dkronpy.importing.stores._CONNECT", 1.0)  # kazoo tries again until then
    with pytest.raises((DumpError, ClientError), match=r"127\.0\.0\.1"):
        read_store(kind, access(kind, f"127.0.0.1:{free_port()}"))


def test_several_machines_are_one_store_for_some_only() -> None:
    with pytest.raises(DumpError, match="redis: name one machine"):
        read_store("redis", Access(("127.0.0.1:1", "127.0.0.1:2"), "", "", KEYSPACE))


async def test_the_table_of_a_server_here_is_no_dkrons() -> None:
    server = shared(DynamoDb)
    store = server.store()
    await store.open()
    await store.commit([], [Put("dkron/jobs/a", b"{}")])
    await store.close()
    with pytest.raises(DumpError, match=r"'dkron' is no Dkron's; --keyspace"):
        read_store("dynamodb", access("dynamodb", server.address, TABLE))
