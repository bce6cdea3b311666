"""Processes on Linux: starting, finding, signalling and reaping them."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import logging
import os
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

log = logging.getLogger(__name__)

MARK: Final = "DKRON_RUN"
"""The variable that marks the processes of a run; its value names the run."""

_MAYBE_IGNORED: Final = (
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGTERM,
)
"""Signals that a run must not inherit as ignored: Python ignores the first two, whoever started the agent maybe
others."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PR_SET_CHILD_SUBREAPER: Final = 36
_PIDFD_GET_INFO: Final = 0xC040FF0B  # _IOWR(0xFF, 11, 64 bytes): linux/pidfd.h
_PIDFD_INFO_EXIT: Final = 1 << 3
_PIDFD_INFO_CODE: Final = 60  # offset of the wait status in struct pidfd_info


class Account(NamedTuple):
    """Whom a process runs as."""

    uid: int
    gid: int
    groups: list[int]


class Process(NamedTuple):
    """A process as /proc shows it. `ticks`: when it started, which tells it from others with that pid; `rss`: bytes."""

    pid: int
    parent: int
    group: int
    session: int
    ticks: int
    rss: int
    alive: bool
    """False once it has ended and waits to be reaped."""


class Leader(NamedTuple):
    """The process that a run began with, and between which ticks it was started."""

    pid: int
    earliest: int
    latest: int

    def is_(self, process: Process) -> bool:
        """Whether it is this one, and not a later one with its number."""
        return process.pid == self.pid and self.earliest <= process.ticks <= self.latest


class Child(NamedTuple):
    """What `spawn` has started. `pipe` reads its output; `inode` is the pipe's."""

    leader: Leader
    pipe: int
    inode: int


def spawn(path: str, argv: tuple[str, ...], env: Mapping[str, str], stdin: int, account: Account | None) -> Child:
    """Start a process, in a session of its own, whose standard output and error go into one pipe.

    Its end of the pipe can be read from too, so that writing never fails: it is the run's pipe even while no runner
    reads it. Raises: OSError, ValueError, subprocess.SubprocessError.
    """
    earliest = _now()
    pipe, spare = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.close(spare)
    try:
        end = os.open(f"/proc/self/fd/{pipe}", os.O_RDWR | os.O_CLOEXEC)
        try:
            pid = (
                _spawn(path, argv, env, stdin, end)
                if account is None
                else _spawn_as(account, path, argv, env, stdin, end)
            )
        finally:
            os.close(end)
        return Child(Leader(pid, earliest, _now()), pipe, os.fstat(pipe).st_ino)
    except BaseException:
        os.close(pipe)
        raise


def _spawn(path: str, argv: tuple[str, ...], env: Mapping[str, str], stdin: int, output: int) -> int:
    redirections = [(os.POSIX_SPAWN_DUP2, source, target) for source, target in ((stdin, 0), (output, 1), (output, 2))]
    return os.posix_spawn(path, argv, env, file_actions=redirections, setsid=True, setsigdef=_MAYBE_IGNORED)


def _spawn_as(
    account: Account, path: str, argv: tuple[str, ...], env: Mapping[str, str], stdin: int, output: int
) -> int:
    """As `_spawn`, which is three times as fast, but cannot change the user."""
    os.fchown(output, account.uid, account.gid)  # so that it can open /dev/stdout
    popen = subprocess.Popen(
        argv,
        executable=path,
        stdin=stdin,
        stdout=output,
        stderr=output,
        close_fds=False,  # none is inheritable
        env=env,
        start_new_session=True,
        user=account.uid,
        group=account.gid,
        extra_groups=account.groups,
    )
    popen.returncode = 0  # `reap` will wait for it
    return popen.pid


def become_subreaper() -> None:
    """Make orphans among our descendants our children, so that they can be found and reaped."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap() -> Iterator[tuple[int, int]]:
    """Every child that has ended, whoever started it: (pid, exit code, or the negative number of its signal)."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def stranger_exit(pidfd: int) -> int | None:
    """How a process ended that is not our child, as `reap` gives it; None until it is known.

    Raises: OSError where the kernel does not tell (before Linux 6.15).
    """
    info = bytearray(64)
    struct.pack_into("=Q", info, 0, _PIDFD_INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, info)
    except ProcessLookupError:
        return None
    if not struct.unpack_from("=Q", info)[0] & _PIDFD_INFO_EXIT:
        return None
    return os.waitstatus_to_exitcode(struct.unpack_from("=i", info, _PIDFD_INFO_CODE)[0])


