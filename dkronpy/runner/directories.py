"""The runs' own directories: `runs/<job>/<execution id>` in the node's data directory.

One that is empty when its run ends is removed; of the others the newest of each job are kept.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from dkronpy.model.execution import execution_id
from dkronpy.model.run import Key
from dkronpy.model.yaml_text import YamlError, load_yaml

log = logging.getLogger(__name__)

KEPT: Final = 100
"""Directories that are not empty kept of each job."""
MAX_RETURN_DATA: Final = 8000
"""Bytes of the data that a run returns, as a file and as JSON."""


class Directories:
    """Those of one node; `data_dir` is an absolute path."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def of_job(self, job: str) -> Path:
        """Where the directories of a job's runs are."""
        return self.data_dir / "runs" / job

    def of_run(self, key: Key) -> Path:
        """A run's directory."""
        job, group, attempt, node = key
        return self.of_job(job) / quote(execution_id(group, attempt, node), safe="")

    def make(self, key: Key, owner: tuple[int, int] | None) -> Path:
        """Make a run's directory, for this (user, group) if not for ourselves. Raises OSError."""
        path = self.of_run(key)
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.mkdir(mode=0o755, exist_ok=True)
        if owner is not None:
            os.chown(path, *owner, follow_symlinks=False)
        return path

    def leave(self, key: Key) -> bool:
        """The run is over: remove its directory if it is empty. Returns whether it stays."""
        try:
            self.of_run(key).rmdir()
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                log.warning("a run's directory can't be removed: %s", error, extra={"job": key[0]})
            return True
        return False

    def prune(self, job: str, needed: Collection[str]) -> None:
        """Delete all but the newest directories of a job's runs and those `needed`, by name. May take long: not for
        the event loop."""
        try:
            found = sorted(os.listdir(self.of_job(job)), key=_age)
        except FileNotFoundError:
            return
        for name in found[:-KEPT]:
            if name not in needed:
                shutil.rmtree(self.of_job(job) / name, onerror=_failed)


def read_return_data(directory: Path) -> tuple[str, str]:
    """What a run has left in `return_data.json`, else `return_data.yaml`: (compact JSON, ""), or ("", why it can't be
    kept). ("", "") if there is neither."""
    for name in ("return_data.json", "return_data.yaml"):
        try:
            text = _read(directory / name)
            if text is None:
                continue
            value = msgspec.json.decode(text) if name.endswith(".json") else load_yaml(text.decode())
            found = msgspec.json.encode(value)
        except OSError as error:
            return "", f"{name} can't be read: {error.strerror}"
        except UnicodeDecodeError:
            return "", f"{name} is not kept: it is not UTF-8"
        except (msgspec.DecodeError, YamlError, RecursionError, TypeError, ValueError) as error:
            return "", f"{name} is not kept: {' '.join(str(error).split())[:150]}"
        if len(found) > MAX_RETURN_DATA:
            return "", f"{name} is not kept: as JSON it is larger than {MAX_RETURN_DATA} bytes"
        return found.decode(), ""
    return "", ""


def _read(path: Path) -> bytes | None:
    """A plain file's content; None if there is none. Whatever the run has put there, this neither waits for it nor
    follows it elsewhere. Raises OSError, ValueError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no plain file")
        content = os.read(descriptor, MAX_RETURN_DATA + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_RETURN_DATA:
        raise ValueError(f"it is larger than {MAX_RETURN_DATA} bytes")
    return content


def _age(name: str) -> tuple[int, int, str]:
    """Sorts directories by when their runs were due."""
    group, _, rest = name.partition("-")
    attempt, _, node = rest.partition("-")
    return (int(group) if group.isdecimal() else 0, int(attempt) if attempt.isdecimal() else 0, node)


def _failed(_function: object, path: str, error: object) -> None:
    log.warning("an old directory of a run can't be deleted: %s", path, extra={"error": str(error)})
