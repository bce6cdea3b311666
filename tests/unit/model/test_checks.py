"""What checks find: exit codes and performance data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.model.checks import MAX_FIGURES, CheckStatus, Figure, check_status, figures, worst

SEVERAL_LINES = b"""\
OK | 'used space'=0.75%;80:;@90 load1=0.10;5;10;0 'it''s'=1c
/boot 68 MB
/home 69357 MB | /boot=68MB;88
/home=-6.5e3"""


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (b"DISK OK - free space: / 3326 MB | /=2643MB;5948;5958;0;5968", [Figure("/", 2643, "MB")]),
        (
            SEVERAL_LINES,
            [
                Figure("used space", 0.75, "%"),
                Figure("load1", 0.1, ""),
                Figure("it's", 1, "c"),
                Figure("/boot", 68, "MB"),
                Figure("/home", -6500, ""),
            ],
        ),
        (b"OK", []),
        (b"OK |", []),
        (b"no bar here\na=1", []),
        (b"OK | a=U;1;2 b=2 nonsense c=3=4 d=5ms", [Figure("b", 2, ""), Figure("d", 5, "ms")]),
        (b"OK | a=1 a=2", [Figure("a", 1, "")]),
        (b"\xff | \xff=1", [Figure("�", 1, "")]),
    ],
)
def test_performance_data(output: bytes, expected: list[Figure]) -> None:
    assert figures(output) == expected


def test_there_is_an_end_to_them() -> None:
    many = b"OK |" + b"".join(b" x%d=%d" % (number, number) for number in range(10_000))
    assert len(figures(many)) == MAX_FIGURES
    assert len(figures(b"OK | " + b"x" * 8000 + b"=1")[0].label) == 64
    assert figures(b"OK | " + b"'" * 8000) == []


@given(st.text(alphabet="|=;' \nab0.eE+-%U", max_size=200))
def test_any_output_is_read(text: str) -> None:
    for figure in figures(text.encode()):
        assert figure.label
        assert float("-inf") < figure.value < float("inf")


def test_exit_codes() -> None:
    found = [check_status(code, by_itself=True) for code in (0, 1, 2, 3, 4, -1, 255)]
    assert found == ["ok", "warning", "critical", "unknown", "unknown", "unknown", "unknown"]
    assert check_status(0, by_itself=False) is check_status(None, by_itself=True) is CheckStatus.UNKNOWN
    assert [CheckStatus(name).code for name in ("ok", "warning", "critical", "unknown", "")] == [0, 1, 2, 3, 3]


def test_the_worst() -> None:
    assert worst([]) is CheckStatus.NONE
    assert worst([CheckStatus.OK, CheckStatus.NONE]) is CheckStatus.OK
    assert worst([CheckStatus.UNKNOWN, CheckStatus.WARNING]) is CheckStatus.UNKNOWN
    assert worst([CheckStatus.UNKNOWN, CheckStatus.CRITICAL]) is CheckStatus.CRITICAL
