"""Files of a Dkron that is running, and files that are none."""

from __future__ import annotations

import fcntl
import shutil
import threading
from pathlib import Path

import pytest

from dkronpy.importing import files
from dkronpy.importing.dump import KEYSPACE, DumpError
from dkronpy.importing.files import read_boltdb, read_json
from tests.support.dkron_data import BOLTDB


def test_it_waits_for_a_dkron_that_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "dkron.db"
    shutil.copy(BOLTDB, path)
    with path.open("rb+") as dkron:
        fcntl.flock(dkron, fcntl.LOCK_EX)
        release = threading.Timer(0.3, fcntl.flock, (dkron, fcntl.LOCK_UN))
        release.start()
        assert len(read_boltdb(path, KEYSPACE).jobs) == 11
        release.join()
        fcntl.flock(dkron, fcntl.LOCK_EX)
        monkeypatch.setattr(files, "LOCK_WAIT", 0.1)
        with pytest.raises(DumpError, match="locked by another program"):
            read_boltdb(path, KEYSPACE)


def test_what_is_no_json_is_told_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "jobs.json"
    for content in (b"", b"[", b"\xff\xfe", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(DumpError, match=r"jobs\.json is not JSON"):
            read_json(path, None)
    path.write_bytes(b"{}")
    with pytest.raises(DumpError, match=r"jobs\.json: jobs: must be a list"):
        read_json(path, None)
