"""Which processes belong to a run."""

from __future__ import annotations

import os
import subprocess

import pytest

from dkronpy.runner import process
from dkronpy.runner.process import Leader, Process, family, find, processes


def made(pid: int, parent: int = 1, group: int = 0, session: int = 0, ticks: int = 5) -> Process:
    return Process(pid, parent, group or pid, session or group or pid, ticks, 0, True)


LEADER = made(100)
MEMBER = made(101, parent=100, group=100)
ORPHAN = made(102, parent=1, group=100)
OWN_GROUP = made(103, parent=1, group=103, session=100)
OWN_SESSION = made(104, parent=101)
GRANDCHILD = made(105, parent=104)
STRANGER = made(106)
ALL = [made(1, parent=0), STRANGER, GRANDCHILD, OWN_SESSION, OWN_GROUP, ORPHAN, MEMBER, LEADER]


def test_group_session_and_descendants():
    found = family(ALL, Leader(100, 4, 5))
    assert found[0] == LEADER
    assert set(found) == {LEADER, MEMBER, ORPHAN, OWN_GROUP, OWN_SESSION, GRANDCHILD}


def test_after_the_leader():
    assert set(family(ALL[:-1], Leader(100, 4, 5))) == {MEMBER, ORPHAN, OWN_GROUP, OWN_SESSION, GRANDCHILD}


def test_another_process_with_the_leaders_number_is_not_its_run():
    assert family(ALL, Leader(100, 3, 4)) == []
    assert family(ALL, Leader(100, 6, 7)) == []


def test_marked_ones(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "_has_variable", lambda pid, text: (pid, text) == (106, b"DKRON_RUN=spool-run"))
    assert set(family(ALL, Leader(900, 5, 5), "spool-run")) == {STRANGER}
    assert family(ALL, Leader(900, 5, 5), "spool") == []


def test_ourselves():
    own = find(os.getpid())
    assert own is not None
    assert (own.parent, own.group, own.session) == (os.getppid(), os.getpgrp(), os.getsid(0))
    assert own.alive
    assert own.rss > 1 << 20
    assert own.pid in {p.pid for p in processes()}
    assert find(2**22 + 1) is None


def test_a_name_with_parentheses_and_spaces():
    with subprocess.Popen(
        ["python3", "-c", "open('/proc/self/comm', 'w').write(') R 1 (x'); print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = find(child.pid)
        assert found is not None
        assert found.parent == os.getpid()
        child.communicate(b"\n")
