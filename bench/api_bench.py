"""The HTTP API of one server under wrk: jobs created per second, one job read, a list of 1,000 jobs.

    python bench/api_bench.py [--seconds 8]

Needs wrk. Created jobs are durable before the answer; fdatasync/s of the same folder stands beside.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

from agent import Agent, agent, syncs_per_second

CREATE = """
local thread_id = 0
function setup(thread) thread:set("id", thread_id); thread_id = thread_id + 1 end
local n = 0
request = function()
  n = n + 1
  local body =
  string.format('{"name":"w%d-%d","schedule":"@yearly","executor":"shell","executor_config":{"command":"true"}}', id,
  n) return wrk.format("POST", "/v1/jobs", {["Content-Type"]="application/json"}, body) end done = function(summary,
  latency, requests) io.write(string.format("errors %d\\n", summary.errors.status + summary.errors.connect +
  summary.errors.read)) end
"""


def wrk(running: Agent, path: str, seconds: int, script: Path | None = None) -> str:
    arguments = ["wrk", "-t1", "-c16", f"-d{seconds}s", "--latency"]
    arguments += ["-s", str(script)] if script else []
    output = subprocess.run(
        [*arguments, f"http://127.0.0.1:{running.port}{path}"], capture_output=True, text=True, check=True
    ).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"99%\s+(\S+)", output)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    if rate is None or p99 is None:
        raise RuntimeError(output)
    return f"{float(rate[1]):,.0f}/s, p99 {p99[1]}" + (f", {bad[1]} ERRORS" if bad else "")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=8)
    seconds = options.parse_args().seconds
    with agent() as running:
        for index in range(1000):
            job = {
                "name": f"job-{index}",
                "schedule": "0 30 2 * * *",
                "timezone": "Europe/Berlin",
                "owner": "Platform Team",
                "tags": {"dkron_server": "true:1"},
                "executor": "shell",
                "executor_config": {"command": "date"},
            }
            running.call("POST", "/v1/jobs", job)
        print(f"GET one job:              {wrk(running, '/v1/jobs/job-7', seconds)}")
        print(f"GET the list of 1,000:    {wrk(running, '/v1/jobs', seconds)}")
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(CREATE)
            script.flush()
            created = wrk(running, "/v1/jobs", seconds, Path(script.name))
        print(f"POST jobs, 16 connections: {created} (fdatasync {syncs_per_second(running.data):,.0f}/s)")


if __name__ == "__main__":
    main()
