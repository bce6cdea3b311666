"""The graph of jobs and their parents."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from dkronpy.model.lineage import LoopError, ancestors, generations


def test_ancestors_come_nearest_first_and_once() -> None:
    graph = {"d": ["b", "c"], "b": ["a"], "c": ["a", "gone"], "a": []}
    assert ancestors("d", lambda name: graph.get(name, [])) == ["b", "c", "a", "gone"]
    assert ancestors("a", lambda name: graph.get(name, [])) == []


@pytest.mark.parametrize(
    ("graph", "path"),
    [
        ({"a": ["a"]}, "a → a"),
        ({"a": ["b"], "b": ["a"]}, "a → b → a"),
        ({"a": ["x", "d"], "d": ["c"], "c": ["b"], "b": ["a"], "x": []}, "a → b → c → d → a"),
    ],
)
def test_a_loop_is_named_from_parent_to_child(graph: dict[str, list[str]], path: str) -> None:
    with pytest.raises(LoopError, match=f"^a loop of parents: {path}$"):
        ancestors("a", lambda name: graph[name])
    with pytest.raises(LoopError) as caught:
        generations(graph)
    found = caught.value.path
    assert found[0] == found[-1]
    assert all(parent in graph[child] for parent, child in pairwise(found))


def test_what_only_hangs_on_a_loop_is_not_in_its_path() -> None:
    with pytest.raises(LoopError) as caught:
        generations({"top": [], "below": ["b"], "a": ["b", "top"], "b": ["a"]})
    assert set(caught.value.path) == {"a", "b"}


@pytest.mark.parametrize("seed", range(20))
def test_each_comes_after_its_parents(seed: int) -> None:
    rng = random.Random(seed)
    names = [f"j{number}" for number in range(40)]
    graph = {name: rng.sample(names[:index], min(index, rng.randrange(4))) for index, name in enumerate(names)}
    graph["j0"] = ["elsewhere"]
    shuffled = dict(rng.sample(list(graph.items()), len(graph)))
    order = generations(shuffled)
    place = {name: number for number, wave in enumerate(order) for name in wave}
    assert place.keys() == graph.keys()
    for name, parents in graph.items():
        assert place[name] == max((place[parent] + 1 for parent in parents if parent in place), default=0)
