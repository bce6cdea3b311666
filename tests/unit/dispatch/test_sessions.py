"""The leader's side of sessions with nodes: which orders go out when, who gets start leases, who is told what."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from dkronpy.catalog.feed import Feed
from dkronpy.catalog.jobs import Jobs
from dkronpy.catalog.keys import Keys
from dkronpy.catalog.mirror import Mirror
from dkronpy.catalog.requests import Requests
from dkronpy.dispatch.leader import LOOK, Leader, Parts
from dkronpy.leadership.claim import Deposed, claim
from dkronpy.metrics import Metrics
from dkronpy.model.execution import State
from dkronpy.model.job import Job
from dkronpy.model.lane import Ask, Attach, Inventory, Orders, Recorded, Refused, Renew, ToNode
from dkronpy.model.member import Member
from dkronpy.model.records import TriggerRecord
from dkronpy.model.run import Ended, RunSpec
from dkronpy.store.contract import Guard, Operation
from tests.support.memory_history import MemoryHistory
from tests.support.memory_store import MemoryData, MemoryStore


class SlowStore(MemoryStore):
    """Commits that decide a run wait while `held` is cleared."""

    def __init__(self, data: MemoryData) -> None:
        super().__init__(data)
        self.held = asyncio.Event()
        self.held.set()
        self.waits = asyncio.Event()
        """Such a commit has waited."""

    async def commit(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        if any("/runs/" in operation.key for operation in operations):
            if not self.held.is_set():
                self.waits.set()
            await self.held.wait()
        return await super().commit(guards, operations)


class RecordingLane:
    """A lane to the node `n1` that keeps what it is given."""

    def __init__(self, attach: Attach) -> None:
        self.node = "n1"
        self.attach = attach
        self.sent: list[ToNode] = []

    def send(self, message: ToNode) -> None:
        self.sent.append(message)

    def close(self) -> None:
        pass

    def orders(self) -> list[RunSpec]:
        return [run for message in self.sent if isinstance(message, Orders) for run in message.runs]


class Bench:
    """A leader, its store and its jobs."""

    def __init__(self, leader: Leader, store: SlowStore, jobs: Jobs, history: MemoryHistory) -> None:
        self.leader = leader
        self.store = store
        self.jobs = jobs
        self.history = history
        self.holds = True

    def attach(self, *, spool: str | None = "spool") -> RecordingLane:
        """A session, with the inventory of an empty spool."""
        lane = self.leader.attach("n1", RecordingLane)
        if spool is not None:
            self.leader.receive(lane, Inventory(spool, ()))
        return lane

    async def eventually(self, look: Any) -> Any:
        async with asyncio.timeout(30):
            while True:
                if found := look():
                    return found
                await asyncio.sleep(0.005)

    async def ask_for_a_run(self) -> None:
        await self.jobs.put(Job("job", 0, schedule="@manually", executor="shell"), by="test")
        await self.ask()

    async def ask(self) -> None:
        requests = Requests(self.store, self.leader._parts.mirror, self.leader._parts.keys, time.time_ns)
        await requests.ask("job", lambda _, now: TriggerRecord(now, asked=now))


@asynccontextmanager
async def leading(lost_after: float = 120) -> AsyncGenerator[Bench]:
    store, keys, history = SlowStore(MemoryData()), Keys("test"), MemoryHistory()
    await store.open()
    await history.open()
    mirror = Mirror(store, keys)
    jobs = Jobs(store, mirror, keys, time.time_ns)
    watching = asyncio.create_task(mirror.run())
    await mirror.loaded.wait()
    epoch = await claim(store, keys, "s1", time.time_ns)
    bench: Bench
    parts = Parts(
        store=store,
        keys=keys,
        mirror=mirror,
        jobs=jobs,
        history=history,
        feed=Feed(),
        metrics=Metrics(),
        members=lambda: [Member("n1", "127.0.0.1", 8946, {"dkron_version": "1", "rpc_addr": "127.0.0.1:1"})],
        now=time.time_ns,
        rng=random.Random(1),
        lost_after=int(lost_after * 1e9),
        holds=lambda: bench.holds,
    )
    bench = Bench(Leader(parts, epoch), store, jobs, history)
    running = asyncio.create_task(bench.leader.run())
    try:
        await bench.leader.ready.wait()
        yield bench
    finally:
        bench.leader.stop()
        await running
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def test_an_order_made_for_one_session_is_not_sent_in_the_next() -> None:
    async with leading() as bench:
        first = bench.attach()
        await bench.jobs.put(Job("job", 0, schedule="@manually", executor="shell"), by="test")
        bench.store.held.clear()
        await bench.ask()
        async with asyncio.timeout(30):
            await bench.store.waits.wait()  # the commit that decides the run is on its way
        bench.leader.detach(first)
        second = bench.attach()
        bench.store.held.set()
        await bench.eventually(second.orders)
        await asyncio.sleep(0.3)
        assert first.orders() == []
        assert len(second.orders()) == 1


async def test_no_order_goes_out_before_the_inventory() -> None:
    async with leading() as bench:
        bench.leader.detach(bench.attach())
        lane = bench.attach(spool=None)
        await bench.ask_for_a_run()
        await asyncio.sleep(0.3)
        assert lane.orders() == []
        bench.leader.receive(lane, Inventory("spool", ()))
        await bench.eventually(lane.orders)


async def test_what_was_to_be_ordered_again_in_a_session_ends_with_it() -> None:
    async with leading() as bench:
        first = bench.attach()
        await bench.ask_for_a_run()
        (run,) = await bench.eventually(first.orders)
        bench.leader.receive(first, Refused(run.key, "the start lease is over", again=True))
        bench.leader.detach(first)
        second = bench.attach()
        bench.leader.receive(first, Refused(run.key, "said too late", again=True))
        await bench.eventually(second.orders)
        await asyncio.sleep(0.3)
        assert len(second.orders()) == 1


async def test_start_leases_are_given_while_the_lead_is_held() -> None:
    async with leading() as bench:
        lane = bench.attach()
        bench.leader.receive(lane, Ask(7))
        bench.holds = False
        bench.leader.receive(lane, Ask(8))
        assert [message for message in lane.sent if isinstance(message, Renew)] == [Renew(7)]


async def test_a_node_is_told_that_its_result_is_recorded_and_never_that_its_loss_is() -> None:
    async with leading(lost_after=0.5) as bench:
        lane = bench.attach()
        await bench.ask_for_a_run()
        (run,) = await bench.eventually(lane.orders)
        bench.leader.detach(lane)

        await bench.eventually(lambda: bench.history.state(run.key) is State.LOST)
        lane = bench.leader.attach("n1", RecordingLane)
        await asyncio.sleep(0.2)
        assert not [message for message in lane.sent if isinstance(message, Recorded)]
        bench.leader.receive(lane, Ended(run.key, State.SUCCESS, 1, 2, 0))
        await bench.eventually(lambda: [m for m in lane.sent if isinstance(m, Recorded)])
        assert bench.history.state(run.key) is State.SUCCESS


async def test_how_long_a_node_was_away_is_forgotten_when_it_is_back() -> None:
    async with leading(lost_after=60) as bench:
        absent = bench.leader._absent
        lane = bench.attach()
        await bench.ask_for_a_run()
        (run,) = await bench.eventually(lane.orders)
        bench.leader.detach(lane)
        await bench.eventually(lambda: "n1" in absent)
        absent["n1"] -= 40  # it has been missed for so long
        lane = bench.leader.attach("n1", RecordingLane)
        bench.leader.receive(lane, Ended(run.key, State.SUCCESS, 1, 2, 0))
        await bench.eventually(lambda: [m for m in lane.sent if isinstance(m, Recorded)])
        bench.leader.receive(lane, Inventory("spool", ()))
        await bench.ask()
        (again,) = await bench.eventually(lane.orders)
        bench.leader.detach(lane)
        await bench.eventually(lambda: "n1" in absent)
        absent["n1"] -= 40
        await asyncio.sleep(1.5 * LOOK)
        assert bench.history.state(again.key) is None


async def test_a_leader_whose_watch_left_edits_out_leads_no_longer() -> None:
    async def lead() -> None:
        async with leading() as bench:
            bench.store.cut()
            bench.store.connect()
            await bench.eventually(lambda: bench.leader._parts.mirror.gaps)
            await asyncio.sleep(1.5 * LOOK)

    with pytest.raises(ExceptionGroup) as caught:
        await lead()
    (deposed,) = caught.value.exceptions
    assert isinstance(deposed, Deposed)
    assert "resumed too late" in str(deposed)
