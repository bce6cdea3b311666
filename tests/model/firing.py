"""How a job fires, as a model: leaders that come and go, a store, a history, nodes that crash or lose their disk.

Any part may act at any time, or be slow, paused or cut off: then it just does not act. A leader plans a change of one
record, commits it and carries it out; one that was superseded goes on until it notices. Time is not counted: what
needs time (`_lose`) says what must have passed. A fire stands for a request to run as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.model.checker import Model, Next
from tests.model.world import (
    ACKED,
    DISPATCHED,
    ENDED,
    GONE,
    LOST,
    OK,
    RENEWAL,
    RUNNING,
    STARTING,
    TOLD,
    UNORDERED,
    Leader,
    Node,
    Promise,
    Record,
    Rule,
    Step,
    World,
    behind,
    put,
)

Steps: TypeAlias = Iterator[Next[World]]


@dataclass(frozen=True)
class Firing(Model[World]):
    """The model. At most `faults` faults, of any kind, happen in one course of events."""

    watched: frozenset[Promise] = field(default=frozenset(Promise), repr=False)
    servers: int = 2
    nodes: int = 1
    fires: int = 1
    faults: int = 2

    def initial(self) -> World:
        none, blank, nodes = (None,) * self.fires, ("",) * self.fires, (Node(("",) * self.fires),) * self.nodes
        starts, wiped = (0,) * self.fires, (False,) * self.fires
        return self._claim(World(0, 0, none, True, blank, (), nodes, starts, wiped, self.faults))

    def good(self, state: World) -> bool:
        """Every fire that exists has one outcome, in the history alone: the true one, unless its disk is gone."""
        leader = state.leader(state.epoch)
        if leader is None or leader.step or (state.job and state.upto < self.fires):
            return False
        if any(known not in ("", ACKED) for node in state.nodes for known in node.journal):
            return False
        for record, outcome, starts, wiped in zip(state.records, state.history, state.starts, state.wiped, strict=True):
            if (record is not None and record.state != GONE) or (record is None) != (not outcome):
                return False
            if outcome == LOST and starts and not wiped:
                return False
        return True

    def steps(self, state: World) -> Steps:
        less = state._replace(faults=state.faults - 1)
        holder = state.leader(state.epoch)
        if len(state.leaders) < self.servers and (holder is None or state.faults):
            claimed = self._claim(less if holder else state)
            yield Next(f"a server claims epoch {claimed.epoch}", claimed, holder is not None)
        for leader in state.leaders:
            yield from self._leads(state, leader)
        for number, node in enumerate(state.nodes):
            yield from self._runs(state, number, node)
            if state.faults:
                yield from self._fails(less, number, node)
        if state.late:
            yield Next("the delayed commit reaches the store", self._write(state, state.late)._replace(late=None))
        if state.faults and holder:
            yield Next(f"leader {holder.epoch} crashes", less.leave(holder), fault=True)
        if state.faults and state.job:
            yield Next("the job is deleted", less._replace(job=False), fault=True)

    def _breaks(self, world: World, promise: Promise) -> World:
        return world._replace(broken=promise) if promise in self.watched and not world.broken else world

    # ---- leaders

    def _claim(self, world: World) -> World:
        queue = tuple((fire, r.state, False) for fire, r in enumerate(world.records) if r and r.state in (OK, LOST))
        spools = (-1,) * self.nodes
        leader = Leader(world.epoch + 1, world.upto, world.records, world.job, spools, queue=queue)
        return world._replace(epoch=leader.epoch, leaders=(*world.leaders, leader))

    def _leads(self, world: World, leader: Leader) -> Steps:
        who, step = f"leader {leader.epoch}", leader.step
        if leader.epoch < world.epoch:
            yield Next(f"{who} notices that it is deposed", world.leave(leader))
        if step is None:
            yield from self._plans(world, leader)
        elif not step.committed:
            yield from self._commits(world, leader, step)
        else:
            yield Next(f"{who} sends the order", self._order(world.lead(leader, step=None), leader, step))
        if leader.queue:
            yield Next(f"{who} writes fire {leader.queue[0][0]} to the history", self._archive(world, leader))
        if leader.job and not world.job:
            yield Next(f"{who} sees the deletion", world.lead(leader, job=False))
        for number, node in enumerate(world.nodes):
            if world.in_session(leader, number):
                yield Next(f"{who} loses its session with node {number}", self._part(world, leader.epoch, number))
                if not node.lease and not leader.expired and RENEWAL not in node.inbox:
                    held = self.has(Rule.FROM_ASKING)
                    after = world.node(number, lease=True) if held else world.send(number, RENEWAL)
                    yield Next(f"{who} renews the start lease of node {number}", after)
            elif node.epoch <= leader.epoch:
                yield Next(f"{who} opens a session with node {number}", self._attach(world, leader, number))

    def _plans(self, world: World, leader: Leader) -> Steps:
        who = f"leader {leader.epoch}"
        if leader.job and leader.upto < self.fires:
            for number, spool in enumerate(leader.spools):
                after = self._plan(world, leader, leader.upto, Record(DISPATCHED, number, spool), order=spool >= 0)
                yield Next(f"{who} plans fire {leader.upto} on node {number}", after)
        for kind, fire in sorted(leader.inputs):
            rest = leader._replace(inputs=leader.inputs - {(kind, fire)})
            yield Next(f"{who} plans: fire {fire} is {kind}", self._answer(world, rest, kind, fire))
        for fire, record in enumerate(leader.records):
            if record is None:
                continue
            if record.state == DISPATCHED and leader.spools[record.node] < 0:
                after = self._lose(world, leader, fire, record)
                yield Next(f"{who} plans: fire {fire} is lost after a long silence", after)
            if fire in leader.archived:
                after = self._plan(world, leader, fire, record._replace(state=GONE))
                yield Next(f"{who} plans: fire {fire} leaves the store", after)
            if world.in_session(leader, record.node) and world.nodes[record.node].journal[fire] == ENDED:
                yield Next(f"{who} hears the result of fire {fire}", self._answer(world, leader, OK, fire))

    def _plan(self, world: World, leader: Leader, fire: int, record: Record, *, order: bool = False) -> World:
        upto, number = max(leader.upto, fire + 1), 1 if leader.current else -2
        early = order and not self.has(Rule.COMMIT_FIRST)
        step = Step(leader.epoch, upto, fire, record, order and not early, number, leader.current)
        records, archived = put(leader.records, fire, record), leader.archived - {fire}
        world = world.lead(leader, step=step, upto=upto, records=records, archived=archived)
        return self._order(world, leader, step) if early else world

    def _answer(self, world: World, leader: Leader, kind: str, fire: int) -> World:
        """What the leader makes of a result, a loss, or an order that did not arrive."""
        record = leader.records[fire]
        assert record is not None, "only what is recorded is heard of"
        if kind == OK:
            if record.state == GONE and self.has(Rule.HISTORY_KNOWS):
                return self._acked(world._replace(history=put(world.history, fire, OK)), record.node, fire)
            if record.state == OK:
                again = (fire, OK, True)
                return world if again in leader.queue else world.lead(leader, queue=(*leader.queue, again))
            return self._plan(world, leader, fire, record._replace(state=OK))
        if record.state != DISPATCHED:
            return world.lead(leader)
        if kind == UNORDERED and leader.job:
            return self._plan(world, leader, fire, record._replace(spool=leader.spools[record.node]), order=True)
        return self._plan(world, leader, fire, record._replace(state=LOST))

    def _lose(self, world: World, leader: Leader, fire: int, record: Record) -> World:
        """So long after its session with the node that start leases are over, and that a leader that was superseded
        has stepped down or hangs."""
        if self.has(Rule.STEP_DOWN):
            for other in world.leaders:
                world = world.lead(other, expired=other.epoch < world.epoch)
        leader = world.leader(leader.epoch) or leader
        return self._answer(world.node(record.node, lease=False), leader, LOST, fire)

    # ---- commits

    def _commits(self, world: World, leader: Leader, step: Step) -> Steps:
        who = f"leader {leader.epoch}"
        if self._guarded(world, step):
            yield Next(f"{who} commits", self._committed(self._write(world, step), leader, step))
            if world.faults and world.late is None:
                sent = world._replace(late=step, faults=world.faults - 1)
                sent = sent if self.has(Rule.TRIED_AGAIN) else self._committed(sent, leader, step)
                yield Next(f"{who}'s commit is delayed", sent, fault=True)
        elif leader.epoch != world.epoch or step.number != 0:
            yield Next(f"{who} can't commit and gives up", world.leave(leader))
        elif self.has(Rule.COMMIT_NUMBER):
            yield Next(f"{who} finds its commit written", self._committed(world, leader, step))

    def _guarded(self, world: World, step: Step) -> bool:
        epoch_holds = step.epoch == world.epoch or not self.has(Rule.EPOCH_GUARD)
        return epoch_holds and (step.current or not self.has(Rule.CURSOR_GUARD))

    def _write(self, world: World, step: Step) -> World:
        if not self._guarded(world, step):
            return world
        old, new = world.records[step.fire], step.record.state
        before = DISPATCHED if old is None else old.state
        if step.epoch < world.epoch:
            world = self._breaks(world, Promise.DEPOSED)
        if (before, new) == (GONE, OK):
            world = self._breaks(world, Promise.FOLLOWED)
        unsaved = (before, new) == (OK, GONE) and world.history[step.fire] != OK
        changes = before != DISPATCHED and (before, new) not in ((LOST, OK), (GONE, OK), (OK, GONE), (LOST, GONE))
        if changes or unsaved:
            world = self._breaks(world, Promise.UNDONE)
        for other in world.leaders:
            world = world.lead(other, step=other.step and behind(other.step, step.number), current=False)
        late = world.late and behind(world.late, step.number)
        return world._replace(upto=step.upto, records=put(world.records, step.fire, step.record), late=late)

    def _committed(self, world: World, leader: Leader, step: Step) -> World:
        """The leader knows that its step was written."""
        if step.order:
            return world.lead(leader, step=step._replace(committed=True, number=0), current=True)
        outcome = step.record.state
        queue = (*leader.queue, (step.fire, outcome, outcome == OK)) if outcome in (OK, LOST) else leader.queue
        return world.lead(leader, step=None, queue=queue, current=True)

    def _archive(self, world: World, leader: Leader) -> World:
        """Write the outcome at the queue's head to the history, and tell the node."""
        (fire, outcome, report), *rest = leader.queue
        record = leader.records[fire]
        assert record is not None, "what is final was recorded"
        if world.history[fire] != OK or not self.has(Rule.TRUE_RESULT):
            if world.history[fire] == OK != outcome:
                world = self._breaks(world, Promise.UNDONE)
            world = world._replace(history=put(world.history, fire, outcome))
        same = record.state == outcome or not self.has(Rule.SAME_RECORD)
        world = world.lead(leader, queue=tuple(rest), archived=leader.archived | ({fire} if same else set()))
        known = world.nodes[record.node].journal[fire]
        if not world.in_session(leader, record.node) or not (report or not self.has(Rule.ACK_ANSWERS)):
            return world
        if known == RUNNING:
            return world.journal(record.node, fire, TOLD)
        return self._acked(world, record.node, fire) if known == ENDED else world

    # ---- sessions

    def _order(self, world: World, leader: Leader, step: Step) -> World:
        number = step.record.node
        return world.send(number, (step.fire, step.record.spool)) if world.in_session(leader, number) else world

    def _part(self, world: World, epoch: int, number: int) -> World:
        """The leader's end of a session is closed; the node may not know yet."""
        leader = world.leader(epoch)
        if leader is None or leader.spools[number] < 0:
            return world
        step = leader.step
        if step and step.order and step.record.node == number and self.has(Rule.ONE_ORDER):
            step = None if step.committed else step._replace(order=False)
        there = {fire for fire, record in enumerate(leader.records) if record and record.node == number}
        inputs = frozenset(known for known in leader.inputs if known[0] != UNORDERED or known[1] not in there)
        return world.lead(leader, step=step, spools=put(leader.spools, number, -1), inputs=inputs)

    def _end(self, world: World, number: int, **changes: Any) -> World:
        """The node's session is over, and `changes` happen to the node."""
        node = world.nodes[number]
        world = self._part(world, node.session, number)
        orders = [order for order in node.inbox if order != RENEWAL]
        if orders and not self.has(Rule.SESSION):
            world = world._replace(stuck=(number, *orders[-1]))
        return world.node(number, session=0, lease=False, inbox=()).node(number, **changes)

    def _attach(self, world: World, leader: Leader, number: int) -> World:
        if leader.epoch < world.nodes[number].followed:
            world = self._breaks(world, Promise.POACHED)
        world = self._end(world, number, session=leader.epoch, epoch=leader.epoch, followed=leader.epoch)
        leader = world.leader(leader.epoch) or leader
        world = world.lead(leader, spools=put(leader.spools, number, world.nodes[number].spool))
        return self._inventory(world, leader.epoch, number)

    def _inventory(self, world: World, epoch: int, number: int) -> World:
        """The leader compares what the node has with what it should have."""
        leader, node = world.leader(epoch), world.nodes[number]
        assert leader is not None, "a leader hears it"
        inputs = leader.inputs
        for fire, record in enumerate(leader.records):
            if record and record.node == number and record.state == DISPATCHED and node.journal[fire] in ("", ACKED):
                foreign = record.spool not in (-1, node.spool) and self.has(Rule.SPOOL)
                inputs |= {(LOST if foreign else UNORDERED, fire)}
        return world.lead(leader, inputs=inputs)

    # ---- nodes

    def _runs(self, world: World, number: int, node: Node) -> Steps:
        for fire, known in enumerate(node.journal):
            if known == STARTING:
                yield Next(f"node {number} writes down that fire {fire} runs", world.journal(number, fire, RUNNING))
            elif known == RUNNING:
                yield Next(f"fire {fire} ends on node {number}", world.journal(number, fire, ENDED))
            elif known == TOLD:
                yield Next(f"fire {fire} ends on node {number}, which forgets it", self._acked(world, number, fire))
        if node.inbox:
            message, *rest = node.inbox
            less = world.node(number, inbox=tuple(rest))
            if message == RENEWAL:
                yield Next(f"node {number} gets a start lease", less.node(number, lease=True))
            else:
                yield Next(f"node {number} gets an order", self._ordered(less, number, *message))
        if world.stuck and world.stuck[0] == number and node.session:
            after = self._ordered(world._replace(stuck=None), *world.stuck)
            yield Next(f"an order of an earlier session reaches node {number}", after)

    def _fails(self, world: World, number: int, node: Node) -> Steps:
        kept = tuple("" if known == STARTING else known for known in node.journal)
        epoch = node.epoch if self.has(Rule.EPOCH_ON_DISK) else 0
        yield Next(f"node {number} crashes", self._end(world, number, journal=kept, epoch=epoch), fault=True)
        lost = [known not in ("", ACKED) for known in node.journal]
        wiped = tuple(was or now for was, now in zip(world.wiped, lost, strict=True))
        empty = self._end(world, number, spool=node.spool + 1, epoch=0, followed=0, journal=("",) * self.fires)
        yield Next(f"node {number} crashes and loses its disk", empty._replace(wiped=wiped), fault=True)
        leader = world.leader(node.session)
        if not self.has(Rule.NEW_INVENTORY) and leader is not None and leader.spools[number] >= 0:
            yield Next(f"node {number} has another runner", self._inventory(world, node.session, number), fault=True)

    def _ordered(self, world: World, number: int, fire: int, spool: int) -> World:
        """The node takes an order off the lane."""
        node, record = world.nodes[number], world.records[fire]
        if spool != node.spool and self.has(Rule.SPOOL):
            return world
        if not node.lease and self.has(Rule.START_LEASE):
            leader = world.leader(node.session)
            told = leader is not None and world.in_session(leader, number)
            return world.lead(leader, inputs=leader.inputs | {(UNORDERED, fire)}) if leader and told else world
        if node.journal[fire]:
            return world
        if world.starts[fire]:
            world = self._breaks(world, Promise.TWICE)
        elif record is None:
            world = self._breaks(world, Promise.UNRECORDED)
        elif record.state != DISPATCHED:
            world = self._breaks(world, Promise.LATE)
        world = world._replace(starts=put(world.starts, fire, world.starts[fire] + 1))
        return world.journal(number, fire, RUNNING if self.has(Rule.DURABLE_KEY) else STARTING)

    def _acked(self, world: World, number: int, fire: int) -> World:
        """The node gives up what it has of a run."""
        record = world.records[fire]
        kept = world.history[fire] == OK or (record is not None and record.state == OK)
        world = world.journal(number, fire, ACKED)
        return world if kept else self._breaks(world, Promise.THROWN_AWAY)
