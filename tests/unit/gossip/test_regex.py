"""Expressions against what Go's regexp says."""

from __future__ import annotations

import contextlib
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.gossip.regex.program import PatternError
from dkronpy.gossip.regex.syntax import Pattern

GO: list[tuple[str, str, bool | None]] = [
    ("", "", True),
    ("", "abc", True),
    ("b", "abc", True),
    ("^b", "abc", False),
    ("^abc$", "abc", True),
    ("^abc$", "abcd", False),
    ("a|b$", "xb", True),
    ("^(a|b)+$", "abba", True),
    ("^(a|b)+$", "abc", False),
    ("a{2,3}", "aa", True),
    ("^a{2,3}$", "aaaa", False),
    ("^a{2}$", "aa", True),
    ("^a{2,}$", "aaaaa", True),
    ("^a{,2}$", "a{,2}", True),
    ("x*", "y", True),
    ("^x*$", "y", False),
    ("[a-c]+$", "xxabc", True),
    ("^[^a-c]+$", "xyz", True),
    ("^[]a]+$", "]a", True),
    ("^[a\\]]+$", "]a", True),
    ("^\\d+$", "123", True),
    ("^\\d+$", "12a", False),
    ("\\bfoo\\b", "a foo b", True),
    ("\\bfoo\\b", "afoo", False),
    ("^\\w+$", "a_1", True),
    ("^\\S+$", "a b", False),
    ("(?i)ABC", "xabcx", True),
    ("(?i:A)B", "aB", True),
    ("(?i:A)B", "ab", False),
    ("^.$", "\n", False),
    ("(?s)^.$", "\n", True),
    ("^a.c$", "abc", True),
    ("\\.", "a", False),
    ("\\.", ".", True),
    ("^(?:ab)?c$", "c", True),
    ("^(?P<x>ab)c$", "abc", True),
    ("\\x41", "A", True),
    ("\\x{1F600}", "😀", True),
    ("\\Qa.b\\E", "a.b", True),
    ("\\Qa.b\\E", "axb", False),
    ("^[[:alpha:]]+$", "abc", True),
    ("^[[:^digit:]]+$", "abc", True),
    ("a**", "a", None),
    ("(a", "a", None),
    ("a)", "a", None),
    ("[a", "a", None),
    ("*a", "a", None),
    ("a{1001}", "a", None),
    ("a{3,2}", "a", None),
    ("(?z)a", "a", None),
    ("\\8", "8", None),
    ("^a??b$", "ab", True),
    ("^(a*)*$", "aaab", False),
    ("^(a*)*$", "aaa", True),
    ("é", "café", True),
    ("^[é-ü]$", "ö", True),
    ("\\Ax\\z", "x", True),
    ("a-z", "a-z", True),
    ("^[a-]$", "-", True),
    ("^[+--]$", ",", True),
    ("web-\\d{2}", "web-07", True),
    ("(?i)^[A-C]$", "b", True),
    ("", "x", True),
    ("^$", "", True),
    ("\\Babc", "xabc", True),
    ("a{2", "a{2", True),
    ("^\\-$", "-", True),
    ("[z-a]", "a", None),
    ("\\", "a", None),
    ("(?i)É", "é", True),
]
"""Expression, text, and whether Go finds it; None where Go refuses the expression."""


@pytest.mark.parametrize(("expression", "text", "found"), GO)
def test_expressions_mean_what_they_mean_to_go(expression: str, text: str, found: bool | None) -> None:
    if found is None:
        with pytest.raises(PatternError):
            Pattern(expression)
    else:
        assert Pattern(expression).found(text) is found


@pytest.mark.parametrize(
    "expression",
    ["((a{30}){30}){2}", "(" * 60 + ")" * 60, "(" * 5000, "a" * 600, "\\pL", "(?P<name", "[[:what:]]", "\\x{110000}"],
)
def test_what_is_too_large_or_unknown_is_refused(expression: str) -> None:
    with pytest.raises(PatternError):
        Pattern(expression)


@pytest.mark.parametrize("expression", ["(a*)*b", "(a|aa)+$", "(a?){50}a{50}b", "(.*)(.*)(.*)x", "(((a*)*)*)*b"])
def test_no_expression_takes_long(expression: str) -> None:
    """Each would take Python's own years."""
    begun = time.process_time()
    Pattern(expression).found("a" * 512)
    assert time.process_time() - begun < 1


parts = st.sampled_from(["a", "b", ".", "^", "$", "[ab]", "[^a]", "\\w", "\\b", "(a|b)", "(?:ab)", "(ab|)", "x"])
repeats = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,3}", "{2,}"])


@given(st.lists(st.tuples(parts, repeats), max_size=6), st.text("abx ", max_size=8))
def test_expressions_mean_what_they_mean_to_python(pieces: list[tuple[str, str]], text: str) -> None:
    """Where the two agree: Python's $ also stands before a last line feed, its * can't repeat a place."""
    expression = "".join(part + ("" if part in ("^", "$", "\\b") else repeat) for part, repeat in pieces)
    assert Pattern(expression).found(text) is (re.search(expression, text) is not None)


@given(st.text("()[]{}|*+?^$.\\abdwQEx-,:i<>P123", max_size=30), st.text("ab1", max_size=10))
def test_any_expression_is_understood_or_refused(expression: str, text: str) -> None:
    with contextlib.suppress(PatternError):
        Pattern(expression).found(text)
