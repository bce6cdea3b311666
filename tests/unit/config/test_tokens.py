"""The token file."""

from __future__ import annotations

import hashlib

import pytest

from dkronpy.config import ConfigError, Scope, Token, load
from dkronpy.config.tokens import read_tokens

LONG = "0123456789abcdef"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tokens"

    def make(content):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o600)
        return path

    return make


def digest(token):
    return hashlib.sha256(token.encode()).digest()


def test_tokens(file):
    found = read_tokens(file(f"# all of them\nread {LONG}r\n\n  write\t{LONG}w deploy # of the pipeline\r\n"))
    assert found.problems == found.warnings == ()
    assert found.tokens == (
        Token(Scope.READ, "token-2", digest(f"{LONG}r")),
        Token(Scope.WRITE, "deploy", digest(f"{LONG}w")),
    )
    assert LONG not in repr(found)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no token"),
        ("# nothing", "holds no token"),
        ("\nread", "line 2: after the scope come a token"),
        ("read a b c", "line 1: after the scope"),
        ("read gehéim", "line 1: after the scope"),
        (f"wirte {LONG}", "line 1: the first word must be read or write (did you mean write?)"),
        (LONG, "line 1: the first word must be read or write: write one token a line"),
        (f"read {LONG}\nwrite {LONG}", "line 2: the same token as in line 1: remove one"),
        (b"read \xff", "not UTF-8 text"),
    ],
)
def test_problems_name_the_line_and_never_the_token(file, content, message):
    path = file(content)
    found = read_tokens(path)
    (problem,) = found.problems
    assert message in problem
    assert problem.startswith(str(path))
    assert LONG not in problem
    with pytest.raises(ConfigError, match=r"^--http-token-file: "):
        load(["--http-token-file", str(path)], {}, search=[])


def test_file_that_others_can_read(file):
    path = file(f"read {LONG}")
    path.chmod(0o640)
    assert load(["--http-token-file", str(path)], {}, search=[]).warnings == (
        f"{path}: others than its owner can read the tokens (mode 640): chmod 600 {path}",
    )


def test_short_token(file):
    found = read_tokens(file("write short"))
    assert len(found.tokens) == 1
    assert "line 1: the token is short enough to guess" in found.warnings[0]


def test_no_file(tmp_path):
    with pytest.raises(ConfigError, match=r"--http-token-file: .*/none: can't be read: No such file or directory"):
        load(["--http-token-file", str(tmp_path / "none")], {}, search=[])
    assert "Is a directory" in read_tokens(tmp_path).problems[0]


def test_a_home_that_is_not_there():
    with pytest.raises(ConfigError, match=r"^--http-token-file: .*no such home directory[^\n]*$"):
        load(["--http-token-file", "~no-such-user/tokens"], {}, search=[])
