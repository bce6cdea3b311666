"""Output of executions, on every history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.history.contract import History, Output
from tests.integration.history.conftest import T0, piece, ran

if TYPE_CHECKING:
    from tests.integration.history.conftest import Make

RUN = ran("a", T0)
BYTES = bytes(range(256))


async def read(history: History, offset: int = 0, limit: int = 1 << 20) -> tuple[int, bytes, int]:
    output = await history.output(*RUN.key, offset=offset, limit=limit)
    return output.start, output.data, output.size


async def test_none(history: History) -> None:
    for offset in (0, 5, -5):
        assert await read(history, offset) == (0, b"", 0)
    assert await history.outputs([RUN.key], tail=10) == {RUN.key: Output(0, b"", 0)}
    assert await history.outputs([], tail=10) == {}
    await history.write([], [piece(RUN, 0, b"")])
    assert await read(history) == (0, b"", 0)


async def test_all_bytes_and_parts(history: History) -> None:
    await history.write([], [piece(RUN, 0, BYTES)])
    await history.write([RUN], [piece(RUN, 256, BYTES)])
    assert await read(history) == (0, BYTES * 2, 512)
    assert await read(history, 10, 5) == (10, BYTES[10:15], 512)
    assert await read(history, 250, 10) == (250, BYTES[250:] + BYTES[:4], 512)
    assert await read(history, -6) == (506, BYTES[250:], 512)
    assert await read(history, -600, 2) == (0, BYTES[:2], 512)
    assert await read(history, 512) == (512, b"", 512)
    assert await read(history, 10**30) == (512, b"", 512)
    assert await read(history, -(10**30), 1) == (0, b"\0", 512)
    assert await read(history, 7, 0) == (7, b"", 512)


async def test_repeats_and_overlaps_change_nothing(history: History) -> None:
    chunks = [piece(RUN, 0, b"0123456789"), piece(RUN, 10, b"abcdef"), piece(RUN, 16, b"")]
    for _ in range(2):
        await history.write([], chunks)
        await history.write([], [piece(RUN, 5, b"56789abc"), piece(RUN, 8, b"89abcdefXY"), piece(RUN, 18, b"Z")])
        assert await read(history) == (0, b"0123456789abcdefXYZ", 19)


async def test_gaps(history: History) -> None:
    await history.write([], [piece(RUN, 4, b"4567"), piece(RUN, 12, b"cdef")])
    assert await read(history) == (4, b"4567", 16)
    assert await read(history, 0, 2) == (4, b"45", 16)
    assert await read(history, 8) == (12, b"cdef", 16)
    assert await read(history, -6) == (12, b"cdef", 16)
    assert (await history.outputs([RUN.key], tail=9))[RUN.key] == Output(12, b"cdef", 16)
    await history.write([], [piece(RUN, 9, b"9a")])
    assert await read(history, 8) == (9, b"9a", 16)
    await history.write([], [piece(RUN, 0, b"0123456789abcd")])
    assert await read(history) == (0, b"0123456789abcdef", 16)


async def test_the_last_bytes_are_kept(make: Make) -> None:
    async with make(100) as history:
        whole, start = b"", 0
        for n in range(60):
            data = bytes([n]) * (n % 7)
            await history.write([], [piece(RUN, len(whole), data)])
            whole += data
            start = max(len(whole) - 100, 0)
            assert await read(history) == (start, whole[start:], len(whole))
        assert await read(history, 3, 10) == (start, whole[start : start + 10], len(whole))
        assert await read(history, -10) == (len(whole) - 10, whole[-10:], len(whole))
        await history.write([], [piece(RUN, 0, whole)])
        assert await read(history) == (start, whole[start:], len(whole))


async def test_one_chunk_larger_than_what_is_kept(make: Make) -> None:
    async with make(100) as history:
        await history.write([], [piece(RUN, 0, BYTES), piece(RUN, 256, b"xy")])
        assert await read(history) == (158, BYTES[158:] + b"xy", 258)
        assert (await history.outputs([RUN.key], tail=1000))[RUN.key] == Output(158, BYTES[158:] + b"xy", 258)


async def test_much_in_small_chunks(make: Make) -> None:
    async with make(50_000) as history:
        line = b"a line of output, number %06d\n"
        whole = b"".join(line % n for n in range(4000))
        for start in range(0, len(whole), 997):
            await history.write([], [piece(RUN, start, whole[start : start + 997])])
        size = len(whole)
        assert await read(history) == (size - 50_000, whole[-50_000:], size)
        assert await read(history, size - 20_000, 1000) == (size - 20_000, whole[-20_000:-19_000], size)


async def test_tails_of_many(history: History) -> None:
    runs = [ran("a", T0 + n, node=node) for n in range(5) for node in ("n1", "n2")]
    await history.write(runs[1:], [piece(run, 0, b"%d" % n * 10) for n, run in enumerate(runs)])
    found = await history.outputs([run.key for run in runs], tail=4)
    assert found == {run.key: Output(6, b"%d" % n * 4, 10) for n, run in enumerate(runs)}
    nothing = await history.outputs([runs[0].key], tail=0)
    assert nothing == {runs[0].key: Output(10, b"", 10)}


async def test_output_goes_with_its_execution(history: History) -> None:
    other = ran("a-b", T0)
    going = ran("a", T0, node="n2")
    await history.write([RUN, other], [piece(run, 0, b"text") for run in (RUN, other, going)])
    assert await history.delete("a", until=T0) == 1
    assert await read(history) == (0, b"", 0)
    assert (await history.output(*other.key)).data == b"text"
    assert (await history.output(*going.key)).data == b"text", "its run has not ended: the record is still to come"


async def test_output_that_comes_after_its_execution_was_deleted(history: History) -> None:
    await history.write([RUN], [piece(RUN, 0, b"text")])
    await history.delete("a", until=T0)
    await history.write([], [piece(RUN, 4, b"more")])
    assert await read(history) == (4, b"more", 8)
