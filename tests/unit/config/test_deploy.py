"""The files in `deploy/` and `docker-compose.yml` name settings that exist, with values that are taken."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dkronpy.config import load

ROOT = Path(__file__).parents[3]
KEY = "AAECAwQFBgcICQoLDA0ODw=="
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


def expanded(text: str) -> str:
    """`${NAME:-default}` as compose has it when no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def compose() -> dict[str, Any]:
    return yaml.safe_load(expanded((ROOT / "docker-compose.yml").read_text()))


def nodes_of_compose() -> Iterator[tuple[str, dict[str, str]]]:
    for name, service in compose()["services"].items():
        if "DKRON_BIND_ADDR" in (environment := service.get("environment", {})):
            yield name, environment


def nodes_of_kubernetes() -> Iterator[tuple[str, dict[str, str]]]:
    for file in ("servers", "agents"):
        for document in yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / f"{file}.yaml").read_text()):
            if document["kind"] in ("StatefulSet", "DaemonSet"):
                (container,) = document["spec"]["template"]["spec"]["containers"]
                given = {variable["name"]: variable.get("value", "") for variable in container["env"]}
                yield file, {name: value for name, value in given.items() if name.startswith("DKRON_")}


@pytest.mark.parametrize(("name", "environment"), [*nodes_of_compose(), *nodes_of_kubernetes()])
def test_the_environment_of_a_node_is_understood(tmp_path: Path, name: str, environment: dict[str, str]) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("write 0123456789abcdef0123 operator\n")
    tokens.chmod(0o600)
    environment = environment | {"DKRON_ENCRYPT": KEY, "DKRON_NODE_NAME": name}
    environment.pop("DKRON_CONFIG", None)
    environment["DKRON_ADVERTISE_ADDR"] = "10.0.0.1"
    if environment.get("DKRON_HTTP_TOKEN_FILE"):
        environment["DKRON_HTTP_TOKEN_FILE"] = str(tokens)
    loaded = load([], environment, search=[])
    assert loaded.settings.server == ("server" in name)
    assert loaded.warnings == ()


def test_compose_has_three_etcd_three_servers_and_two_agents() -> None:
    services = compose()["services"]
    assert sorted(services) == [
        "agent-1", "agent-2", "cluster-key", "etcd-1", "etcd-2", "etcd-3", "server-1", "server-2", "server-3",
    ]  # fmt: skip
    for name, service in services.items():
        used = {volume.partition(":")[0] for volume in service["volumes"]}
        assert used <= set(compose()["volumes"]), name
        assert set(service.get("depends_on", {})) <= set(services), name


def test_the_file_of_the_systemd_units_is_understood(tmp_path: Path) -> None:
    file = tmp_path / "dkron.yml"
    file.write_text((ROOT / "deploy" / "systemd" / "dkron.yml").read_text().replace('encrypt: ""', f"encrypt: {KEY}"))
    file.chmod(0o600)
    for kind in ("--server", ""):
        given = [kind] if kind else []
        loaded = load([f"--config={file}", "--advertise-addr=10.0.0.1", *given], {}, search=[])
        assert loaded.settings.server == bool(kind)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_what_exists_and_starts_it_again_for_ever(tmp_path: Path, unit: Path) -> None:
    """A server can't start while its store is away: systemd must not give up on it after five tries."""
    text = unit.read_text()
    assert "\nStartLimitIntervalSec=0\n" in text
    (command,) = re.findall(r"^ExecStart=/opt/dkron/bin/dkron agent (.*)$", text, re.MULTILINE)
    load(command.split(), {}, search=[])
    if (analyze := shutil.which("systemd-analyze")) is None:
        return
    # What the unit starts need not be installed here.
    copy = tmp_path / unit.name
    copy.write_text(text.replace("/opt/dkron/bin/dkron", "/bin/true"))
    done = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    assert not said
