"""The file of a backup: whole, or not at all."""

from __future__ import annotations

import gzip
import random
import stat
from pathlib import Path

import pytest

from dkronpy.backup.file import BackupError, Counted, Header, Line, Piece, Run, Value, Writer, read
from dkronpy.model.execution import Execution, OutputChunk, State
from dkronpy.model.figures import Figures, JobFigures

LINES: list[Line] = [
    Header(1, "0.1.0", "2026-11-26T14:00:00Z", "etcd", "dkron", 7),
    Value("jobs/größe", b'{"name":"gr\xc3\xb6\xc3\x9fe"}\n'),
    Value("cursor", bytes(range(256))),
    Run(Execution("größe", 5, 1, "n1", State.SUCCESS, finished=6, env={"A": "1"})),
    Piece(OutputChunk("größe", 5, 1, "n1", 100, b"\xff\0\n")),
    Counted(JobFigures("größe", 1, 0, Figures(0, 1, observed=1), None, b"\xff\0\n")),
]


def write(path: Path) -> None:
    with Writer(path) as writer:
        for line in LINES:
            writer.write(line)
        end = writer.finish()
    assert (end.values, end.executions, end.outputs, end.figures) == (2, 1, 1, 1)


def test_what_is_written_is_read_and_nobody_else_may(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    write(path)
    assert list(read(path)) == LINES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_one_that_breaks_off_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    write(path)
    with Writer(path) as writer:
        writer.write(LINES[0])
    assert list(read(path)) == LINES
    assert list(tmp_path.iterdir()) == [path]


def test_any_damage_is_found(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    write(path)
    whole = path.read_bytes()
    rng = random.Random(1)
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(BackupError):
            list(read(path))
    for _ in range(200):
        torn = bytearray(whole)
        torn[rng.randrange(10, len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(torn)
        try:
            assert list(read(path)) == LINES  # a flag of gzip's that means nothing
        except BackupError:
            continue
    text = gzip.decompress(whole)
    for changed in (
        text.replace(b'"revision":7', b'"revision":8'),
        b"".join(text.splitlines(True)[:-1]),
        b"".join(text.splitlines(True)[1:]),
        b"".join(text.splitlines(True)[0:1] + text.splitlines(True)[2:]),
        text.replace(b'"format":1', b'"format":9'),
        b"{}\n",
        b"",
    ):
        path.write_bytes(gzip.compress(changed))
        with pytest.raises(BackupError):
            list(read(path))


def test_where_nothing_can_be_written_or_read(tmp_path: Path) -> None:
    with (
        pytest.raises(BackupError, match=r"missing/backup\.part: No such file"),
        Writer(tmp_path / "missing" / "backup"),
    ):
        pass
    with pytest.raises(BackupError, match="No such file"):
        list(read(tmp_path / "backup"))
