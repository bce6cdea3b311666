"""`python -m tests.support.held_back FILE agent ...`: an agent whose watch of the store delivers nothing while FILE is
there. What its watch holds back it gets, in order, once the file is gone; everything else goes on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

from dkronpy.cli.main import main
from dkronpy.store.contract import Event
from dkronpy.store.etcd import EtcdStore


def hold_back(file: Path) -> None:
    watch = EtcdStore.watch

    async def held_back(self: EtcdStore, prefix: str, revision: int) -> AsyncGenerator[Sequence[Event], None]:
        async with aclosing(watch(self, prefix, revision)) as batches:
            async for batch in batches:
                while file.exists():  # noqa: ASYNC110, ASYNC240 (a file, for it is held by another process)
                    await asyncio.sleep(0.01)
                yield batch

    EtcdStore.watch = held_back


if __name__ == "__main__":
    hold_back(Path(sys.argv.pop(1)))
    sys.exit(main())
