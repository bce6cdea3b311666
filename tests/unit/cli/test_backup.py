"""`dkron backup` and `dkron restore`: what is wrong on the command line is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Dkron


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_the_file_comes_first(dkron: Dkron, command: str) -> None:
    for words in ((), ("--data-dir", "/tmp")):
        result = dkron(command, *words)
        assert (result.code, result.out) == (2, "")
        assert "the file comes first" in result.err


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_options_are_those_of_the_agent(dkron: Dkron, tmp_path: Path, command: str) -> None:
    result = dkron(command, str(tmp_path / "file"), "--backend", "papyrus")
    assert result.code == 2
    assert "papyrus" in result.err
    helped = dkron(command, "--help")
    assert helped.code == 0
    assert "--backend-machine" in helped.out
    assert f"dkron {command} FILE" in helped.out


def test_where_there_is_nothing(dkron: Dkron, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    result = dkron("backup", str(tmp_path / "file"), "--data-dir", str(nowhere))
    assert (result.code, nowhere.exists()) == (2, False)
    assert f"there is no store in the data directory {nowhere}" in result.err
    result = dkron("restore", str(tmp_path / "file"), "--data-dir", str(tmp_path / "new"))
    assert result.code == 1
    assert "No such file" in result.err


def test_there_and_back(dkron: Dkron, tmp_path: Path) -> None:
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "store.db").touch()
    assert dkron("backup", first, "--data-dir", str(tmp_path / "old")).code == 0
    restored = dkron("restore", first, "--overwrite", "--data-dir", str(tmp_path / "new"))
    assert (restored.code, restored.out) == (0, f"{first} is restored: 0 lines.\n")
    told = dkron("backup", second, "--data-dir", str(tmp_path / "new"), "--keyspace", "other")
    assert f"{second} holds 0 keys and 0 executions." in told.out
