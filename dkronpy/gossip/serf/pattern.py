"""Regular expressions in the syntax of Go (RE2), matched in time linear in the text.

Python's own would take one evil expression from the network to stop a node for ever: it tries every way to match, these
follow all ways at once (Thompson, "Regular Expression Search Algorithm", CACM 1968).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

MAX_STEPS: Final = 512
"""Steps of a compiled expression: so the longest tag takes at most 0.2 s, a usual one some µs."""
_MAX_DEPTH: Final = 50
_MAX_REPEAT: Final = 1000


class PatternError(ValueError):
    """The expression is wrong, or uses what isn't understood here."""


Test = Callable[[str], bool]
Assertion = Callable[[str, int], bool]


class _Step(NamedTuple):
    """Go to `then` without reading, for one of `forks`; if `assertion` holds there; or after a character that passes
    `test`. The last step has nothing."""

    test: Test | None = None
    assertion: Assertion | None = None
    forks: tuple[int, ...] = ()


_Part = Callable[["_Program", int], int]
"""Adds the steps for a part of the expression, given the step to go to after it; returns the step to begin with."""


class _Program:
    def __init__(self) -> None:
        self.steps: list[_Step] = [_Step()]

    def add(self, step: _Step) -> int:
        if len(self.steps) >= MAX_STEPS:
            raise PatternError("the expression is too large")
        self.steps.append(step)
        return len(self.steps) - 1


class Pattern:
    """A compiled expression. Raises PatternError."""

    def __init__(self, expression: str) -> None:
        part = _Parser(expression).whole()
        program = _Program()
        self._start = part(program, 0)
        self._steps = program.steps

    def found(self, text: str) -> bool:
        """Whether it matches anywhere in the text."""
        current: set[int] = set()
        for at in range(len(text) + 1):
            if self._follow(self._start, text, at, current):
                return True
            if at == len(text):
                break
            after: set[int] = set()
            for number in current:
                step = self._steps[number]
                if step.test is not None and step.test(text[at]) and self._follow(step.forks[0], text, at + 1, after):
                    return True
            current = after
        return False

    def _follow(self, number: int, text: str, at: int, reached: set[int]) -> bool:
        """Add all steps that are reached without reading; true if the last one is among them."""
        waiting = [number]
        while waiting:
            number = waiting.pop()
            if number in reached:
                continue
            if number == 0:
                return True
            reached.add(number)
            step = self._steps[number]
            if step.test is None and (step.assertion is None or step.assertion(text, at)):
                waiting += step.forks
        return False


# ---- parts of an expression


def _one(test: Test) -> _Part:
    return lambda program, then: program.add(_Step(test=test, forks=(then,)))


def _where(assertion: Assertion) -> _Part:
    return lambda program, then: program.add(_Step(assertion=assertion, forks=(then,)))


def _sequence(parts: list[_Part]) -> _Part:
    def add(program: _Program, then: int) -> int:
        for part in reversed(parts):
            then = part(program, then)
        return then

    return add


def _either(parts: list[_Part]) -> _Part:
    if len(parts) == 1:
        return parts[0]
    return lambda program, then: program.add(_Step(forks=tuple(part(program, then) for part in parts)))


def _repeated(part: _Part, least: int, most: int | None) -> _Part:
    def add(program: _Program, then: int) -> int:
        if most is None:
            loop = program.add(_Step())
            program.steps[loop] = _Step(forks=(part(program, loop), then))
            then = loop
        else:
            for _ in range(most - least):
                then = program.add(_Step(forks=(part(program, then), then)))
        for _ in range(least):
            then = part(program, then)
        return then

    return add


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

    def whole(self) -> _Part:
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

    def _alternatives(self) -> _Part:
        parts = [self._concatenation()]
        while self._skip("|"):
            parts.append(self._concatenation())
        return _either(parts)

    def _concatenation(self) -> _Part:
        parts: list[_Part] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._with_repeats())
        return _sequence(parts)

    def _with_repeats(self) -> _Part:
        part = self._atom()
        bounds = self._repeat()
        if bounds is None:
            return part
        self._skip("?")  # a lazy one matches the same texts
        if self._repeat() is not None:
            raise PatternError("a repetition is repeated")
        return _repeated(part, *bounds)

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

    def _atom(self) -> _Part:
        char = self._take()
        match char:
            case "(":
                return self._group()
            case "[":
                return _one(self._char_class())
            case ".":
                return _one((lambda _: True) if self._dot_all else lambda char: char != "\n")
            case "^":
                return _where(_at_start)
            case "$":
                return _where(_at_end)
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                raise PatternError(f"there is nothing before {char}")
            case _:
                return self._literal(char)

    def _literal(self, char: str) -> _Part:
        return _one(_in_range(char, char, self._fold))

    def _group(self) -> _Part:
        flags = self._fold, self._dot_all
        if self._skip("?"):
            if self._skip("P<") or self._skip("<"):
                while self._take() != ">":
                    pass
            elif self._flags():
                return _sequence([])
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

    def _escape(self) -> _Part:
        char = self._take()
        if char in _CLASSES:
            return _one(_CLASSES[char])
        if char in _ASSERTIONS:
            return _where(_ASSERTIONS[char])
        if char == "Q":
            end = self._text.find("\\E", self._at)
            quoted = self._text[self._at : end if end >= 0 else None]
            self._at = end + 2 if end >= 0 else len(self._text)
            return _sequence([self._literal(char) for char in quoted])
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
