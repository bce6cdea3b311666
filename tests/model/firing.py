"""How a job fires, as a model: leaders that come and go, a store, a history, nodes that lose their memory or disk.

One step at a time, any part may act, or may be slow, paused or cut off: it then just does not act. A leader plans one
change, commits it, carries it out; a superseded one goes on until it notices. Time is not counted: what needs it
(`lose`) says what must have passed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Rule(StrEnum):
    """What keeps the promises; the search must refute the model without any one of them."""

    EPOCH_GUARD = "every commit is guarded by the epoch"
    CURSOR_GUARD = "every commit is guarded by the cursor's revision"
    COMMIT_NUMBER = "whether a commit was written is read off the cursor's commit number"
    COMMIT_FIRST = "orders go out only after the commit"
    SESSION = "an order starts only within the session it was sent in"
    ONE_ORDER = "an order planned in one session is not sent in the next, which orders again what its inventory lacks"
    NEW_INVENTORY = "an inventory begins a session: a node whose runner was replaced ends the one it has"
    SPOOL = "the record of an order names the spool it is for"
    START_LEASE = "a node starts an order only while its start lease lasts"
    FROM_ASKING = "the start lease counts from when the node asked for it"
    STEP_DOWN = "a leader that could not renew for a while gives no leases"
    EPOCH_ON_DISK = "a node keeps the highest epoch on its disk"
    DURABLE_KEY = "the runner makes a key durable before it starts the process"
    HISTORY_KNOWS = "a result whose record has moved to the history changes nothing"
    TRUE_RESULT = "the history does not replace a true result by a loss"
    SAME_RECORD = "a record leaves the store only when the history has it as it is"
    ACK_ANSWERS = "a node is told that its report is recorded, never that its loss is"


class Promise(StrEnum):
    TWICE = "a fire started twice"
    UNRECORDED = "a run started that no record tells of"
    LATE = "a run started after its outcome was recorded"
    DEPOSED = "a deposed leader wrote"
    UNDONE = "a recorded outcome was undone"
    REFUSED = "a run that started is recorded as refused"
    FOLLOWED = "what follows a result was done twice"
    THROWN_AWAY = "a node gave up a result that is nowhere recorded"


DISPATCHED, OK, LOST, REFUSED, GONE = "dispatched", "ok", "lost", "refused", "gone"
"""States of a record; `GONE` to the history."""
STARTING, RUNNING, TOLD, ENDED, ACKED = "starting", "running", "told", "ended", "acked"
"""States of a key in a runner's journal: `STARTING` not yet durable, `TOLD` running and already acknowledged."""


class Record(NamedTuple):
    state: str
    node: int
    spool: int
    """-1: no order was sent yet."""


class Step(NamedTuple):
    """What a leader commits: one record and the cursor. Then it sends the `order`, or writes the `result` away."""

    epoch: int
    revision: int
    commit: int
    upto: int
    fire: int
    record: Record
    order: bool = False
    result: bool = False


class Store(NamedTuple):
    epoch: int
    holder: int
    revision: int
    """Of the cursor, which is (upto, commit)."""
    commit: int
    upto: int
    records: tuple[Record | None, ...]
    job: bool = True


class Leader(NamedTuple):
    epoch: int
    revision: int
    commit: int
    upto: int
    records: tuple[Record | None, ...]
    job: bool
    spools: tuple[int, ...]
    """Of the nodes in session, -1 of others."""
    inputs: frozenset[tuple[str, int]] = frozenset()
    queue: tuple[tuple[int, str, bool], ...] = ()
    """For the history: (fire, outcome, whether it answers a report)."""
    archived: frozenset[int] = frozenset()
    step: Step | None = None
    committed: bool = False
    expired: bool = False
    """So much time has passed that it would have stepped down, had it looked at the clock."""


class Node(NamedTuple):
    journal: tuple[str, ...]
    up: bool = True
    spool: int = 0
    epoch: int = 0
    session: int = -1
    """The server it is in session with."""
    lease: bool = False
    inbox: tuple[tuple[int, int], ...] = ()
    """Orders on their way: (fire, spool); `RENEWAL` among them."""


