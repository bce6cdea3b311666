"""Whatever a stranger sends on a lane ends that lane with a word, and nothing else."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from aiohttp import WSMessage, WSMsgType

from dkronpy.model.lane import ToLeader, ToNode
from dkronpy.rpc.auth import NONCE_BYTES, Secret
from dkronpy.rpc.channel import Channel, ChannelError, Hello, answer
from dkronpy.rpc.server import PROTOCOL_NEWEST
from tests.conftest import FULL

FRAMES = 1_000_000 if FULL else 6_000


@dataclass
class OneFrame:
    """A socket whose peer sends this frame, again and again."""

    data: bytes

    async def receive(self) -> WSMessage:
        return WSMessage(WSMsgType.BINARY, self.data, None)

    async def send_bytes(self, data: bytes) -> None:
        assert len(data) < 1000, "a greeting tells little"


def damaged(rng: random.Random, sound: bytes) -> bytes:
    """Bytes changed, cut off, put in, or noise from the first to the last."""
    data = bytearray(sound)
    match rng.randrange(4):
        case 0:
            return rng.randbytes(rng.choice([0, 1, 7, 40, 300, 5000]))
        case 1:
            del data[rng.randrange(len(data)) :]
        case 2:
            at = rng.randrange(len(data))
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        case _:
            for _ in range(rng.randrange(1, 5)):
                data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(2))
async def test_greetings(seed: int) -> None:
    rng = random.Random(seed)
    keys = [b"k" * 32]
    sound = msgspec.msgpack.encode(Hello("work", 1, PROTOCOL_NEWEST, "s1", bytes(NONCE_BYTES), b""))
    for _ in range(FRAMES // 4):
        socket: Any = OneFrame(damaged(rng, sound))
        with pytest.raises(ChannelError):
            await answer(socket, "work", "n1", lambda: keys, ToNode)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("key", [None, b"k" * 32])
async def test_frames(key: bytes | None) -> None:
    """Without a key noise may by chance be a message; then it is one of the lane's, and no more."""
    rng = random.Random(str(key))
    sound = b"\xdc\x00\x01" + msgspec.msgpack.encode(["inventory", "spool", []])
    heard = 0
    for _ in range(FRAMES // 4):
        channel: Channel[Any] = Channel(
            OneFrame(damaged(rng, sound)),  # pyright: ignore[reportArgumentType]
            "s1",
            1,
            Secret(key, b"greeting"),
            "server",
            ToLeader,
        )
        try:
            messages = await anext(channel.receive())
        except ChannelError:
            continue
        else:
            assert key is None, "nobody without the key is heard"
            assert all(isinstance(message, ToLeader) for message in messages)
            heard += 1
    assert (heard > 0) == (key is None)
