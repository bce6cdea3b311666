"""Hosts and origins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.api.auth import host_name, names_node, same_origin
from dkronpy.config import Settings

SETTINGS = Settings.model_validate({"server": True, "node_name": "node1"})


@pytest.mark.parametrize(
    ("host", "name"),
    [("Example.COM:80", "example.com"), ("[::1]:8080", "::1"), ("a.", "a"), ("a:x", None), ("a:99999", None),
     ("", None), ("a/b", None), ("u@a", None), ("a?b", None), ("a#b", None)],
)  # fmt: skip
def test_host_name(host: str, name: str | None) -> None:
    assert host_name(host) == name


@given(st.text(max_size=30))
def test_no_host_breaks_the_gate(host: str) -> None:
    assert names_node(host, SETTINGS) in (True, False)
    assert same_origin(host, host) in (True, False)


@given(st.from_regex(r"[a-z0-9-]{1,10}\.[a-z]{2,5}(:[0-9]{1,4})?", fullmatch=True))
def test_names_of_others_are_never_ours(host: str) -> None:
    assert not names_node(host, SETTINGS)


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [("http://a:1", "a:1", True), ("https://a", "A", True), ("http://a:1", "a", False), ("http://a", "b", False),
     ("null", "null", False), ("", "", False), ("http://", "", False), ("ftp://a", "a", False),
     ("http://a/", "a", False)],
)  # fmt: skip
def test_same_origin(origin: str, host: str, same: bool) -> None:
    assert same_origin(origin, host) is same
