"""BoltDB files: a real one, made ones with what it lacks, and damage of every kind."""

from __future__ import annotations

import json
import random
import struct

import pytest

from dkronpy.importing.bolt import BoltError, entries
from tests.support.bolt_file import PAGE, BoltFile
from tests.support.dkron_data import BOLTDB, V1

REAL = BOLTDB.read_bytes()


def test_real_file_holds_what_its_dkron_answered() -> None:
    found = {path: json.loads(value[8:]) for path, value in entries(REAL)}
    jobs = {path[1].decode(): job for path, job in found.items() if path[1].startswith(b"dkron/jobs/")}
    assert jobs.keys() == {f"dkron/jobs/{job['name']}" for job in V1["jobs"]}
    executions = [value for path, value in found.items() if path[1].startswith(b"dkron/executions/")]
    expected = [execution for listed in V1["executions"].values() for execution in listed]
    assert sorted(executions, key=str) == sorted(expected, key=str)
    assert len(jobs) + len(executions) == len(found) == 78


@pytest.mark.parametrize("fan", [1, 2, 4, 100])
def test_trees_nested_and_inline_buckets_and_long_values(fan: int) -> None:
    if fan == 1:
        content = {b"a": {b"x": b"1"}}
    else:
        content = {
            b"empty": {},
            b"inline": {b"k": b"v", b"l": b""},
            b"nested": {
                b"in": {b"most": {str(n).encode(): b"v" * n for n in range(60)}, b"line": {b"k": b"v"}},
                b"z": b"end",
            },
            b"wide": {f"{n:04}".encode(): bytes([n % 256]) * (n * 37 % 9000) for n in range(300)},
        }

    def flat(bucket: dict, path: tuple[bytes, ...] = ()) -> dict[tuple[bytes, ...], bytes]:
        found: dict[tuple[bytes, ...], bytes] = {}
        for key, value in bucket.items():
            found |= flat(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
        return found

    listed = list(entries(BoltFile(fan).build(content, free=7)))
    assert dict(listed) == flat(content)
    assert len(listed) == len(flat(content))


def test_freelist_too_long_for_its_count() -> None:
    assert dict(entries(BoltFile().build({b"b": {b"k": b"v"}}, free=70_000))) == {(b"b", b"k"): b"v"}


@pytest.mark.parametrize("newest", [0, 1])
def test_torn_meta_page_leaves_the_commit_before(newest: int) -> None:
    transaction = [int.from_bytes(REAL[page * PAGE + 64 :][:8], "little") for page in (0, 1)]
    torn = bytearray(REAL)
    torn[newest * PAGE + 40] ^= 1
    found = dict(entries(bytes(torn)))
    if transaction[newest] == max(transaction):
        assert len(found) in (77, 78)
    else:
        assert found == dict(entries(REAL))


def test_no_whole_meta_page() -> None:
    torn = bytearray(REAL)
    for page in (0, 1):
        torn[page * PAGE + 40] ^= 1
    for data in (bytes(torn), b"", b"junk", b"\0" * 20_000, b'[{"name": "job1"}]'):
        with pytest.raises(BoltError, match="no BoltDB file"):
            list(entries(data))


def test_cut_short_anywhere() -> None:
    used = struct.unpack_from("<Q", REAL, PAGE * 0 + 16 + 40)[0] * PAGE
    rng = random.Random(1)
    for size in [*range(PAGE * 2, used, PAGE * 7), *(rng.randrange(used) for _ in range(50))]:
        with pytest.raises(BoltError):
            list(entries(REAL[:size]))


def test_damage_is_told_or_harmless() -> None:
    """Whatever bytes are wrong: an end, and no other error than the one that says so."""
    rng = random.Random(2)
    small = BoltFile(3).build({b"b": {str(n).encode(): b"v" * n for n in range(40)}, b"i": {b"k": b"v"}}, free=3)
    told = 0
    for _ in range(3000):
        torn = bytearray(small)
        for _ in range(rng.choice([1, 2, 8])):
            # Headers and elements, mostly.
            page = rng.randrange(2, len(small) // PAGE)
            torn[page * PAGE + rng.choice([rng.randrange(64), rng.randrange(PAGE)])] = rng.randrange(256)
        try:
            list(entries(bytes(torn)))
        except BoltError:
            told += 1
    assert told > 1000


def test_a_page_in_two_places_is_damage() -> None:
    """As where a tree would lead back into itself, and never end."""
    data = bytearray(BoltFile(2).build({b"b": {str(n).encode(): b"v" for n in range(8)}}))
    branches = [page for page in range(2, len(data) // PAGE) if data[page * PAGE + 8] == 1]
    top = branches[-1]
    struct.pack_into("<Q", data, top * PAGE + 16 + 8, top)
    with pytest.raises(BoltError, match="in two places"):
        list(entries(bytes(data)))
