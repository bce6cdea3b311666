"""Where a node sends its figures, as the settings say."""

from __future__ import annotations

from dkronpy.config import Settings
from dkronpy.metrics.statsd import Statsd


def statsd_sinks(settings: Settings) -> list[Statsd]:
    """A sink for each statsd that the settings name."""
    found: list[Statsd] = []
    for address, tags in ((settings.statsd_addr, None), (settings.dog_statsd_addr, settings.dog_statsd_tags)):
        if address is not None:
            found.append(Statsd(address.host, address.port, settings.node_name, tags))
    return found
