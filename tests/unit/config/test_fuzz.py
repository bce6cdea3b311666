"""Whatever is written, the answer is settings or a ConfigError."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.config import ConfigError, load
from dkronpy.config.keys import IGNORED
from dkronpy.config.settings import KEYS
from dkronpy.config.tokens import read_tokens

NAMES = [*KEYS, *(key.flag for key in KEYS.values()), *IGNORED, "config", "nonsense"]
names = st.sampled_from(NAMES)
anything = st.text(st.characters(), max_size=30)  # control characters and lone surrogates too
likely = st.sampled_from(
    [
        "",
        "true",
        "0",
        "-1",
        ":80",
        "[::1]:1",
        "{{ GetPrivateIP }}",
        "{{ GetInterfaceIP 'lo' }}:1",
        "a=b",
        "a=b,a=b",
        "~/x",
        "~nobody-here",
        "sqlite:x",
        "embedded",
        "2m",
        "9" * 5000,
        "none",
        "*",
        "x,y z",
        "AAAA",
        "1e9",
        "NaN",
        "/",
        "\0",
    ]
)
value = anything | likely
tree = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | value,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | anything, inner, max_size=3),
    max_leaves=8,
)
flag = st.builds(
    lambda dash, name, sign, text: f"{dash}{name}{sign}{text}",
    st.sampled_from(["-", "--"]),
    names | anything,
    st.sampled_from(["", "="]),
    value,
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def attempt(argv, environ, search=()):
    with contextlib.suppress(ConfigError):
        load(argv, environ, search=search)


@given(st.lists(flag | value | names.map("--{}".format), max_size=6))
def test_flags(argv):
    attempt(argv, {})


@given(
    st.dictionaries(
        st.builds("DKRON_{}".format, names.map(lambda name: name.upper().replace("-", "_")) | anything), value
    )
)
def test_environment(environ):
    attempt([], environ)


@given(st.dictionaries(names | anything, tree, max_size=5), st.sampled_from([".json", ".yml"]))
def test_trees(directory, content, suffix):
    path = directory / f"tree{suffix}"
    path.write_text(json.dumps(content))
    attempt(["--config", str(path)], {})


@given(
    st.binary(max_size=60) | anything.map(lambda text: text.encode(errors="replace")),
    st.sampled_from([".json", ".yml", ".toml"]),
)
def test_contents(directory, content, suffix):
    path = directory / f"bytes{suffix}"
    path.write_bytes(content)
    attempt(["--config", str(path)], {})


@given(
    st.lists(
        st.sampled_from([*":-[]{}&*!|>'\"%@`#,?=\n\t ", "a", "tags", "join", "!!int", "!!timestamp ", "<<", "~", "- "]),
        max_size=25,
    )
)
def test_yaml_like(directory, parts):
    path = directory / "like.yml"
    path.write_text("".join(parts))
    attempt(["--config", str(path)], {})


@given(st.binary(max_size=80))
def test_token_files(directory, content):
    path = directory / "tokens"
    path.write_bytes(content)
    found = read_tokens(path)
    assert bool(found.tokens) or bool(found.problems)
