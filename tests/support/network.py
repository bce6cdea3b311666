"""A small network on this machine: a switch, and a network namespace for each node, which can be cut off.

It needs root and iproute2 with iptables; `permitted` tells whether it can be had.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

_SUBNET = "198.18.77"  # of the range that is set aside for measurements
_SWITCH = "dkron-switch"
"""The namespace of the bridge: there, no firewall of this machine stands in the way."""


def _run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=10)


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
            _run("ip", "netns", "exec", name, "iptables", "-A", "INPUT", "-s", f"{_SUBNET}.1", "-j", "DROP")
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
        self.address = f"{_SUBNET}.1"
        self._addresses: dict[str, str] = {}
        self.clean_up()  # what a run that was killed has left
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
        """Drop what goes between a node and these addresses: `HOST`, or `HOST:PORT` of a TCP server."""
        for other in others:
            host, _, port = other.partition(":")
            outward = ["-p", "tcp", "--dport", port] if port else []
            inward = ["-p", "tcp", "--sport", port] if port else []
            if outgoing:
                _run(*self.inside(name), "iptables", "-A", "OUTPUT", "-d", host, *outward, "-j", "DROP")
            if incoming:
                _run(*self.inside(name), "iptables", "-A", "INPUT", "-s", host, *inward, "-j", "DROP")

    def heal(self, name: str) -> None:
        """Let everything through again."""
        _run(*self.inside(name), "iptables", "-F")

    def clean_up(self) -> None:
        for line in _run("ip", "netns", "list").stdout.splitlines():
            if line.startswith("dkron-"):
                _run("ip", "netns", "del", line.split()[0])
        _run("ip", "link", "del", "dkron-host", check=False)
