"""Commits with 16 tasks until it is killed; prints the key and revision of each commit that was answered.

Arguments: the store's file, the name of the round."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from dkronpy.store.contract import Guard, Put
from dkronpy.store.sqlite import SqliteStore


async def main(path: Path, name: str) -> None:
    store = SqliteStore(path)
    await store.open()

    async def write(worker: int) -> None:
        number = 0
        while True:
            part = f"{name}/{worker:02}/{number:06}"
            revision = await store.commit(
                [Guard(f"a/{part}", 0)], [Put(f"a/{part}", b"a" * 200), Put(f"b/{part}", b"b")]
            )
            os.write(1, f"a/{part} {revision}\n".encode())
            number += 1

    await asyncio.gather(*(write(worker) for worker in range(16)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
