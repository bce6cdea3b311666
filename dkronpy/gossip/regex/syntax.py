"""The syntax of expressions: what RE2 has, but for classes of Unicode and multi-line mode."""

from __future__ import annotations

from typing import Final

from dkronpy.gossip.regex.program import (
    Assertion,
    Part,
    PatternError,
    Program,
    Test,
    either,
    one,
    repeated,
    sequence,
    where,
)

_MAX_DEPTH: Final = 50
_MAX_REPEAT: Final = 1000


class Pattern:
    """A compiled expression. Raises PatternError."""

    def __init__(self, expression: str) -> None:
        self._program = Program()
        self._start = _Parser(expression).whole()(self._program, 0)

    def found(self, text: str) -> bool:
        """Whether it matches anywhere in the text."""
        return self._program.found(self._start, text)


def _word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and _is_word(text[at])


def _is_word(char: str) -> bool:
    return char == "_" or (char.isascii() and char.isalnum())


def _boundary(text: str, at: int) -> bool:
    return _word(text, at - 1) != _word(text, at)


def _at_start(_text: str, at: int) -> bool:
    return at == 0


def _at_end(text: str, at: int) -> bool:
    return at == len(text)


def _not(test: Test) -> Test:
    return lambda char: not test(char)


def _any_of(tests: list[Test]) -> Test:
    return lambda char: any(test(char) for test in tests)


def _in_range(first: str, last: str, fold: bool) -> Test:
    if not fold:
        return lambda char: first <= char <= last
    return lambda char: first <= char.lower() <= last or first <= char.upper() <= last


def _is_digit(char: str) -> bool:
    return "0" <= char <= "9"


def _is_space(char: str) -> bool:
    return char in "\t\n\f\r "


_CLASSES: Final[dict[str, Test]] = {
    "d": _is_digit,
    "D": _not(_is_digit),
    "w": _is_word,
    "W": _not(_is_word),
    "s": _is_space,
    "S": _not(_is_space),
}
_NAMED: Final[dict[str, Test]] = {
    "alnum": lambda char: char.isascii() and char.isalnum(),
    "alpha": lambda char: char.isascii() and char.isalpha(),
    "digit": _is_digit,
    "lower": lambda char: "a" <= char <= "z",
    "upper": lambda char: "A" <= char <= "Z",
    "space": lambda char: char in "\t\n\v\f\r ",
    "word": _is_word,
}
_ASSERTIONS: Final[dict[str, Assertion]] = {
    "A": _at_start,
    "z": _at_end,
    "b": _boundary,
    "B": lambda text, at: not _boundary(text, at),
}
_CONTROLS: Final = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}
_REPEATS: Final[dict[str, tuple[int, int | None]]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._fold = False
        """Whether upper and lower case are the same."""
        self._dot_all = False

    def whole(self) -> Part:
        part = self._alternatives()
        if self._at < len(self._text):
            raise PatternError("there is a ) without (")
        return part

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        if self._at >= len(self._text):
            raise PatternError("the expression ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _skip(self, text: str) -> bool:
        found = self._text.startswith(text, self._at)
        self._at += len(text) * found
        return found

    def _alternatives(self) -> Part:
        parts = [self._concatenation()]
        while self._skip("|"):
            parts.append(self._concatenation())
        return either(parts)

    def _concatenation(self) -> Part:
        parts: list[Part] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._with_repeats())
        return sequence(parts)

    def _with_repeats(self) -> Part:
        part = self._atom()
        bounds = self._repeat()
        if bounds is None:
            return part
        self._skip("?")  # a lazy one matches the same texts
        if self._repeat() is not None:
            raise PatternError("a repetition is repeated")
        return repeated(part, *bounds)

    def _repeat(self) -> tuple[int, int | None] | None:
        char = self._peek()
        if char in _REPEATS:
            self._at += 1
            return _REPEATS[char]
        end = self._text.find("}", self._at)
        if char != "{" or end < 0:
            return None
        first, comma, last = self._text[self._at + 1 : end].partition(",")
        if not _is_number(first) or (last and not _is_number(last)):
            return None  # it means itself
        self._at = end + 1
        least = int(first)
        most = int(last) if last else None if comma else least
        if max(least, most or 0) > _MAX_REPEAT or (most is not None and most < least):
            raise PatternError(f"{{{first}{comma}{last}}} can't be")
        return least, most

    def _atom(self) -> Part:
        char = self._take()
        match char:
            case "(":
                return self._group()
            case "[":
                return one(self._char_class())
            case ".":
                return one((lambda _: True) if self._dot_all else lambda char: char != "\n")
            case "^":
                return where(_at_start)
            case "$":
                return where(_at_end)
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                raise PatternError(f"there is nothing before {char}")
            case _:
                return self._literal(char)

    def _literal(self, char: str) -> Part:
        return one(_in_range(char, char, self._fold))

    def _group(self) -> Part:
        flags = self._fold, self._dot_all
        if self._skip("?"):
            if self._skip("P<") or self._skip("<"):
                while self._take() != ">":
                    pass
            elif self._flags():
                return sequence([])
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise PatternError("the expression is nested too deeply")
        part = self._alternatives()
        self._depth -= 1
        if not self._skip(")"):
            raise PatternError("there is a ( without )")
        self._fold, self._dot_all = flags
        return part

    def _flags(self) -> bool:
        """Read the flags of a group; true where they hold for the rest around it."""
        value = True
        while True:
            match self._take():
                case "-":
                    value = False
                case "i":
                    self._fold = value
                case "s":
                    self._dot_all = value
                case ":":
                    return False
                case ")":
                    return True
                case flag:
                    raise PatternError(f"(?{flag} is not understood")

    def _escape(self) -> Part:
        char = self._take()
        if char in _CLASSES:
            return one(_CLASSES[char])
        if char in _ASSERTIONS:
            return where(_ASSERTIONS[char])
        if char == "Q":
            end = self._text.find("\\E", self._at)
            quoted = self._text[self._at : end if end >= 0 else None]
            self._at = end + 2 if end >= 0 else len(self._text)
            return sequence([self._literal(char) for char in quoted])
        return self._literal(self._escaped(char))

    def _escaped(self, char: str) -> str:
        """The character that is meant."""
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "x":
            digits = self._take()
            if digits == "{":
                end = self._text.find("}", self._at)
                digits, self._at = self._text[self._at : end], end + 1
            else:
                digits += self._take()
            try:
                return chr(int(digits, 16))
            except (ValueError, OverflowError):
                raise PatternError(f"\\x{digits} is no character") from None
        if char.isascii() and (char.isalnum() or char == "_"):
            raise PatternError(f"\\{char} is not understood")
        return char

    def _char_class(self) -> Test:
        negated = self._skip("^")
        tests: list[Test] = []
        while not tests or self._peek() != "]":
            tests.append(self._class_item())
        self._at += 1
        return _not(_any_of(tests)) if negated else _any_of(tests)

    def _class_item(self) -> Test:
        if self._skip("[:"):
            negated = self._skip("^")
            end = self._text.find(":]", self._at)
            test = _NAMED.get(self._text[self._at : end])
            if end < 0 or test is None:
                raise PatternError("a class of characters is not understood")
            self._at = end + 2
            return _not(test) if negated else test
        first = self._take()
        if first == "\\":
            char = self._take()
            if char in _CLASSES:
                return _CLASSES[char]
            first = self._escaped(char)
        last = first
        if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
            self._at += 1
            last = self._take()
            if last == "\\":
                last = self._escaped(self._take())
            if last < first:
                raise PatternError(f"{first}-{last} is no range")
        return _in_range(first, last, self._fold)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4
