"""Which runs of parents count together."""

from __future__ import annotations

from dkronpy.model.dependency import Dependency, Parent, ParentRun
from dkronpy.scheduling.following import MAX_MET, join

AB = Dependency((Parent("a"), Parent("b")), window=10)


def feed(dependency: Dependency, *runs: tuple[str, int]) -> tuple[list[list[tuple[str, int]]], list[tuple[str, int]]]:
    """The sets that start a run, and what waits in the end; runs are (parent, when it ended)."""
    met: tuple[ParentRun, ...] = ()
    started: list[list[tuple[str, int]]] = []
    for group, (name, at) in enumerate(runs):
        met, found = join(dependency, met, ParentRun(name, group, at))
        if found:
            started.append([(run.job, run.at) for run in found])
    return started, [(run.job, run.at) for run in met]


def test_the_oldest_of_each_count_together() -> None:
    assert feed(AB, ("a", 1), ("a", 2), ("b", 3), ("b", 4)) == ([[("a", 1), ("b", 3)], [("a", 2), ("b", 4)]], [])


def test_the_window_includes_its_end() -> None:
    assert feed(AB, ("a", 1), ("b", 11))[0] == [[("a", 1), ("b", 11)]]
    assert feed(AB, ("a", 1), ("b", 12)) == ([], [("b", 12)])


def test_what_is_too_early_makes_room_for_the_next() -> None:
    assert feed(AB, ("a", 1), ("a", 5), ("b", 15)) == ([[("a", 5), ("b", 15)]], [])


def test_a_report_that_comes_late_is_sorted_in() -> None:
    assert feed(AB, ("a", 20), ("b", 30), ("b", 22), ("a", 25)) == (
        [[("a", 20), ("b", 30)], [("a", 25), ("b", 22)]],
        [],
    )
    assert feed(AB, ("a", 20), ("a", 10), ("b", 12))[0] == [[("a", 10), ("b", 12)]]


def test_three_parents() -> None:
    three = Dependency((Parent("a"), Parent("b"), Parent("c")), window=10)
    assert feed(three, ("a", 1), ("b", 8), ("c", 12)) == ([], [("b", 8), ("c", 12)])
    assert feed(three, ("a", 1), ("b", 8), ("c", 12), ("a", 18))[0] == [[("a", 18), ("b", 8), ("c", 12)]]


def test_one_that_is_no_parent_any_more_is_forgotten() -> None:
    met, started = join(AB, [ParentRun("z", 1, 1)], ParentRun("a", 2, 2))
    assert (met, started) == ((ParentRun("a", 2, 2),), ())


def test_what_waits_is_bounded() -> None:
    _, waiting = feed(AB, *(("a", at) for at in range(MAX_MET + 5)))
    assert [at for _, at in waiting] == list(range(5, MAX_MET + 5))
