"""A fuzzer reads openapi.yaml and asks a node: no 5xx, no answer that is not documented, no answer of another shape."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dkronpy.api.document import document
from tests.conftest import FULL
from tests.support.api_node import GROUP, NODE

ROOT = Path(__file__).parents[3]
JOBS = 20
SECONDS = 300 if FULL else 30
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    command = [sys.executable, "-m", "tests.support.api_node", str(tmp_path), "0", str(JOBS)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
            assert process.poll() is None, "the node did not survive"
        finally:
            process.terminate()


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("known", [True, False])
def test_nothing_undocumented(tmp_path: Path, port: int, known: bool) -> None:
    """With names of jobs and executions that exist, and with any."""
    config = tmp_path / "schemathesis.toml"
    names = ", ".join(f'"job{number}"' for number in range(JOBS))
    parameters = f'[parameters]\n"path.job" = [{names}]\n"path.execution" = "{GROUP}-1-{NODE}"\n' if known else ""
    config.write_text(parameters)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={config}",
        "run",
        str(document()),
        f"--url=http://127.0.0.1:{port}",
        f"--max-time={SECONDS // 2}",
        f"--checks={','.join(CHECKS)}",
        "--phases=examples,coverage,fuzzing",
        "--generation-database=none",
        "--exclude-operation-id=events",  # never ends
        "--request-timeout=60",
        "--warnings=off",
    ]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "120"}
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
