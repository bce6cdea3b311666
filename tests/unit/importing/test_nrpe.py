"""Checks of NRPE as jobs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.importing.nrpe import Options, read_nrpe
from dkronpy.model.duration import SECOND
from tests.support.readings import command_of, kinds

FILE = """\
# a comment
log_facility=daemon
allowed_hosts=127.0.0.1,::1
command_timeout=30
command_prefix=/usr/bin/sudo
include_dir=nrpe.d
include=more.cfg

command[check_load]=/usr/lib/nagios/plugins/check_load -r -w .15,.10,.05 -c .30,.25,.20
command[Check Disk /]=/usr/lib/nagios/plugins/check_disk -w 20% -c 10% -p '/'
command[check_args]=/usr/lib/nagios/plugins/check_http -H $ARG1$
"""


def test_checks(tmp_path: Path) -> None:
    (tmp_path / "nrpe.d" / "deep").mkdir(parents=True)
    (tmp_path / "nrpe.d" / "deep" / "a.cfg").write_text("command[check_users]=check_users\n")
    (tmp_path / "more.cfg").write_text("command[check_load]=later wins\n")
    (tmp_path / "nrpe.cfg").write_text(FILE.replace("include=more.cfg", "") + "include=more.cfg\n")
    users, load, disk, arguments = read_nrpe(tmp_path / "nrpe.cfg", Options("@every 1m"))
    assert [users.name, load.name, disk.name] == ["check_users", "check_load", "check-disk--"]
    assert command_of(load).argv == ("/bin/sh", "-c", "/usr/bin/sudo later wins")
    assert load.place == f"{tmp_path / 'more.cfg'}, line 1"
    assert disk.document["displayname"] == "Check Disk /"
    assert disk.document["schedule"] == "@every 1m"
    assert command_of(disk).timeout == 30 * SECOND
    assert disk.document["executor_config"]["exit_codes"] == "nagios"
    assert kinds(disk) == ["meaning"]
    assert "$ARG1$ and its like" in arguments.problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("command[a] check", "line 1: 'command[a] check' is not NAME=VALUE"),
        ("command_timeout=soon\ncommand[a]=b", "'soon' is no number of seconds"),
        ("include=nrpe.cfg", "is included by itself"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "nrpe.cfg").write_text(text)
    with pytest.raises(ValueError, match=re.escape(said)):
        read_nrpe(tmp_path / "nrpe.cfg", Options("@every 1m"))


@given(st.text(alphabet="command[]=\n# $ARG1\\'%x\x00", max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("nrpe") / "nrpe.cfg"
    path.write_text(text)
    try:
        jobs = read_nrpe(path, Options("@every 1m"))
    except ValueError:
        return
    for job in jobs:
        assert job.problem or job.document["executor_config"]["command"]
