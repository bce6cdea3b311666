"""The settings of what a node tells of itself in figures."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel

from dkronpy.config import values
from dkronpy.config.addresses import Address
from dkronpy.config.keys import About, Group

STATSD_PORT = 8125


class Measuring(BaseModel):
    """A part of `Settings`."""

    metrics_quantiles: Annotated[
        tuple[float, ...],
        values.quantiles,
        About(
            Group.METRICS,
            "NUMBER",
            "the quantiles of each job's durations and latencies, from 0 to 1; repeatable",
            "0.01,0.1,0.5,0.9,0.99",
        ),
    ] = (0.01, 0.1, 0.5, 0.9, 0.99)
    metrics_dsari_names: Annotated[
        bool, values.switch, About(Group.METRICS, "", "serve the jobs' figures under the names of dsari's exporter too")
    ] = False
    statsd_addr: Annotated[
        Address | None,
        values.optional_peer(STATSD_PORT),
        About(Group.METRICS, "ADDR", "a statsd that figures are sent to, by UDP; port 8125 unless given"),
    ] = None
    dog_statsd_addr: Annotated[
        Address | None,
        values.optional_peer(STATSD_PORT),
        About(Group.METRICS, "ADDR", "a DogStatsD that figures are sent to, with tags"),
    ] = None
    dog_statsd_tags: Annotated[
        tuple[str, ...],
        values.statsd_tags,
        About(Group.METRICS, "NAME:VALUE", "a tag of all that is sent to the DogStatsD; repeatable"),
    ] = ()
