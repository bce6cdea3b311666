"""What a node says of itself to the cluster."""

from __future__ import annotations

from dkronpy import __version__
from dkronpy.config import Settings
from dkronpy.model.member import Member


def member_of(settings: Settings) -> Member:
    """This node as a member: the tags of both Dkron generations, then its own. A node's own tags can't replace those
    that say what it is."""
    rpc_addr = f"{settings.advertise_host}:{settings.advertise_rpc_port}"
    chosen = {"role": "dkron", "region": settings.region, "dc": settings.datacenter} | settings.tags
    fixed = {
        "node": settings.node_name,
        "server": str(settings.server).lower(),
        "version": __version__,
        "rpc_addr": rpc_addr,
        "port": str(settings.advertise_rpc_port),
        "dkron_server": str(settings.server).lower(),
        "dkron_version": __version__,
        "dkron_rpc_addr": rpc_addr,
        "http_addr": f"{settings.http_host}:{settings.http_port}",
    }
    return Member(settings.node_name, settings.advertise_host, settings.advertise_port, chosen | fixed)
