"""A check of NRPE's on a real node: from the configuration to Nagios and Prometheus."""

from __future__ import annotations

from pathlib import Path
from urllib.request import urlopen

from tests.integration.cli.conftest import Dkron
from tests.support.processes import HOST, Agent


def test_from_nrpe_to_nagios(tmp_path: Path) -> None:
    (tmp_path / "nrpe.cfg").write_text(
        "command[check_disk]=echo \"DISK WARNING | '/var log'=91.5%;80;95 /=10MB\"; exit 1\n"
        "command[check_ok]=echo fine\n"
        "command[check_slow]=sleep 60\ncommand_timeout=1\n"
    )
    agent = Agent(tmp_path / "data")
    try:
        agent.start()
        dkron = Dkron(agent)
        dkron("import", "nrpe", str(tmp_path / "nrpe.cfg"), "--schedule", "@manually", "--tag", "dkron_server=true:1")
        for name, found in (("check_disk", "warning"), ("check_ok", "ok"), ("check_slow", "unknown")):
            dkron("job", "run", name, "--wait", code=0 if found == "ok" else 5)
            (execution,) = agent.get(f"/v1/jobs/{name}/executions")
            assert execution["check"] == found
            assert agent.get(f"/v1/jobs/{name}")["check"] == found
        said = dkron("check", "check_disk", code=1)
        assert said.startswith("WARNING - check_disk: failed ")
        assert said.endswith(" '/var log'=91.5%;80;95 /=10MB\n")
        with urlopen(f"http://{HOST}:{agent.port}/metrics") as answer:
            figures = answer.read().decode()
        node = execution["node_name"]
        assert f'dkron_check_status{{job_name="check_slow",node="{node}"}} 3.0\n' in figures
        assert f'dkron_check_value{{job_name="check_disk",label="/var log",node="{node}",unit="%"}} 91.5\n' in figures
    finally:
        agent.clean_up()
