"""Telling systemd how the node fares, as sd_notify(3) has it: datagrams to the socket that `NOTIFY_SOCKET` names."""

from __future__ import annotations

import logging
import socket
from collections.abc import MutableMapping

log = logging.getLogger(__name__)


class Supervisor:
    """Whoever started this node and wants to hear of it, if anybody does."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Takes the variable out of the environment, which the runs inherit."""
        self._address = environment.pop("NOTIFY_SOCKET", "")

    def ready(self) -> None:
        self._tell("READY=1")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
                to.sendto(state.encode(), socket.MSG_DONTWAIT, address)
        except OSError as error:
            log.warning("systemd can't be told %s at %s: %s", state, self._address, error)
