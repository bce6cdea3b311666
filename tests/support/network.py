"""A small network on this machine: a switch, and a network namespace for each node, which can be cut off.

It needs root and iproute2; `permitted` tells whether it can be had.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

_SUBNET = "198.18.77"  # of the range that is set aside for measurements
_SWITCH = "dkron-switch"
"""The namespace of the bridge: there, no firewall of this machine stands in the way."""


_NOBODY = "02:00:00:00:00:99"


def _run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=60)


def _ip(space: str, command: str) -> None:
    """An `ip` command in a namespace."""
    _run("ip", "-n", space, *command.split())


def permitted() -> str | None:
    """None where networks can be made, or why not."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"dkronpy{os.getpid()}"
    try:
        _run("ip", "netns", "add", name)
        try:
            _ip(name, "link add one type veth peer name other")
        finally:
            _run("ip", "netns", "del", name, check=False)
    except FileNotFoundError as error:
        return f"{error.filename} is not installed"
    except subprocess.CalledProcessError as error:
        return f"network namespaces can't be made: {error.stderr.strip()}"
    return None


class Network:
    """The switch and the namespaces of the nodes added; gone after `clean_up`. `address` is this machine's in it."""

    def __init__(self) -> None:
        self._turn = (Path(tempfile.gettempdir()) / "dkronpy-test-network").open("w")
        fcntl.flock(self._turn, fcntl.LOCK_EX)  # the names are the same for all: one at a time on this machine
        self.address = f"{_SUBNET}.1"
        self._addresses: dict[str, str] = {}
        self._cut: list[tuple[str | None, str]] = []
        """From whose packets (None: this machine's), to which address, lead to nobody."""
        self._remove()  # what a run that was killed has left
        _run("ip", "netns", "add", _SWITCH)
        _ip(_SWITCH, "link add bridge type bridge")
        _ip(_SWITCH, "link set bridge up")
        _run(*f"ip link add dkron-host type veth peer name host netns {_SWITCH}".split())
        _ip(_SWITCH, "link set host master bridge up")
        _run(*f"ip addr add {self.address}/24 dev dkron-host".split())
        _run(*["ip", "link", "set", "dkron-host", "up"])

    def add(self, name: str) -> str:
        """Make a node's namespace; its address."""
        address = self._addresses[name] = f"{_SUBNET}.{len(self._addresses) + 11}"
        space = f"dkron-{name}"
        _run("ip", "netns", "add", space)
        _ip(_SWITCH, f"link add {name} type veth peer name eth0 netns {space}")
        _ip(_SWITCH, f"link set {name} master bridge up")
        _ip(space, f"addr add {address}/24 dev eth0")
        _ip(space, "link set eth0 up")
        _ip(space, "link set lo up")
        return address

    def inside(self, name: str) -> Sequence[str]:
        """What a command begins with to run in a node's namespace."""
        return ("ip", "netns", "exec", f"dkron-{name}")

    def cut(self, name: str, *others: str, outgoing: bool = True, incoming: bool = True) -> None:
        """Lose what goes between a node and these addresses, `HOST` or `HOST:PORT` (all that host's ports), without a
        word to the sender."""
        for other in others:
            host = other.partition(":")[0]
            owner = next((node for node, address in self._addresses.items() if address == host), None)
            if outgoing:
                self._lose(name, host)
            if incoming:
                self._lose(owner, self._addresses[name])

    def heal(self, name: str) -> None:
        """Let everything through again, also of those who were cut off from this node."""
        for sender, address in [cut for cut in self._cut if name == cut[0] or self._addresses[name] == cut[1]]:
            self._neighbour(sender, "del", address)
            self._cut.remove((sender, address))

    def _lose(self, sender: str | None, address: str) -> None:
        """Packets of a sender go to a hardware address that nobody has."""
        self._neighbour(sender, "replace", address, "lladdr", _NOBODY, "nud", "permanent")
        self._cut.append((sender, address))

    def _neighbour(self, sender: str | None, action: str, address: str, *more: str) -> None:
        place = ["dev", "dkron-host"] if sender is None else ["dev", "eth0"]
        space = [] if sender is None else ["-n", f"dkron-{sender}"]
        _run("ip", *space, "neigh", action, address, *place, *more)

    def clean_up(self) -> None:
        self._remove()
        self._turn.close()

    def _remove(self) -> None:
        for line in _run("ip", "netns", "list").stdout.splitlines():
            if line.startswith("dkron-"):
                _run("ip", "netns", "del", line.split()[0])
        _run("ip", "link", "del", "dkron-host", check=False)
