"""A term of leadership on this node: the leader, and its lanes to every member."""

from __future__ import annotations

import asyncio
import gc

from dkronpy.catalog.mirror import Held
from dkronpy.dispatch.leader import Leader, Parts
from dkronpy.dispatch.remote import keep_lane, keep_local_lane
from dkronpy.metrics import Metrics
from dkronpy.model.member import Member
from dkronpy.model.records import Epoch
from dkronpy.rpc.auth import Keys
from dkronpy.rpc.dialer import Dialer
from dkronpy.runner.node import Node


class LeaderTerm:
    """See the module. `changed` is set whenever the members may have changed."""

    def __init__(
        self,
        parts: Parts,
        epoch: Held[Epoch],
        node: Node,
        dialer: Dialer,
        keys: Keys,
        changed: asyncio.Event,
    ) -> None:
        self.leader = Leader(parts, epoch)
        self._parts = parts
        self._node = node
        self._dialer = dialer
        self._keys = keys
        self._changed = changed

    def stop(self) -> None:
        """Decide nothing more; `run` returns when the step at hand is carried out."""
        self.leader.stop()

    async def run(self) -> None:
        """Lead. Returns after `stop`; raises Deposed, in a group."""
        metrics: Metrics = self._parts.metrics
        metrics.leads(self.leader.epoch)
        try:
            async with asyncio.TaskGroup() as group:
                lanes = group.create_task(self._keep_lanes(), name="lanes")
                await self.leader.run()
                lanes.cancel()
        finally:
            metrics.leads_no_more()

    async def _keep_lanes(self) -> None:
        await self.leader.ready.wait()
        settle_memory()
        kept: dict[tuple[str, str], asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_local_lane(self.leader, self._node), name="local work lane")
            while True:
                self._changed.clear()
                wanted = {(member.name, member.tags["rpc_addr"]): member for member in self._others()}
                for gone in [key for key in kept if key not in wanted]:
                    kept.pop(gone).cancel()
                for key, member in wanted.items():
                    if key not in kept:
                        lane = keep_lane(self.leader, self._dialer, member, self._node.name, self._keys)
                        kept[key] = group.create_task(lane, name=f"work lane to {member.name}")
                await self._changed.wait()

    def _others(self) -> list[Member]:
        return [member for member in self._parts.members() if member.alive and member.name != self._node.name]


def settle_memory() -> None:
    """Keep what was loaded out of the collector's way: 100,000 jobs would cost it 75 ms a pass."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()
