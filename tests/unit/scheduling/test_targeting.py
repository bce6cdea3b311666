from __future__ import annotations

import random

import pytest

from dkronpy.model.member import Member, MemberStatus
from dkronpy.scheduling.targeting import Candidates, matching, select, split_count

A = Member("a", "", 0, {"role": "web", "dc": "eu"})
B = Member("b", "", 0, {"role": "web", "dc": "us"})
C = Member("c", "", 0, {"role": "db", "dc": "eu"})
S = Member("s", "", 0, {"server": "true", "url": "http://x:8"})
GONE = Member("gone", "", 0, {"role": "web"}, MemberStatus.FAILED)
ALL = [A, B, C, S, GONE]


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        ({}, ["a", "b", "c", "s"]),
        ({"role": "web"}, ["a", "b"]),
        ({"role": "web:5"}, ["a", "b"]),
        ({"role": "web:1", "dc": "eu"}, ["a"]),
        ({"role": "web|db"}, []),
        ({"role": "cache"}, []),
        ({"url": "http://x:8:1"}, ["s"]),
    ],
)
def test_nodes_equal_every_tag(tags: dict[str, str], names: list[str]) -> None:
    assert select(tags, Candidates(ALL), "abcs", random.Random(1)) == names


def test_the_smallest_count_limits_and_chance_picks() -> None:
    rng = random.Random(1)
    picked = {tuple(select({"role": "web:1", "dc": "eu:2"}, Candidates([A, B, C]), "abc", rng)) for _ in range(20)}
    assert picked == {("a",)}
    assert {tuple(select({"role": "web:1"}, Candidates(ALL), "ab", rng)) for _ in range(50)} == {("a",), ("b",)}


@pytest.mark.parametrize("value", ["web:0", "web:x", "web:", "web:-1", "web:1.5", "web:٣", "web:99999999999"])
def test_a_bad_count_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="count"):
        split_count(value)


def test_dead_nodes_are_not_picked() -> None:
    assert "gone" not in matching({"role": "web"}, ALL)


def test_nodes_in_contact_come_first() -> None:
    rng = random.Random(1)
    assert {tuple(select({"role": "web:1"}, Candidates(ALL), "b", rng)) for _ in range(20)} == {("b",)}
    assert select({"dc": "eu:1"}, Candidates(ALL), "", rng) in (["a"], ["c"])
    assert select({"role": "web"}, Candidates(ALL), "b", rng) == ["a", "b"]
