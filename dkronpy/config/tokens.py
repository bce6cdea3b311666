"""The file of HTTP tokens: one a line, `read TOKEN [NAME]` or `write TOKEN [NAME]`, `#` starts a comment.

Only digests are kept, so that nothing that shows the settings shows a secret.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from dkronpy.config.keys import suggestion

if TYPE_CHECKING:
    from pathlib import Path

_SHORT = 16
_FORM = "write one token a line: read|write TOKEN [NAME]"


class Scope(StrEnum):
    """What a token permits."""

    READ = "read"
    """Every request that changes nothing."""
    WRITE = "write"
    """Everything."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token's scope, the name it has in records of changes, and the SHA-256 of its UTF-8 text."""

    scope: Scope
    name: str
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenFile:
    """What was read: the tokens, and what is wrong with the file or ought to be better."""

    tokens: tuple[Token, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def read_tokens(path: Path) -> TokenFile:
    """Read a token file. Raises nothing: every problem is in the answer, with its line, never with a token."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read().decode()
    except UnicodeDecodeError:
        return TokenFile((), (f"{path}: not UTF-8 text; {_FORM}",), ())
    except OSError as error:
        return TokenFile((), (f"{path}: can't be read: {error.strerror}",), ())
    tokens: list[Token] = []
    problems: list[str] = []
    warnings: list[str] = []
    if mode & 0o077:
        warnings.append(f"{path}: others than its owner can read the tokens (mode {mode:o}): chmod 600 {path}")
    lines: dict[bytes, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        where = f"{path}, line {number}"
        if words[0] not in tuple(Scope):
            # Not shown unless it is nearly a scope: a line that lacks its scope begins with the secret.
            hint = suggestion(words[0], Scope)
            problems.append(f"{where}: the first word must be read or write{hint}: {_FORM}")
            continue
        if not 2 <= len(words) <= 3 or not (words[1].isascii() and words[1].isprintable()):
            problems.append(
                f"{where}: after the scope come a token of ASCII characters and, at most, one name: {_FORM}"
            )
            continue
        token = _token(words, number)
        if token.digest in lines:
            problems.append(f"{where}: the same token as in line {lines[token.digest]}: remove one")
            continue
        if len(words[1]) < _SHORT:
            warnings.append(
                f"{where}: the token is short enough to guess: use {_SHORT} characters or more, as dkron keygen makes"
            )
        lines[token.digest] = number
        tokens.append(token)
    if not tokens and not problems:
        problems.append(f"{path}: holds no token: {_FORM}")
    return TokenFile(tuple(tokens), tuple(problems), tuple(warnings))


def _token(words: list[str], number: int) -> Token:
    name = words[2] if len(words) == 3 else f"token-{number}"
    return Token(Scope(words[0]), name, hashlib.sha256(words[1].encode()).digest())
