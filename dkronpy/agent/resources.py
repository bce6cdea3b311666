"""What a node holds for itself on its machine: its data directory and its ports."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from typing import IO


class StartError(Exception):
    """The node can't start; the message says what to mend."""


def private_directory(path: Path) -> None:
    """Make the directory, readable by its owner only. Raises StartError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise StartError(
            f"the data directory {path} can't be used: {error.strerror}; choose another with --data-dir"
        ) from error


def lock(data_dir: Path) -> IO[str]:
    """Hold the data directory for this process. Raises StartError if another agent has it."""
    file = os.fdopen(os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read().strip() or "another process"
        file.close()
        raise StartError(
            f"the data directory {data_dir} is in use by {owner}: stop it, or choose another with --data-dir"
        ) from None
    file.truncate(0)
    file.write(f"process {os.getpid()}")
    file.flush()
    return file


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def check_port(host: str, port: int, what: str) -> None:
    """Raise StartError, naming the setting, if a TCP port can't be bound."""
    with socket.socket(_family(host), socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartError(
                f"can't listen on {host}:{port} for {what}: {error.strerror}; choose another address"
            ) from error