def find(pid: int) -> Process | None:
    """The process with this number, if there is one."""
    try:
        file = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        text = os.read(file, 4096)
    except ProcessLookupError:
        return None
    finally:
        os.close(file)
    fields = text[text.rindex(b")") + 2 :].split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        ticks=int(fields[19]),
        rss=int(fields[21]) * _PAGE,
        alive=fields[0] not in {b"Z", b"X"},
    )


def processes() -> list[Process]:
    """All that there are."""
    found = (find(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [process for process in found if process is not None]


def family(everyone: Sequence[Process], leader: Leader, mark: str = "") -> list[Process]:
    """Those that belong to the run that `leader` leads or led: of its group or session, or marked with `mark`, and all
    their descendants. The leader itself comes first.
    """
    # While a group or session has members its number is not given to a new process, so if that was, they are gone.
    number = leader.pid
    reused = any(process.pid == number and not leader.is_(process) for process in everyone)
    marked = f"{MARK}={mark}".encode() if mark else b""
    members: dict[int, Process] = {}
    fresh = [
        process
        for process in everyone
        if (not reused and number in (process.pid, process.group, process.session))
        or (marked and _has_variable(process.pid, marked))
    ]
    while fresh:
        members |= {process.pid: process for process in fresh}
        fresh = [process for process in everyone if process.parent in members and process.pid not in members]
    return sorted(members.values(), key=lambda process: process.pid != number)


def marked_leader(mark: str) -> Leader | None:
    """The oldest living process marked with `mark` that leads a session."""
    variable = f"{MARK}={mark}".encode()
    leaders = [process for process in processes() if process.alive and process.pid == process.session]
    marked = [process for process in leaders if _has_variable(process.pid, variable)]
    oldest = min(marked, key=lambda process: process.ticks, default=None)
    return oldest and Leader(oldest.pid, oldest.ticks, oldest.ticks)


def signal_family(leader: Leader, mark: str, signum: signal.Signals) -> bool:
    """Send a signal to every living process of a run (see `family`): to its group at once, to the others one by one.

    Returns whether there was any.
    """
    members = family(processes(), leader, mark)
    led = bool(members) and leader.is_(members[0])
    if led:
        _signal(os.killpg, leader.pid, signum)
    alive = [process for process in members if process.alive and process.pid != os.getpid()]
    for process in alive:
        if not (led and process.group == leader.pid):
            _signal(os.kill, process.pid, signum)
    return bool(alive)


def kill_family(leader: Leader, mark: str) -> None:
    """Kill every process of a run, also those that were just being started."""
    for _ in range(3):
        if not signal_family(leader, mark, signal.SIGKILL):
            return


def reopen_pipe(members: Sequence[Process], inode: int) -> int:
    """Open the pipe with this inode for reading, by way of one of the processes that has it open. -1 if none has."""
    wanted = f"pipe:[{inode}]"
    for process in members:
        directory = Path(f"/proc/{process.pid}/fd")
        try:
            for name in sorted(os.listdir(directory), key=int):
                path = directory / name
                if os.readlink(path) == wanted:
                    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended, or is none of ours any more
    return -1


def boot_id() -> str:
    """Names this boot of the machine; process ids and the monotonic clock mean nothing in another."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _now() -> int:
    """Ticks since the machine's boot, in which /proc gives when processes started."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * _TICKS // 10**9


def _has_variable(pid: int, variable: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            return variable in file.read().split(b"\0")
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ESRCH, errno.EACCES, errno.EPERM}:
            return False
        raise


def _signal(send: Callable[[int, int], None], number: int, signum: signal.Signals) -> None:
    try:
        send(number, signum)
    except ProcessLookupError:
        pass  # it ended by itself
    except PermissionError:
        log.error("process %d has changed its user and cannot be sent %s", number, signum.name)
