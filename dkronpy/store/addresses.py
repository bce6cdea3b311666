"""Ways to a store's machines, as settings give them: addresses, and files for TLS."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from dkronpy.store.contract import Unavailable

if TYPE_CHECKING:
    from pathlib import Path


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


def tls_context(store: str, ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """For TLS with `store` (its name in words): whom to trust (without `ca_file` the usual authorities), and the
    client's own certificate. Raises Unavailable for a file that can't be used."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if cert_file is not None:
            context.load_cert_chain(cert_file, key_file)
    except OSError as error:  # ssl.SSLError is one
        names = ", ".join(str(file) for file in (ca_file, cert_file, key_file) if file is not None)
        raise Unavailable(f"can't use a file for TLS with {store} ({names}): {error}") from error
    return context


def until_usable(seconds: float, machines: int) -> float:
    """How long (s) one of so many machines may take until it can be used, where a call has `seconds`: half of them, so
    that the next has its turn; all of them where there is no other, for giving up early would help nobody."""
    return seconds if machines == 1 else seconds / 2
