"""A directory of trigger files, `<directory>/<job>/trigger.json` or `.yaml`, as several servers may share it.

A server takes a file by renaming it to a claim, which names the server and a number: of all that try one succeeds. All
calls block, and none follows a symbolic link that another user may have put there.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from dkronpy.dsari.trigger_file import MAX_FILE

log = logging.getLogger(__name__)

FILES: Final = ("trigger.json", "trigger.yaml")
"""The first is taken first, where there are both."""
BAD: Final = "bad"
"""Where files that can't be carried out are put, in the job's directory, each with its error beside it."""
KEPT_BAD: Final = 100
"""Bad files kept of each job."""
_CLAIM: Final = re.compile(r"\.claim-([0-9]{20})-([A-Za-z0-9_.~%-]+)(\.json|\.yaml)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file that nobody has claimed; `written_at` in ns."""

    job: str
    name: str
    written_at: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A file that a server has taken; `number` grows with each that it takes."""

    job: str
    node: str
    number: int
    suffix: str
    since: int = 0
    """When (ns) it was taken, by the clock of the file system."""

    @property
    def name(self) -> str:
        return f".claim-{self.number:020d}-{quote(self.node, safe='')}{self.suffix}"


class TriggerClaims:
    """See the module. All methods raise OSError for what a file system may do to one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def look(self) -> tuple[list[Claim], list[Waiting]]:
        """Everything there, the oldest first."""
        claims: list[Claim] = []
        waiting: list[Waiting] = []
        for job in self._jobs():
            try:
                with self._opened(job) as directory:
                    for name in () if directory is None else os.listdir(directory):
                        self._found(job, name, directory, claims, waiting)
            except PermissionError as error:  # one directory does not stop the others
                log.debug("%s can't be read: %s", ascii(job), error)
        claims.sort(key=lambda claim: claim.number)
        return claims, sorted(waiting, key=lambda file: (file.written_at, file.job, file.name))

    def _found(self, job: str, name: str, directory: int | None, claims: list[Claim], waiting: list[Waiting]) -> None:
        match = _CLAIM.fullmatch(name)
        if match is None and name not in FILES:
            return
        try:
            about = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return
        if match is None:
            waiting.append(Waiting(job, name, about.st_mtime_ns))
            return
        claim = Claim(job, unquote(match[2]), int(match[1]), match[3], about.st_ctime_ns)
        if claim.name == name:
            claims.append(claim)

    def claim(self, file: Waiting, node: str, number: int) -> Claim | None:
        """Take a file; None where another has it."""
        claim = Claim(file.job, node, number, Path(file.name).suffix)
        return claim if self._rename(file.job, file.name, claim.name) else None

    def read(self, claim: Claim) -> tuple[bytes, int] | None:
        """A claimed file's content and when (ns) it was written; None where it is gone, for another server has carried
        it out. Raises ValueError for what is no plain file of a size that is read."""
        with self._opened(claim.job) as directory:
            if directory is None:
                return None
            try:
                flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
                descriptor = os.open(claim.name, flags, dir_fd=directory)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM):
                    raise
                raise ValueError(f"can't be read: {error.strerror}") from None
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                os.close(descriptor)
                raise ValueError("is no plain file")
            with open(descriptor, "rb") as file:
                return file.read(MAX_FILE + 1), about.st_mtime_ns

    def drop(self, claim: Claim) -> None:
        """The claim is carried out."""
        with self._opened(claim.job) as directory:
            if directory is not None:
                with suppress(FileNotFoundError):  # another server has done so
                    os.unlink(claim.name, dir_fd=directory)

    def set_aside(self, claim: Claim, error: str) -> str:
        """Put a file that can't be carried out aside, with its error beside it; returns where."""
        with self._opened(claim.job) as directory:
            if directory is None:
                return ""
            with suppress(FileExistsError):
                os.mkdir(BAD, 0o755, dir_fd=directory)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            bad = os.open(BAD, flags, dir_fd=directory)
            try:
                stem = f"{claim.number:020d}-{quote(claim.node, safe='')}"
                self._write(bad, f"{stem}.error", f"{error}\n".encode("utf-8", "backslashreplace"))
                with suppress(FileNotFoundError):  # another server has done so
                    os.rename(claim.name, stem + claim.suffix, src_dir_fd=directory, dst_dir_fd=bad)
                for name in sorted(os.listdir(bad))[: -2 * KEPT_BAD]:
                    if not stat.S_ISDIR(os.stat(name, dir_fd=bad, follow_symlinks=False).st_mode):
                        os.unlink(name, dir_fd=bad)
            finally:
                os.close(bad)
            return str(self._directory / claim.job / BAD / (stem + claim.suffix))

    def _jobs(self) -> list[str]:
        try:
            with os.scandir(self._directory) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []

    def _rename(self, job: str, old: str, new: str) -> bool:
        with self._opened(job) as directory:
            try:
                if directory is not None:
                    os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)
            except FileNotFoundError:
                return False
            return directory is not None

    def _write(self, directory: int, name: str, content: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(name, flags, 0o644, dir_fd=directory), "wb") as file:
            file.write(content)

    @contextmanager
    def _opened(self, job: str) -> Generator[int | None]:
        """The directory of a job; None where it is gone, or is none."""
        try:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._directory / job, flags)
        except (FileNotFoundError, NotADirectoryError):
            yield None
            return
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            yield None
            return
        try:
            yield descriptor
        finally:
            os.close(descriptor)
