"""What systemd hears; that a whole node tells it is in tests/cluster/test_start_stop.py."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import pytest

from dkronpy.agent.supervisor import Supervisor


def test_an_abstract_socket(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as systemd:
        systemd.bind(f"\0{tmp_path}")
        systemd.settimeout(10)
        environment = {"NOTIFY_SOCKET": f"@{tmp_path}", "A": "1"}
        supervisor = Supervisor(environment)
        assert environment == {"A": "1"}
        supervisor.ready()
        supervisor.stopping()
        assert [systemd.recv(100), systemd.recv(100)] == [b"READY=1", b"STOPPING=1"]


def test_nobody_hears(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Supervisor({}).ready()
    assert caplog.messages == []
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "none")}).ready()
    assert "systemd can't be told READY=1" in caplog.text
