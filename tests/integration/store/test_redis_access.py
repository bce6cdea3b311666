"""Ways into Redis: addresses, users, TLS, Sentinels, clusters, and what is said where there is none."""

from __future__ import annotations

import logging
import re
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from dkronpy.agent.stores import make_store
from dkronpy.config import Settings
from dkronpy.store.contract import Put, Unavailable
from dkronpy.store.redis import RedisStore
from dkronpy.store.redis_machines import Machine, machine_at, unusable
from tests.support.certificates import make_certificates
from tests.support.processes import HOST, free_port
from tests.support.redis import Redis, Sentinel, running_cluster, running_pair
from tests.support.store_faults import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkronpy.store.contract import Store

SLOT = 7634
"""Of what is within the braces of the keys' names."""


@pytest.mark.parametrize(
    "machine", ["", "redis://", "http://a:1", "a:b", "a:1/0", ":6379", "sentinel://a:1", "sentinel:///mymaster"]
)
def test_what_is_no_machine(machine: str) -> None:
    with pytest.raises(ValueError, match="not a machine of redis"):
        RedisStore([machine])


def test_machines() -> None:
    assert machine_at("a") == machine_at("redis://a:6379/") == Machine("a", 6379)
    assert machine_at("rediss://[::1]:7") == Machine("::1", 7, tls=True)
    assert machine_at("sentinel://a/mymaster") == Machine("a", 26379, master="mymaster")


def test_no_machines() -> None:
    with pytest.raises(ValueError, match="at least one"):
        RedisStore([])


async def test_nobody_there() -> None:
    first, second = (f"{HOST}:{free_port()}" for _ in range(2))
    with pytest.raises(Unavailable, match=rf"redis can't be reached: {first}: .*; {second}: "):
        await RedisStore([first, f"redis://{second}"]).open()


async def works(store: Store) -> None:
    """It does what it must be allowed to do."""
    async with opened(store):
        revision = await store.commit([], [Put("a", b"1")])
        assert [event.revision for event in await anext(store.watch("", 0))] == [revision]
        assert (await store.list("")).revision == revision
        assert await store.get("a")


def settings(redis: Redis, folder: Path, **access: Any) -> Settings:
    """Those of a server on this Redis."""
    machines = (redis.address,)
    given = {"server": True, "node_name": "n1", "data_dir": folder, "backend": "redis", "backend_machine": machines}
    return Settings.model_validate({**given, **access})


