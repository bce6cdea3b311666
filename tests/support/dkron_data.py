"""What real Dkrons left behind: the database file of a 1.2.5 with what its API answered, the backup of a 4.1.2."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from dkronpy.model.times import parse_rfc3339

DATA = Path(__file__).parents[1] / "data"
BOLTDB = DATA / "dkron-v1.2.5.boltdb"
V1 = json.loads((DATA / "dkron-v1.2.5.expected.json").read_text())
"""{jobs, executions by job}, in the shapes of Dkron 1."""
V4_JOBS = DATA / "dkron-v4.1.2.jobs.json"
V4_EXECUTIONS = DATA / "dkron-v4.1.2.executions.json"

_ZERO = "0001-01-01T00:00:00Z"


def same_job(dkron: dict[str, Any], here: dict[str, Any]) -> None:
    """Check that a job is as Dkron answered it, but for what is documented: times that never were are null, and so are
    empty maps; a processor's settings are texts; a job that never ran has no status; `next` is reckoned anew."""
    expected = {
        **dkron,
        "id": dkron["name"],
        "displayname": dkron.get("displayname", ""),
        "metadata": dkron.get("metadata"),
        "ephemeral": dkron.get("ephemeral", False),
        "last_success": None if dkron["last_success"] == _ZERO else dkron["last_success"],
        "last_error": None if dkron["last_error"] == _ZERO else dkron["last_error"],
        "processors": {
            name: {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
            for name, config in (dkron["processors"] or {}).items()
        },
        "status": dkron["status"] if dkron["success_count"] + dkron["error_count"] else "",
        "next": here["next"],
    }
    assert {key: here[key] for key in expected} == expected


def same_execution(dkron: dict[str, Any], here: dict[str, Any]) -> None:
    """Check that an execution is as Dkron answered it; what it gave in base64 is text, its times are in UTC."""
    output = dkron.get("output", "")
    if "id" not in dkron:
        output = base64.b64decode(output).decode()
    assert here["output"] == output
    assert not here["output_truncated"]
    assert here["success"] == dkron.get("success", False)
    for key in ("started_at", "finished_at"):
        assert parse_rfc3339(here[key]) == parse_rfc3339(dkron[key])
    for key in ("job_name", "node_name", "group", "attempt"):
        assert here[key] == dkron[key]
