"""Addresses as users write them: `host`, `host:port`, `:port`, `[::1]:port`, `{{ GetPrivateIP }}:port`.

The templates are the three of go-sockaddr that Dkron's users know; they see IPv4 addresses.
"""

from __future__ import annotations

import fcntl
import re
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMS = "write HOST:PORT, :PORT for all interfaces, [IPV6]:PORT, or a template such as {{ GetPrivateIP }}:PORT"

_SIOCGIFADDR = 0x8915
_ROUTE_UP = 0x1
_SHARED_SPACE = IPv4Network("100.64.0.0/10")
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
)
_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[^\[\]]*)\]|(?P<host>[^\[\]:]*))(?::(?P<port>[^:]*))?")
_TEMPLATE = re.compile(r"\{\{-?\s*(?P<function>\w*)(?:\s+[\"'](?P<argument>[^\"'{}]*)[\"'])?\s*-?\}\}")


@dataclass(frozen=True, slots=True)
class Address:
    """A host (a name, or an IP address without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Only this machine reaches it. A name other than localhost is taken as reachable: what it means may change."""
        ip = _ip(self.host)
        return self.host.lower().rstrip(".") == "localhost" if ip is None else ip.is_loopback

    @property
    def unspecified(self) -> bool:
        """It stands for all interfaces."""
        ip = _ip(self.host)
        return ip is not None and ip.is_unspecified


def parse_address(text: str, default_port: int) -> Address:
    """The address that a text means; a missing host stands for all IPv4 interfaces.

    Raises ValueError for what is no address, and for a template that finds none on this machine."""
    written = _TEMPLATE.sub(_fill, text).strip()
    if _ip(written) is not None:
        return Address(written, default_port)
    match = _ADDRESS.fullmatch(written)
    if match is None or not written:
        raise ValueError(f'"{text}" is not an address: {FORMS}')
    if match["ipv6"] is not None and not isinstance(_ip(match["ipv6"]), IPv6Address):
        raise ValueError(f'"{text}": [{match["ipv6"]}] is not an IPv6 address: {FORMS}')
    host = match["ipv6"] or match["host"] or "0.0.0.0"
    if (
        match["ipv6"] is None
        and _ip(host) is None
        and (host.replace(".", "").isdigit() or not _HOST_NAME.fullmatch(host))
    ):
        raise ValueError(f'"{text}": "{host}" is neither a host name nor an IP address: {FORMS}')
    port = match["port"]
    if port is None:
        return Address(host, default_port)
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ValueError(f'"{text}": the port must be a number from 0 to 65535, not "{port}"')
    return Address(host, int(port))


def reachable_ip() -> str | None:
    """The address by which others most likely reach this machine: private before public; None without either."""
    addresses = list(_addresses())
    return next(filter(_private, addresses), None) or next(filter(_public, addresses), None)


def _fill(match: re.Match[str]) -> str:
    """What a template stands for."""
    function, argument = match["function"], match["argument"]
    if function == "GetInterfaceIP" and argument:
        found = interface_addresses().get(argument)
        if found is None:
            raise ValueError(
                f'{match[0]}: there is no interface "{argument}" with an IPv4 address; those with one: '
                f"{', '.join(interface_addresses()) or 'none'}"
            )
        return found
    if function not in ("GetPrivateIP", "GetPublicIP") or argument is not None:
        raise ValueError(
            f"{match[0]} is not known: use {{{{ GetPrivateIP }}}}, {{{{ GetPublicIP }}}} "
            'or {{ GetInterfaceIP "NAME" }}'
        )
    wanted = _private if function == "GetPrivateIP" else _public
    found = next(filter(wanted, _addresses()), None)
    if found is None:
        raise ValueError(f"{match[0]}: this machine has no such IPv4 address: name the address instead")
    return found


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _private(host: str) -> bool:
    ip = IPv4Address(host)
    return (ip.is_private or ip in _SHARED_SPACE) and not (ip.is_loopback or ip.is_link_local or ip.is_unspecified)


def _public(host: str) -> bool:
    return IPv4Address(host).is_global


def _addresses() -> Iterator[str]:
    """The machine's IPv4 addresses, that of the default route's interface first."""
    addresses = interface_addresses()
    default = default_interface()
    yield from sorted(addresses.values(), key=lambda host: host != addresses.get(default or ""))


def interface_addresses() -> dict[str, str]:
    """The first IPv4 address of each interface that has one, by the interface's name (netdevice(7))."""
    addresses: dict[str, str] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()))
            except OSError:
                continue  # it has none
            addresses[name] = str(IPv4Address(answer[20:24]))
    return addresses


def default_interface(routes: Path = Path("/proc/net/route")) -> str | None:
    """The interface of the default route with the lowest metric, from the kernel's table; None when there is none."""
    try:
        rows = [line.split() for line in routes.read_text().splitlines()[1:]]
    except OSError:
        return None
    defaults = [
        (int(row[6]), row[0])
        for row in rows
        if row[1] == "00000000" and row[7] == "00000000" and int(row[3], 16) & _ROUTE_UP
    ]
    return min(defaults)[1] if defaults else None
