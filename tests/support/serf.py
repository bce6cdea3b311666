"""Real serf agents, and our own nodes beside them."""

from __future__ import annotations

import asyncio
import random
import subprocess
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dkronpy.gossip.codec.messages import Address
from dkronpy.gossip.gossip import Gossip, GossipSettings
from dkronpy.gossip.profile import LOCAL, Profile
from dkronpy.model.member import Member, MemberStatus
from tests.support.processes import HOST, free_port


@dataclass
class SerfAgent:
    """A process of `serf agent`."""

    name: str
    address: Address
    rpc: str
    process: subprocess.Popen[bytes]
    log: Path

    async def cli(self, *arguments: str, fails: bool = False) -> str:
        """What `serf ARGUMENTS` prints, once it is done."""

        def run() -> subprocess.CompletedProcess[str]:
            command = ["serf", arguments[0], f"-rpc-addr={self.rpc}", *arguments[1:]]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        done = await asyncio.to_thread(run)
        assert (done.returncode != 0) == fails, f"serf {arguments}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    async def members(self) -> dict[str, tuple[str, dict[str, str]]]:
        """State and tags by name."""
        found: dict[str, tuple[str, dict[str, str]]] = {}
        for line in (await self.cli("members")).splitlines():
            name, _, status, *tags = line.split()
            pairs = (tag.partition("=") for tag in (tags[0].split(",") if tags else ()))
            found[name] = status, {key: value for key, _, value in pairs}
        return found

    async def sees(self, name: str, status: str, seconds: float = 60) -> None:
        """Wait until it does."""

        async def seen() -> bool:
            return (await self.members()).get(name, ("", {}))[0] == status

        await eventually(seen, f"{name} is not {status} for {self.name}", seconds)

    def logged(self) -> str:
        return self.log.read_text()


@contextmanager
def serf_agent(directory: Path, name: str, *options: str) -> Generator[SerfAgent]:
    """Start it, and kill it in the end if it still runs."""
    port, rpc = free_port(), f"{HOST}:{free_port()}"
    log = directory / f"{name}.log"
    command = ["serf", "agent", f"-node={name}", f"-bind={HOST}:{port}", f"-rpc-addr={rpc}", "-profile=local"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "-log-level=debug", *options], stdout=output, stderr=subprocess.STDOUT, cwd=directory
        )
    try:
        until = time.monotonic() + 60
        while "Serf agent running" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.02)
        yield SerfAgent(name, Address(HOST, port), rpc, process, log)
    finally:
        process.kill()
        process.wait()


@dataclass
class OurNode:
    """A node of ours that runs."""

    gossip: Gossip
    running: asyncio.Task[None]
    events: list[tuple[str, bytes]]
    changes: list[int]

    @property
    def address(self) -> Address:
        return self.gossip.address

    def members(self) -> dict[str, Member]:
        return {member.name: member for member in self.gossip.members()}

    async def sees(self, name: str, status: MemberStatus, seconds: float = 60) -> None:
        """Wait until it does."""

        async def seen() -> bool:
            member = self.members().get(name)
            return member is not None and member.status is status

        await eventually(seen, f"{name} is not {status.name}", seconds)

    async def vanish(self) -> None:
        """As by kill -9."""
        self.running.cancel()
        await asyncio.wait([self.running])


@asynccontextmanager
async def our_node(
    directory: Path,
    name: str,
    *,
    address: Address = Address(HOST, 0),  # noqa: B008
    tags: Mapping[str, str] | None = None,
    profile: Profile = LOCAL,
    key: bytes | None = None,
) -> AsyncGenerator[OurNode]:
    """Start it; in the end it vanishes, if it has not yet. An error that ended it is raised."""
    settings = GossipSettings(
        name=name,
        bind=address,
        advertise=address,
        directory=directory / name,
        tags=tags or {"role": "ours"},
        profile=profile,
        key=key,
    )
    changes: list[int] = []
    events: list[tuple[str, bytes]] = []
    gossip = Gossip(
        settings,
        on_change=lambda: changes.append(len(gossip.members())),
        on_event=lambda name, payload: events.append((name, payload)),
        rng=random.Random(name),
    )
    await gossip.start()
    node = OurNode(gossip, asyncio.create_task(gossip.run()), events, changes)
    try:
        yield node
    finally:
        await node.vanish()
    if not node.running.cancelled():
        node.running.result()


async def eventually(done: Callable[[], Any], otherwise: str, seconds: float = 60) -> None:
    """Wait until the awaitable that `done` makes is true."""
    until = asyncio.get_running_loop().time() + seconds
    while not await done():
        assert asyncio.get_running_loop().time() < until, f"{otherwise} after {seconds} s"
        await asyncio.sleep(0.05)


def serf_options(key: str | None, options: Sequence[str] = ()) -> list[str]:
    """With encryption or without."""
    return [*([f"-encrypt={key}"] if key else []), *options]
