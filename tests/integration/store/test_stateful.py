"""Any sequence of calls does to a store what it does to a dictionary."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from dkronpy.store.contract import Conflict, Delete, Entry, Event, Guard, Put
from tests.support.stores import STORES

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from typing import Any

    from dkronpy.store.contract import Operation

KEYS = st.sampled_from(["a", "a/", "a/b", "a/\U0010ffff", "a\x00", "b", "é", "\ud7ff", "\ue000", "\U0010ffff"])
PREFIXES = st.sampled_from(["", "a", "a/", "a/\U0010ffff", "\ud7ff", "\U0010ffff", "x"])
OPERATIONS = st.lists(
    st.one_of(st.builds(Put, KEYS, st.binary(max_size=4)), st.builds(Delete, KEYS)),
    max_size=5,
    unique_by=lambda operation: operation.key,
)
HOW = st.sampled_from(["right", "right", "right", "absent", "older", "newer"])
GUARDED = st.lists(st.tuples(KEYS, HOW), max_size=3)
WRITING = OPERATIONS.filter(lambda operations: any(isinstance(operation, Put) for operation in operations))


class Model:
    """The dictionary, and what has changed in it since the store was opened."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.history: list[Event] = []
        self.opened_at = 0

    @property
    def newest(self) -> int:
        return max((event.revision for event in self.history), default=self.opened_at)

    def revision(self, key: str) -> int:
        entry = self.entries.get(key)
        return entry.revision if entry else 0

    def guards(self, wanted: Sequence[tuple[str, str]]) -> list[Guard]:
        wrong = {"right": 0, "absent": None, "older": -1, "newer": 1}
        return [
            Guard(key, 0 if wrong[how] is None else max(0, self.revision(key) + (wrong[how] or 0)))
            for key, how in wanted
        ]

    def broken(self, guards: Sequence[Guard]) -> str | None:
        return next((guard.key for guard in guards if self.revision(guard.key) != guard.revision), None)

    def apply(self, operations: Sequence[Operation], revision: int) -> None:
        for operation in operations:
            if isinstance(operation, Put):
                self.entries[operation.key] = Entry(operation.key, operation.value, revision)
                self.history.append(Event(operation.key, operation.value, revision))
            elif self.entries.pop(operation.key, None):
                self.history.append(Event(operation.key, None, revision))


class StoreMachine(RuleBasedStateMachine):
    """Steps on one store, compared with the model after each."""

    kind: str

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.connect = STORES[self.kind](Path(self.folder.name))
        self.runner = asyncio.Runner()
        self.model = Model()
        self.store = self.connect()
        self.run(self.store.open())
        self.model.opened_at = self.run(self.store.list("")).revision

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()
        self.folder.cleanup()

    @rule(wanted=GUARDED, operations=OPERATIONS)
    def commit(self, wanted: list[tuple[str, str]], operations: list[Operation]) -> None:
        guards = self.model.guards(wanted)
        broken = self.model.broken(guards)
        if broken is not None:
            with pytest.raises(Conflict) as caught:
                self.run(self.store.commit(guards, operations))
            assert caught.value.key == broken
            return
        before = self.model.newest
        changes = any(isinstance(op, Put) or op.key in self.model.entries for op in operations)
        revision = self.run(self.store.commit(guards, operations))
        assert revision > before if changes else revision >= before
        self.model.apply(operations, revision)

    @rule(commits=st.lists(st.tuples(GUARDED, WRITING), min_size=2, max_size=6))
    def commit_at_once(self, commits: list[tuple[list[tuple[str, str]], list[Operation]]]) -> None:
        """Those that succeed must have done so one after another, in the order of their revisions."""
        prepared = [(self.model.guards(wanted), operations) for wanted, operations in commits]

        async def together() -> list[int | BaseException]:
            return await asyncio.gather(*(self.store.commit(*each) for each in prepared), return_exceptions=True)

        results = self.run(together())
        assert all(isinstance(result, (int, Conflict)) for result in results), results
        done = [(result, each) for result, each in zip(results, prepared, strict=True) if isinstance(result, int)]
        for revision, (guards, operations) in sorted(done, key=lambda pair: pair[0]):
            assert self.model.broken(guards) is None
            assert revision > self.model.newest
            self.model.apply(operations, revision)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        assert self.run(self.store.get(key)) == self.model.entries.get(key)

    @rule(prefix=PREFIXES, after=st.one_of(st.just(""), KEYS), limit=st.integers(1, 12))
    def page(self, prefix: str, after: str, limit: int) -> None:
        page = self.run(self.store.list(prefix, after=after, limit=limit))
        keys = sorted(key for key in self.model.entries if key.startswith(prefix) and key > after)
        assert page.entries == tuple(self.model.entries[key] for key in keys[:limit])
        assert page.more == (len(keys) > limit)
        assert page.revision >= self.model.newest

    @rule(prefix=PREFIXES, back=st.integers(0, 10))
    def watch(self, prefix: str, back: int) -> None:
        revisions = [self.model.opened_at, *sorted({event.revision for event in self.model.history})]
        start = revisions[max(0, len(revisions) - 1 - back)]
        expected = [event for event in self.model.history if event.revision > start and event.key.startswith(prefix)]

        async def read() -> list[Event]:
            events: list[Event] = []
            watch = self.store.watch(prefix, start)
            assert isinstance(watch, AsyncGenerator)
            async with asyncio.timeout(60), aclosing(watch):
                while len(events) < len(expected):
                    events += await anext(watch)
            return events

        assert sorted(self.run(read()), key=_order) == sorted(expected, key=_order)

    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.store = self.connect()
        self.run(self.store.open())
        self.model.opened_at = self.model.newest
        self.model.history.clear()

    @invariant()
    def same_contents(self) -> None:
        page = self.run(self.store.list(""))
        assert {entry.key: entry for entry in page.entries} == self.model.entries


def _order(event: Event) -> tuple[int, str]:
    """Within a commit the order is the store's own."""
    return event.revision, event.key


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", STORES)
def test_like_a_dictionary(name: str) -> None:
    class Machine(StoreMachine):
        kind = name

    examples = max(30, settings().max_examples // 5)
    run_state_machine_as_test(Machine, settings=settings(max_examples=examples, stateful_step_count=25))
