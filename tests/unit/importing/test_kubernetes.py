"""CronJobs of Kubernetes as jobs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.importing.kubernetes import read_cron_jobs
from dkronpy.importing.mapped import Mapped
from dkronpy.model.duration import SECOND
from dkronpy.model.times import parse_rfc3339
from tests.support.readings import command_of, fires_here, kinds

NOW = parse_rfc3339("2026-11-26T16:35:12Z")


def manifest(spec: dict[str, Any] | None = None, job: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "report", "namespace": "shop", "labels": {"team": "db"}},
        "spec": {
            "schedule": "30 2 * * 1-5",
            "timeZone": "Europe/Berlin",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [
                                {"name": "main", "image": "shop:7", "command": ["/opt/report", "a b"], **container}
                            ],
                        }
                    },
                    **(job or {}),
                }
            },
            **(spec or {}),
        },
    }


def read(document: object, runtime: str = "") -> Mapped:
    (job,) = read_cron_jobs([("jobs.yml, document 1", document)], "", runtime)
    return job


def one(document: object, runtime: str = "") -> Mapped:
    job = read(document, runtime)
    assert not job.problem
    return job


def test_a_cron_job() -> None:
    job = one(
        manifest(
            {"concurrencyPolicy": "Forbid", "startingDeadlineSeconds": 600, "suspend": True},
            {"backoffLimit": 3, "activeDeadlineSeconds": 900},
            args=["--to", "$(TO)", "$(OTHER)", "$$(TO)"],
            env=[{"name": "TO", "value": "ops"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s"}}}],
            workingDir="/srv",
            resources={"limits": {"memory": "1Gi"}},
        )
    )
    document = job.document
    assert (document["schedule"], document["timezone"], document["disabled"]) == (
        *("30 2 * * 1-5", "Europe/Berlin", True),
    )
    assert document["concurrency"] == "forbid"
    assert document["catchup"] == {"window": "600s", "policy": "latest"}
    assert document["retries"] == 3
    assert document["metadata"] == {"team": "db", "imported_from": "jobs.yml, document 1"}
    config = command_of(job)
    assert config.argv == ("/opt/report", "a b", "--to", "ops", "$(OTHER)", "$(TO)")
    assert (config.env, config.cwd, config.timeout, config.grace) == ({"TO": "ops"}, "/srv", 900 * SECOND, 30 * SECOND)
    told = "\n".join(change.text for change in job.changes)
    assert "env KEY came from secretKeyRef" in told
    assert "containers[0].resources is not carried over" in told
    assert "the image shop:7" in told


def test_defaults() -> None:
    document = manifest()
    del document["spec"]["timeZone"]
    job = one(document)
    assert job.document["timezone"] == "UTC"
    assert "zone" in kinds(job)
    assert (job.document["retries"], job.document["concurrency"]) == (6, "allow")
    assert job.document["catchup"] == {"window": "3650d", "policy": "latest"}


@pytest.mark.parametrize(
    "schedule",
    ["*/90 * * * *", "0 */2 */2 * MON", "@daily", "@weekly", "15 10 1,15 JAN-MAR ?", "TZ=Asia/Tokyo 5 4 * * *"],
)
def test_both_readings_agree(schedule: str) -> None:
    job = one(manifest({"schedule": schedule}))
    assert job.reading is not None
    assert job.reading(NOW, 6) == fires_here(job, NOW, 6) != []


def test_containers_by_a_runtime() -> None:
    job = one(manifest(env=[{"name": "A", "value": "1"}], args=["-v"], workingDir="/w"), "docker")
    config = command_of(job)
    assert config.argv == (
        *("docker", "run", "--rm", "--env=A", "--workdir=/w", "--entrypoint=/opt/report", "shop:7", "a b", "-v"),
    )
    assert config.env == {"A": "1"}
    assert command_of(one(manifest(command=None), "podman --remote")).argv == (
        "podman",
        "--remote",
        "run",
        "--rm",
        "shop:7",
    )


def test_lists_and_other_kinds() -> None:
    listed = {"kind": "List", "items": [manifest(), {"kind": "Service"}, manifest()]}
    jobs = read_cron_jobs([("a", {"kind": "Deployment"}), ("b", listed), ("c", "text"), ("d", None)], "k8s-", "")
    assert [(job.name, job.place) for job in jobs] == [("k8s-report", "b, items[0]"), ("k8s-report-2", "b, items[2]")]


def test_every() -> None:
    job = one(manifest({"schedule": "@every 90m"}))
    assert job.document["schedule"] == "@every 90m"
    assert "every" in kinds(job)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schedule": "* * * *"}, "spec.schedule: '* * * *' has no five fields"),
        ({"schedule": "61 * * * *"}, "spec.schedule: '61' means nothing as minute"),
        ({"schedule": "~ * * * *"}, "Kubernetes takes no such schedule"),
        ({"schedule": "@manually"}, "Kubernetes takes no such schedule"),
        ({"schedule": ""}, "spec.schedule: is missing"),
        ({"schedule": 5}, "schedule: must be a string"),
        ({"timeZone": "Mars/Base"}, "no time zone"),
        ({"concurrencyPolicy": "Maybe"}, "spec.concurrencyPolicy: 'Maybe' is none of"),
        ({"startingDeadlineSeconds": -1}, "startingDeadlineSeconds: must be a whole number"),
        ({"jobTemplate": []}, "spec.jobTemplate: must be an object"),
        ({"jobTemplate": {}}, "there are 0; a job runs one command"),
    ],
)
def test_what_is_refused(change: dict[str, Any], said: str) -> None:
    assert said in read(manifest(change)).problem


@pytest.mark.parametrize(
    ("container", "said"),
    [
        ({"command": None}, "command: is missing"),
        ({"command": "text"}, "must be a list of strings"),
        ({"env": [{"name": "a-b", "value": ""}]}, "env[0].name"),
        ({"env": [1]}, "env: must be a list of objects"),
    ],
)
def test_containers_that_are_refused(container: dict[str, Any], said: str) -> None:
    assert said in read(manifest(**container)).problem


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=5), inner, max_size=2)),
    max_leaves=5,
)


@given(st.data(), VALUES)
def test_any_value_anywhere_is_read_or_refused(data: st.DataObject, value: object) -> None:
    document = manifest(
        {"suspend": False, "concurrencyPolicy": "Allow"},
        {"backoffLimit": 1},
        args=["a"],
        env=[{"name": "A", "value": "1"}],
    )
    place: Any = document
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = value
        break
    for job in read_cron_jobs([("file", document)], "", ""):
        assert job.problem or job.document["executor"] == "shell"
