"""The command as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.support.processes import HOST, Agent


class Dkron:
    """Runs commands against an agent."""

    def __init__(self, agent: Agent) -> None:
        self._environ = {**os.environ, "DKRON_API_URL": f"http://{HOST}:{agent.port}", "TZ": "UTC"}

    def start(self, *argv: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "dkronpy", *argv],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *argv: str, code: int = 0) -> str:
        with self.start(*argv) as process:
            out, err = process.communicate(timeout=110)
        assert process.returncode == code, f"{argv}: {process.returncode}\n{out}\n{err}"
        return out or err

    def json(self, *argv: str) -> Any:
        return json.loads(self(*argv, "--format", "json"))
