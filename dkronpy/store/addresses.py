"""Addresses of a store's machines, as settings give them."""

from __future__ import annotations


def split_machine(machine: str, store: str, port: int) -> tuple[str, bool]:
    """(`host:port`, whether it was given as https) of a machine of `store` (its name in words), whose usual port is
    `port`. Raises ValueError."""
    scheme, separator, rest = machine.partition("://")
    address = (rest if separator else scheme).rstrip("/")
    if (separator and scheme not in ("http", "https")) or not address or "/" in address:
        raise ValueError(f"not a machine of {store}: {machine!r}; give it as host:port, or https://host:port for TLS")
    host, colon, given = address.rpartition(":")
    if not colon or "]" in given:  # no port, or a bare IPv6 address in brackets
        return f"{address}:{port}", scheme == "https"
    if not host or not given.isdigit():
        raise ValueError(f"not a machine of {store}: {machine!r}; give it as host:port, IPv6 addresses in brackets")
    return address, scheme == "https"