RENEWAL = (-1, -1)


class World(NamedTuple):
    store: Store
    leaders: tuple[Leader | None, ...]
    nodes: tuple[Node, ...]
    history: tuple[str, ...]
    starts: tuple[int, ...]
    wiped: tuple[bool, ...]
    """Fires whose runs were on a disk that was emptied."""
    faults: int
    late: Step | None = None
    """A commit that was sent and is still on its way."""
    stuck: tuple[int, int, int] | None = None
    """An order of a session that is over: (node, fire, spool)."""
    wrong: str = ""


def put(values: tuple[T, ...], index: int, value: T) -> tuple[T, ...]:
    return (*values[:index], value, *values[index + 1 :])


@dataclass(frozen=True)
class Firing:
    """The model, searched by `checker.search`. At most so many faults, of any kind, happen in one course of events."""

    rules: frozenset[Rule] = frozenset(Rule)
    servers: int = 2
    nodes: int = 1
    fires: int = 1
    faults: int = 2

    def initial(self) -> World:
        none, blank = (None,) * self.fires, ("",) * self.fires
        store = Store(1, 0, 0, 0, 0, none)
        leaders = (self._load(store), *(None,) * (self.servers - 1))
        nodes = (Node(blank),) * self.nodes
        return World(store, leaders, nodes, blank, (0,) * self.fires, (False,) * self.fires, self.faults)

    def broken(self, world: World) -> str:
        return world.wrong

    def good(self, world: World) -> bool:
        """Every fire that exists has one outcome, in the history alone: the true one, unless its disk is gone."""
        store = world.store
        holder = world.leaders[store.holder]
        if holder is None or holder.epoch != store.epoch or holder.step or (store.job and store.upto < self.fires):
            return False
        if any(state not in ("", ACKED) for node in world.nodes for state in node.journal):
            return False
        for record, outcome, starts, wiped in zip(store.records, world.history, world.starts, world.wiped, strict=True):
            if record is None and not outcome:
                continue
            if record is None or record.state != GONE or outcome != (LOST if not starts or wiped else OK):
                return False
        return True

    def steps(self, world: World) -> Iterator[tuple[str, World, bool]]:
        for server, leader in enumerate(world.leaders):
            if leader is not None:
                yield from self._leads(world, server, leader)
            yield from self._claims(world, server, leader)
        for number, node in enumerate(world.nodes):
            yield from self._node(world, number, node)
        if world.late is not None:
            yield "the delayed commit reaches the store", self._write(world, world.late)._replace(late=None), False
        if world.faults and world.store.job:
            yield (
                "the job is deleted",
                world._replace(store=world.store._replace(job=False), faults=world.faults - 1),
                True,
            )

    # ---- the lead

    def _load(self, store: Store) -> Leader:
        queue = tuple(
            (fire, r.state, False) for fire, r in enumerate(store.records) if r and r.state in (OK, LOST, REFUSED)
        )
        return Leader(
            store.epoch, store.revision, store.commit, store.upto, store.records, store.job, (-1,) * self.nodes, queue=queue
        )  # fmt: skip

    def _claims(self, world: World, server: int, leader: Leader | None) -> Iterator[tuple[str, World, bool]]:
        store = world.store
        holder = world.leaders[store.holder]
        vacant = holder is None or holder.epoch != store.epoch
        if leader is None and (vacant or world.faults):
            store = store._replace(epoch=store.epoch + 1, holder=server)
            after = world._replace(store=store, leaders=put(world.leaders, server, self._load(store)))
            if not vacant:
                after = after._replace(faults=world.faults - 1)
            yield f"server {server} claims epoch {store.epoch}", after, not vacant
        if leader is not None and (leader.epoch < store.epoch or world.faults):
            gone = self._lead(world, server, None)
            if leader.epoch < store.epoch:
                yield f"server {server} notices that it is deposed", gone, False
            else:
                yield f"server {server} crashes", gone._replace(faults=world.faults - 1), True

    def _lead(self, world: World, server: int, leader: Leader | None) -> World:
        return world._replace(leaders=put(world.leaders, server, leader))

    def _leads(self, world: World, server: int, leader: Leader) -> Iterator[tuple[str, World, bool]]:
        who = f"leader {leader.epoch}"
        if leader.step is None:
            for fire, record in enumerate(leader.records):
                if record and record.state == DISPATCHED and leader.spools[record.node] < 0:
                    yield (
                        f"{who} plans: fire {fire} is lost, having heard nothing for long",
                        self._lose(world, server, fire),
                        False,
                    )
            for what, planned in self._plans(world, leader):
                after = self._lead(world, server, planned)
                if planned.step and planned.step.order and Rule.COMMIT_FIRST not in self.rules:
                    after = self._send(after, server, planned.step)
                yield f"{who} plans: {what}", after, False
        elif leader.committed:
            yield f"{who} carries it out", self._carry_out(world, server, leader, leader.step), False
        else:
            yield from self._commits(world, server, leader, leader.step)
        if leader.queue:
            yield f"{who} writes fire {leader.queue[0][0]} to the history", self._archive(world, server, leader), False
        if leader.job and not world.store.job:
            yield f"{who} sees the deletion", self._lead(world, server, leader._replace(job=False)), False
        for number, node in enumerate(world.nodes):
            if node.session == server and leader.spools[number] >= 0:
                yield from self._in_session(world, server, leader, number, node)
            elif node.up and node.epoch <= leader.epoch:
                yield f"{who} opens a session with node {number}", self._attach(world, server, number), False

    # ---- a leader's plans

    def _plans(self, world: World, leader: Leader) -> Iterator[tuple[str, Leader]]:
        if leader.job and leader.upto < self.fires:
            for number in range(self.nodes):
                record = Record(DISPATCHED, number, leader.spools[number])
                plan = self._plan(leader, leader.upto, record, order=record.spool >= 0)
                yield f"fire {leader.upto} runs on node {number}", plan
        for kind, fire in sorted(leader.inputs):
            yield f"fire {fire} is {kind}", self._answer(leader, kind, fire)
        for fire, record in enumerate(leader.records):
            if record is None:
                continue
            if record.state in (OK, LOST, REFUSED) and fire in leader.archived:
                yield f"fire {fire} leaves the store", self._plan(leader, fire, record._replace(state=GONE))

    def _plan(self, leader: Leader, fire: int, record: Record, *, order: bool = False, result: bool = False) -> Leader:
        upto, commit = max(leader.upto, fire + 1), leader.commit + 1
        step = Step(leader.epoch, leader.revision, commit, upto, fire, record, order, result)
        records = put(leader.records, fire, record)
        archived = leader.archived - {fire}
        return leader._replace(step=step, commit=commit, upto=upto, records=records, archived=archived)

    def _answer(self, leader: Leader, kind: str, fire: int) -> Leader:
        """What the leader makes of an input: a result, a loss, a refusal, an order to be sent again."""
        leader = leader._replace(inputs=leader.inputs - {(kind, fire)})
        record = leader.records[fire]
        assert record is not None, "inputs are on recorded fires"
        if kind == OK and record.state == OK:
            again = (fire, OK, True)
            return leader if again in leader.queue else leader._replace(queue=(*leader.queue, again))
        if kind == OK and (record.state != GONE or Rule.HISTORY_KNOWS not in self.rules):
            return self._plan(leader, fire, record._replace(state=OK), result=True)
        if record.state != DISPATCHED:
            return leader
        if kind == "unordered" and leader.job:
            spool = leader.spools[record.node]
            return leader if spool < 0 else self._plan(leader, fire, record._replace(spool=spool), order=True)
        return self._plan(leader, fire, record._replace(state=REFUSED if kind == REFUSED else LOST), result=True)

    def _lose(self, world: World, server: int, fire: int) -> World:
        """Long after contact was lost: start leases are over, and superseded leaders had time to step down."""
        leader = world.leaders[server]
        record = None if leader is None else leader.records[fire]
        assert leader is not None and record is not None, "only leaders lose recorded fires"
        if Rule.STEP_DOWN in self.rules:
            late = tuple(l and (l._replace(expired=True) if l.epoch < world.store.epoch else l) for l in world.leaders)
            world = world._replace(leaders=late)
            leader = late[server]
        world = self._with(world, record.node, world.nodes[record.node]._replace(lease=False))
        return self._lead(world, server, self._answer(leader, LOST, fire))

    # ---- commits

    def _commits(self, world: World, server: int, leader: Leader, step: Step) -> Iterator[tuple[str, World, bool]]:
        who = f"leader {leader.epoch}"
        done = self._lead(world, server, leader._replace(committed=True, revision=step.revision + 1))
        if self._guarded(world.store, step):
            yield f"{who} commits", self._write(done, step), False
            if world.faults and world.late is None:
                sent = world._replace(late=step, faults=world.faults - 1)
                yield f"{who}'s commit is delayed", sent, True
        elif world.store.epoch != leader.epoch:
            yield f"{who} can't commit and finds itself deposed", self._lead(world, server, None), False
        elif world.store.commit == step.commit:
            if Rule.COMMIT_NUMBER in self.rules:
                yield f"{who} can't commit and finds the step written", done, False
        else:
            yield f"{who} can't commit and gives up", self._lead(world, server, None), False

    def _guarded(self, store: Store, step: Step) -> bool:
        if Rule.EPOCH_GUARD in self.rules and step.epoch != store.epoch:
            return False
        return Rule.CURSOR_GUARD not in self.rules or step.revision == store.revision

    def _write(self, world: World, step: Step) -> World:
        store, old = world.store, world.store.records[step.fire]
        if not self._guarded(store, step):
            return world
        wrong = ""
        state, fire = step.record.state, step.fire
        if step.epoch < store.epoch:
            wrong = Promise.DEPOSED
        elif old is not None and old.state == GONE and state == OK:
            wrong = Promise.FOLLOWED
        elif old is not None and old.state != DISPATCHED and (old.state, state) != (LOST, OK) and state != GONE:
            wrong = Promise.UNDONE
        elif state == REFUSED and world.starts[fire]:
            wrong = Promise.REFUSED
        store = store._replace(
            revision=store.revision + 1,
            commit=step.commit,
            upto=step.upto,
            records=put(store.records, fire, step.record),
        )
        return world._replace(store=store, wrong=world.wrong or wrong)

    def _carry_out(self, world: World, server: int, leader: Leader, step: Step) -> World:
        leader = leader._replace(step=None, committed=False)
        if step.result:
            leader = leader._replace(queue=(*leader.queue, (step.fire, step.record.state, step.record.state == OK)))
        world = self._lead(world, server, leader)
        return self._send(world, server, step) if step.order and Rule.COMMIT_FIRST in self.rules else world

    def _send(self, world: World, server: int, step: Step) -> World:
        leader, node = world.leaders[server], world.nodes[step.record.node]
        if node.session != server or leader is None or leader.spools[step.record.node] < 0:
            return world
        node = node._replace(inbox=(*node.inbox, (step.fire, step.record.spool)))
        return world._replace(nodes=put(world.nodes, step.record.node, node))

    def _archive(self, world: World, server: int, leader: Leader) -> World:
        """Write the outcome at the queue's head to the history, and tell the node."""
        (fire, outcome, report), *rest = leader.queue
        record = leader.records[fire]
        assert record is not None, "what is final was recorded"
        wrong = ""
        if world.history[fire] != OK or outcome == OK:
            world = world._replace(history=put(world.history, fire, outcome))
        elif Rule.TRUE_RESULT not in self.rules:
            world, wrong = world._replace(history=put(world.history, fire, outcome)), Promise.UNDONE
        if record.state == outcome or Rule.SAME_RECORD not in self.rules:
            leader = leader._replace(archived=leader.archived | {fire})
        world = self._lead(world, server, leader._replace(queue=tuple(rest)))._replace(wrong=world.wrong or wrong)
        node = world.nodes[record.node]
        if node.session != server or leader.spools[record.node] < 0:
            return world
        return self._told(world, record.node, fire) if report or Rule.ACK_ANSWERS not in self.rules else world

    def _told(self, world: World, number: int, fire: int) -> World:
        """The node hears that the fire is recorded."""
        journal = world.nodes[number].journal
        if journal[fire] == RUNNING:
            return self._journal(world, number, fire, TOLD)
        return self._acked(world, number, fire) if journal[fire] == ENDED else world

    def _acked(self, world: World, number: int, fire: int) -> World:
        record = world.store.records[fire]
        kept = world.history[fire] == OK or (record is not None and record.state == OK)
        world = self._journal(world, number, fire, ACKED)
        return world if kept else world._replace(wrong=world.wrong or Promise.THROWN_AWAY)

    # ---- sessions

    def _in_session(
        self, world: World, server: int, leader: Leader, number: int, node: Node
    ) -> Iterator[tuple[str, World, bool]]:
        who = f"leader {leader.epoch}"
        yield f"{who} loses its session with node {number}", self._part(world, server, number), False
        if not node.lease and not leader.expired and RENEWAL not in node.inbox:
            granted = (
                node._replace(lease=True)
                if Rule.FROM_ASKING in self.rules
                else node._replace(inbox=(*node.inbox, RENEWAL))
            )
            yield f"{who} renews the start lease of node {number}", self._with(world, number, granted), False
        for fire, state in enumerate(node.journal):
            record = leader.records[fire]
            if state != ENDED or record is None or record.node != number:
                continue
            if record.state == GONE and leader.step is None and Rule.HISTORY_KNOWS in self.rules:
                stray = world._replace(history=put(world.history, fire, OK))
                yield (
                    f"node {number} reports fire {fire}, which has left the store",
                    self._acked(stray, number, fire),
                    False,
                )
            elif (OK, fire) not in leader.inputs:
                heard = leader._replace(inputs=leader.inputs | {(OK, fire)})
                yield f"node {number} reports fire {fire} to {who}", self._lead(world, server, heard), False

    def _part(self, world: World, server: int, number: int) -> World:
        """The leader's end of a session is closed; the node may not know yet."""
        leader = world.leaders[server]
        if leader is None or leader.spools[number] < 0:
            return world
        step = leader.step
        if step and step.order and step.record.node == number and Rule.ONE_ORDER in self.rules:
            step = step._replace(order=False)
        spools = put(leader.spools, number, -1)
        inputs = frozenset(i for i in leader.inputs if i[0] != "unordered" or self._of(leader, i[1]) != number)
        return self._lead(world, server, leader._replace(step=step, spools=spools, inputs=inputs))

    @staticmethod
    def _of(leader: Leader, fire: int) -> int:
        record = leader.records[fire]
        return -1 if record is None else record.node

    def _ended(self, world: World, number: int, **after: object) -> World:
        """The node's session is over, and `after` holds of the node."""
        node = world.nodes[number]
        if node.session >= 0:
            world = self._part(world, node.session, number)
        orders = [order for order in node.inbox if order != RENEWAL]
        if orders and Rule.SESSION not in self.rules:
            world = world._replace(stuck=(number, *orders[-1]))
        node = node._replace(session=-1, lease=False, inbox=())._replace(**after)
        return self._with(world, number, node)

    def _attach(self, world: World, server: int, number: int) -> World:
        world = self._ended(world, number)
        leader, node = world.leaders[server], world.nodes[number]
        assert leader is not None, "only leaders open sessions"
        world = self._with(world, number, node._replace(session=server, epoch=leader.epoch))
        leader = leader._replace(spools=put(leader.spools, number, node.spool))
        return self._inventory(self._lead(world, server, leader), server, number)

    def _inventory(self, world: World, server: int, number: int) -> World:
        """The leader compares what the node has with what it should have."""
        leader, node = world.leaders[server], world.nodes[number]
        assert leader is not None, "only leaders hear inventories"
        inputs = set(leader.inputs)
        for fire, record in enumerate(leader.records):
            if record is None or record.node != number or record.state != DISPATCHED:
                continue
            if node.journal[fire] in ("", ACKED):
                other = Rule.SPOOL in self.rules and record.spool not in (-1, node.spool)
                inputs.add((LOST if other else "unordered", fire))
        return self._lead(world, server, leader._replace(inputs=frozenset(inputs)))

    # ---- nodes

    def _node(self, world: World, number: int, node: Node) -> Iterator[tuple[str, World, bool]]:
        for fire, state in enumerate(node.journal):
            if state == STARTING:
                yield (
                    f"node {number} writes down that fire {fire} runs",
                    self._journal(world, number, fire, RUNNING),
                    False,
                )
            elif state == RUNNING:
                yield f"fire {fire} ends on node {number}", self._journal(world, number, fire, ENDED), False
            elif state == TOLD:
                yield (
                    f"fire {fire} ends on node {number}, which takes it for recorded",
                    self._acked(world, number, fire),
                    False,
                )
        if not node.up:
            yield f"node {number} is back", self._with(world, number, node._replace(up=True)), False
            return
        if node.inbox:
            yield (
                f"node {number} gets an order" if node.inbox[0] != RENEWAL else f"node {number} gets a start lease",
                self._deliver(world, number),
                False,
            )
        if world.stuck and world.stuck[0] == number and node.session >= 0:
            late = world._replace(stuck=None)
            yield (
                f"an order of an earlier session reaches node {number}",
                self._order(late, number, *world.stuck[1:]),
                False,
            )
        if world.faults:
            less = world._replace(faults=world.faults - 1)
            volatile = tuple("" if state == STARTING else state for state in node.journal)
            epoch = node.epoch if Rule.EPOCH_ON_DISK in self.rules else 0
            down = self._ended(less, number, up=False, journal=volatile, epoch=epoch)
            yield f"node {number} crashes", down, True
            wiped = tuple(
                was or state in (STARTING, RUNNING, TOLD, ENDED)
                for was, state in zip(world.wiped, node.journal, strict=True)
            )
            empty = self._ended(less, number, up=False, spool=node.spool + 1, epoch=0, journal=("",) * self.fires)
            yield f"node {number} crashes and loses its disk", empty._replace(wiped=wiped), True
            holder = world.leaders[node.session] if node.session >= 0 else None
            if holder is not None and holder.spools[number] >= 0:
                if Rule.NEW_INVENTORY in self.rules:
                    yield f"the runner of node {number} is replaced", self._ended(less, number), True
                else:
                    yield f"the runner of node {number} is replaced", self._inventory(less, node.session, number), True

    def _with(self, world: World, number: int, node: Node) -> World:
        return world._replace(nodes=put(world.nodes, number, node))

    def _journal(self, world: World, number: int, fire: int, state: str) -> World:
        node = world.nodes[number]
        return self._with(world, number, node._replace(journal=put(node.journal, fire, state)))

    def _deliver(self, world: World, number: int) -> World:
        node = world.nodes[number]
        message, *rest = node.inbox
        if message == RENEWAL:
            return self._with(world, number, node._replace(lease=True, inbox=tuple(rest)))
        return self._order(self._with(world, number, node._replace(inbox=tuple(rest))), number, *message)

    def _order(self, world: World, number: int, fire: int, spool: int) -> World:
        """The node takes an order off the lane."""
        node = world.nodes[number]
        if Rule.SPOOL in self.rules and spool != node.spool:
            return self._tell(world, number, REFUSED, fire)
        if Rule.START_LEASE in self.rules and not node.lease:
            return self._tell(world, number, "unordered", fire)
        if node.journal[fire] == ACKED:
            return self._tell(world, number, REFUSED, fire)
        if node.journal[fire]:
            return world
        record, wrong = world.store.records[fire], ""
        if world.starts[fire]:
            wrong = Promise.TWICE
        elif record is None:
            wrong = Promise.UNRECORDED
        elif record.state != DISPATCHED:
            wrong = Promise.LATE
        world = self._journal(world, number, fire, RUNNING if Rule.DURABLE_KEY in self.rules else STARTING)
        return world._replace(starts=put(world.starts, fire, world.starts[fire] + 1), wrong=world.wrong or wrong)

    def _tell(self, world: World, number: int, kind: str, fire: int) -> World:
        """Tell the session's leader that the order was not carried out."""
        server = world.nodes[number].session
        leader = world.leaders[server]
        if leader is None or leader.spools[number] < 0 or leader.records[fire] is None:
            return world
        return self._lead(world, server, leader._replace(inputs=leader.inputs | {(kind, fire)}))
