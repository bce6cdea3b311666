"""`dkron exporter`, as a process of its own, on the history of a server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from dkronpy import logs
from dkronpy.cli.main import main
from dkronpy.history.sqlite import SqliteHistory
from dkronpy.metrics.digest import fold
from dkronpy.model.figures import Figures, JobFigures
from tests.support.processes import free_port, until

EXPORTER = (sys.executable, "-P", "-m", "dkronpy", "exporter")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("DKRON")}


def asked(url: str) -> tuple[int, str, str] | None:
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            return response.status, response.headers["Content-Type"], response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, "", ""
    except OSError:
        return None


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    history = SqliteHistory(tmp_path / "history.db")
    await history.open()
    digest = fold(b"", [1.0, 2.0, 4.0])
    await history.write_figures([JobFigures("job", 2, 1, Figures(changes=3, observed=3), None, digest, digest)])
    await history.close()
    return tmp_path / "history.db"


def test_dump_and_serve(path: Path) -> None:
    dumped = subprocess.run(
        [*EXPORTER, f"--data-dir={path.parent}", "--dump", "--quantiles", "0.5,1", "--metrics-dsari-names"],
        env=ENVIRONMENT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert '\ndsari_run_count{job_name="job"} 3\n' in dumped
    assert '\ndkron_run_duration_seconds{job_name="job",quantile="0.5"} 2\n' in dumped
    assert '\ndkron_run_duration_seconds{job_name="job",quantile="1.0"} 4\n' in dumped
    assert 'quantile="0.9"' not in dumped

    port = free_port()
    options = (f"--history=sqlite:{path}", "--listen-port", str(port), "--metrics-path", "/figures")
    with subprocess.Popen([*EXPORTER, *options], env=ENVIRONMENT, stderr=subprocess.PIPE) as process:
        try:
            answer = until(lambda: asked(f"http://127.0.0.1:{port}/figures"), 90, "the exporter answers")
            assert (answer[0], answer[1]) == (200, "text/plain; version=0.0.4; charset=utf-8")
            assert '\ndkron_runs_success_total{job_name="job"} 2\n' in answer[2]
            assert "dsari" not in answer[2]
            assert asked(f"http://127.0.0.1:{port}/metrics") == (404, "", "")
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


def test_no_history(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    assert main(["exporter", "--history=sqlite:/nowhere/history.db"]) == 1
    said = "dkron: there is no history /nowhere/history.db: --history or --data-dir says where it is\n"
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize(
    ("option", "said"),
    [("--quantiles=2", '"2" must be a number from 0 to 1'), ("--metrics-path=figures", "must begin with /")],
)
def test_options_that_are_refused(option: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exporter", option]) == 2
    assert said in capsys.readouterr().err