class TestServers:
    @pytest.mark.parametrize(
        ("told", "why"),
        [
            ({"redis_version": "6.0.16"}, r"version is 6\.0\.16, at least 6\.2"),
            ({"redis_version": "10.0"}, None),
            ({"loading": "1"}, "still loading"),
            ({"role": "slave"}, "not the master"),
            ({"maxmemory_policy": "allkeys-lru"}, "set it to noeviction"),
            ({"maxmemory_policy": "volatile-lru"}, None),  # no key has an end
        ],
    )
    def test_what_can_be_used(self, told: dict[str, str], why: str | None) -> None:
        found = unusable({"redis_version": "7.0.15", "role": "master", **told})
        assert (found is None) == (why is None)
        assert re.search(why or "", found or "")

    async def test_one_that_deletes_keys(self, tmp_path: Path) -> None:
        with (
            Redis(tmp_path, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as redis,
            pytest.raises(Unavailable, match=r"maxmemory-policy is allkeys-lru.*noeviction"),
        ):
            await redis.store().open()

    @pytest.mark.parametrize(
        ("options", "warning"),
        [
            (["--appendonly", "no"], "no append-only file"),
            (["--appendfsync", "everysec"], "may lose the last second"),
            ([], None),
        ],
    )
    async def test_one_that_forgets(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, options: list[str], warning: str | None
    ) -> None:
        with Redis(tmp_path, *options) as redis:
            await works(redis.store())
        warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert len(warnings) == (warning is not None)
        assert all(str(warning) in each for each in warnings)

    async def test_the_master_is_found(self, tmp_path: Path) -> None:
        with running_pair(tmp_path) as (master, replica):
            with pytest.raises(Unavailable, match=f"{replica.address}: it is a slave, not the master"):
                await replica.store().open()
            await works(RedisStore([replica.address, master.address]))

    async def test_a_sentinel_names_it(self, tmp_path: Path) -> None:
        with Redis(tmp_path) as redis, Sentinel(tmp_path, redis) as sentinel:
            await works(sentinel.store(f"sentinel://{sentinel.address}/mymaster"))
            with pytest.raises(Unavailable, match="knows no master named other"):
                await sentinel.store(f"sentinel://{sentinel.address}/other").open()

    async def test_a_cluster(self, tmp_path: Path) -> None:
        """The node that has the keys is used."""
        with running_cluster(tmp_path, SLOT) as (other, owner):
            await works(RedisStore([other.address, owner.address]))
            with pytest.raises(Unavailable, match=f"MOVED {SLOT} {owner.address}"):
                await other.store().open()


class TestUsers:
    async def test_a_password(self, tmp_path: Path) -> None:
        with Redis(tmp_path, "--requirepass", "secret") as redis:
            await works(RedisStore([redis.address], password="secret"))
            for user, password, why in (
                ("", "", "NOAUTH"),
                ("", "wrong", "WRONGPASS"),
                ("nobody", "secret", "WRONGPASS"),
            ):
                with pytest.raises(Unavailable, match=why):
                    await RedisStore([redis.address], user=user, password=password).open()

    async def test_a_user(self, tmp_path: Path) -> None:
        """Who may do just what docs/stores.md names."""
        rules = ["on", ">secret", "~{dkronpy}:*", "+@all", "-@admin", "-@dangerous", "+info"]
        with Redis(tmp_path, "--user", "dkron", *rules) as redis:
            access = {"backend_username": "dkron", "backend_password": "secret"}
            await works(make_store(settings(redis, tmp_path, **access)))
            redis.call("ACL", "SETUSER", "dkron", "resetkeys")
            with pytest.raises(Unavailable, match=r"NOPERM.*keys"):
                await RedisStore([redis.address], user="dkron", password="secret").open()
            redis.call("ACL", "SETUSER", "dkron", "-info")
            with pytest.raises(Unavailable, match=r"NOPERM.*info"):
                await RedisStore([redis.address], user="dkron", password="secret").open()

    async def test_no_password_is_wanted(self, tmp_path: Path) -> None:
        with Redis(tmp_path) as redis, pytest.raises(Unavailable, match="without any password configured"):
            await RedisStore([redis.address], password="secret").open()


class TestTls:
    @pytest.fixture
    def redis(self, tmp_path: Path) -> Iterator[Redis]:
        """It wants a client's certificate."""
        files = make_certificates(tmp_path)
        tls = ssl.create_default_context(cafile=files / "ca.pem")
        tls.load_cert_chain(files / "client.pem", files / "client.key")
        options = {"cert-file": "server.pem", "key-file": "server.key", "ca-cert-file": "ca.pem"}
        given = [text for name, file in options.items() for text in (f"--tls-{name}", str(files / file))]
        with Redis(files, *given, tls=tls) as server:
            yield server

    async def test_both_ends_show_certificates(self, redis: Redis, tmp_path: Path) -> None:
        named = {"ca": "ca.pem", "cert": "client.pem", "key": "client.key"}
        access = {f"backend_{name}_file": str(tmp_path / file) for name, file in named.items()}
        await works(make_store(settings(redis, tmp_path, **access)))
        ca, certificate, key = (tmp_path / name for name in named.values())
        for wrong in (
            RedisStore([redis.address]),
            RedisStore([f"rediss://{redis.address}"], cert_file=certificate, key_file=key),  # authority unknown
            RedisStore([redis.address], ca_file=ca),
        ):
            with pytest.raises(Unavailable, match="redis can't be reached"):
                await wrong.open()

    async def test_a_file_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match=r"can't use a file for TLS with redis \(.*none\.pem\)"):
            await RedisStore(["a:1"], ca_file=tmp_path / "none.pem").open()
