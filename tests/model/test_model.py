"""The rules keep every promise within the bounds, and each is needed. `DKRONPY_FULL=1` searches larger bounds."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Any

import pytest

from tests.model import edits, leading, world
from tests.model.checker import STUCK, Model, search
from tests.model.edits import Edits
from tests.model.firing import Firing
from tests.model.leading import Leading

log = logging.getLogger(__name__)

pytestmark = pytest.mark.timeout(1200)
"""A search only computes: on a machine that has little time for it, it takes long."""
FULL = pytest.mark.full, pytest.mark.timeout(3600)

MODELS = [
    Firing(),
    Firing(servers=1, fires=2, faults=0),
    Firing(servers=1, nodes=2, faults=1),
    Edits(),
    Leading(),
    Leading(servers=3, faults=1),
    pytest.param(Firing(faults=3), marks=FULL),
    pytest.param(Firing(servers=3), marks=FULL),
    pytest.param(Firing(nodes=2, faults=1), marks=FULL),
    pytest.param(Firing(servers=1, nodes=2), marks=FULL),
    pytest.param(Firing(servers=1, fires=2, faults=1), marks=FULL),
    pytest.param(Edits(end=5), marks=FULL),
    pytest.param(Leading(faults=3), marks=FULL),
    pytest.param(Leading(servers=3), marks=FULL),
]

KINDS: dict[type[StrEnum], type[Model[Any]]] = {world.Rule: Firing, edits.Rule: Edits, leading.Rule: Leading}
F, E, L = world.Promise, edits.Promise, leading.Promise
NEEDED: dict[StrEnum, tuple[str, dict[str, Any]]] = {
    world.Rule.EPOCH_GUARD: (F.DEPOSED, {"faults": 1}),
    world.Rule.CURSOR_GUARD: (F.UNDONE, {"faults": 1}),
    world.Rule.TRIED_AGAIN: (F.UNRECORDED, {"faults": 1}),
    world.Rule.COMMIT_NUMBER: (STUCK, {"faults": 1}),
    world.Rule.COMMIT_FIRST: (F.UNRECORDED, {"faults": 1}),
    world.Rule.SESSION: (F.LATE, {"faults": 1}),
    world.Rule.ONE_ORDER: (F.LATE, {"faults": 1}),
    world.Rule.NEW_INVENTORY: (F.LATE, {"faults": 2}),
    world.Rule.SPOOL: (F.TWICE, {"faults": 1}),
    world.Rule.START_LEASE: (F.LATE, {"faults": 1}),
    world.Rule.FROM_ASKING: (F.LATE, {"faults": 1}),
    world.Rule.STEP_DOWN: (F.LATE, {"faults": 1}),
    world.Rule.EPOCH_ON_DISK: (F.POACHED, {"faults": 2}),
    world.Rule.DURABLE_KEY: (F.TWICE, {"faults": 1}),
    world.Rule.HISTORY_KNOWS: (F.FOLLOWED, {"faults": 1}),
    world.Rule.TRUE_RESULT: (F.UNDONE, {"faults": 1}),
    world.Rule.SAME_RECORD: (F.UNDONE, {"faults": 1}),
    world.Rule.ACK_ANSWERS: (F.THROWN_AWAY, {"faults": 1}),
    edits.Rule.OLD_OWES: (E.MISSED, {}),
    edits.Rule.NEW_OWES: (E.MISSED, {}),
    edits.Rule.IN_TURN: (E.NOT_OWED, {}),
    edits.Rule.SAME_FIRE: (E.TWICE, {}),
    edits.Rule.REMEMBERED: (E.TWICE, {}),
    edits.Rule.CURSOR_WAITS: (E.MISSED, {}),
    edits.Rule.FROM_SINCE: (E.TWICE, {}),
    edits.Rule.NOT_YET: (E.EARLY, {}),
    edits.Rule.FINISHED: (E.MISSED, {}),
    edits.Rule.AFRESH: (E.MISSED, {}),
    leading.Rule.ONCE: (L.FOREVER, {}),
    leading.Rule.WHATEVER_RAFT_SAYS: (STUCK, {}),
    leading.Rule.STEP_DOWN: (L.LEADS_ON, {}),
    leading.Rule.LOOK_FIRST: (L.UNSEATED, {}),
}


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_all_promises_hold(model: Model[Any]) -> None:
    outcome = search(model)
    log.info("%s", outcome)
    assert not outcome.broken, str(outcome)


@pytest.mark.parametrize("rule", NEEDED, ids=lambda rule: rule.name)
def test_every_rule_is_needed(rule: StrEnum) -> None:
    promise, bounds = NEEDED[rule]
    outcome = search(KINDS[type(rule)](rule, **bounds))
    log.info("without the rule that %s: %s", rule, outcome)
    assert outcome.broken == promise, str(outcome)


@pytest.mark.full
def test_without_the_epoch_guard_a_fire_starts_twice() -> None:
    watched = frozenset({world.Promise.TWICE})
    outcome = search(Firing(world.Rule.EPOCH_GUARD, watched, nodes=2, faults=1))
    log.info("%s", outcome)
    assert outcome.broken == world.Promise.TWICE


def test_every_rule_is_tried() -> None:
    assert set(NEEDED) == {rule for rules in KINDS for rule in rules}
