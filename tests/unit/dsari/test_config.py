"""dsari's configuration: how its files are merged, what it says, what jobs it makes, what is refused where."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dkronpy.dsari.config import parse
from dkronpy.dsari.jobs import checked, documents
from dkronpy.dsari.problems import ConfigRefused
from dkronpy.dsari.reading import default_directory, read, signature
from dkronpy.model.executors import ShellConfig
from dkronpy.model.executors import parse as parse_executor
from dkronpy.model.job import Concurrency, Hash, Job

Files = dict[str, str | dict[str, Any]]


def write(directory: Path, files: Files) -> Path:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return directory


def jobs_of(directory: Path) -> dict[str, Job]:
    found = documents(parse(read(directory)))
    return checked(found, "/dir", now=0, old=lambda _: None, calendars=None)


def jobs(tmp_path: Path, config: str | dict[str, Any]) -> dict[str, Job]:
    return jobs_of(write(tmp_path, {"dsari.yaml": config}))


def shell(job: Job) -> ShellConfig:
    config = parse_executor(job.executor, job.executor_config)
    assert isinstance(config, ShellConfig)
    return config


def refused(tmp_path: Path, files: Files) -> list[str]:
    with pytest.raises(ConfigRefused) as caught:
        jobs_of(write(tmp_path, files))
    return [str(problem) for problem in caught.value.problems]


def warnings(tmp_path: Path, config: str) -> list[str]:
    return [str(warning) for warning in parse(read(write(tmp_path, {"dsari.yaml": config}))).warnings]


# ---- files


def test_files_are_merged_as_dsari_does(tmp_path: Path):
    write(
        tmp_path,
        {
            "dsari.yaml": "jobs: {a: {command: [one], environment: {X: 1, Y: 1}, schedule: H * * * *}}\n"
            "environment: {Z: 1}",
            "dsari.json": {"jobs": {"a": {"environment": {"X": 2}}, "b": {"command": "two words"}}},
            "config.d/20.yaml": "jobs: {a: {command: [three, 3]}}",
            "config.d/10.yaml": "jobs: {a: {command: [never]}}",
            "config.d/00.json": {"jobs": {"a": {"max_execution": 5}}},
            "config.d/30.yml": "not read: [",
            "config.d/empty.yaml": "",
        },
    )
    merged = read(tmp_path)
    assert merged.files == (
        *(
            "dsari.yaml",
            "dsari.json",
            "config.d/10.yaml",
            "config.d/20.yaml",
            "config.d/empty.yaml",
            "config.d/00.json",
        ),
    )
    assert merged.values == {
        "environment": {"Z": 1},
        "jobs": {
            "a": {
                "command": ["three", 3],
                "environment": {"X": 2, "Y": 1},
                "schedule": "H * * * *",
                "max_execution": 5,
            },
            "b": {"command": "two words"},
        },
    }
    assert merged.places["jobs", "a"] == "config.d/00.json"
    assert merged.places["jobs", "b"] == "dsari.json"
    found = jobs_of(tmp_path)
    assert shell(found["a"]).argv == ("three", "3")
    assert shell(found["a"]).env == {"Z": "1", "X": "2", "Y": "1"}


def test_config_d_may_be_elsewhere(tmp_path: Path):
    write(tmp_path, {"etc/dsari.json": {"config_d": "../more"}, "more/a.yaml": "jobs: {a: {command: a}}"})
    merged = read(tmp_path / "etc")
    assert list(merged.values["jobs"]) == ["a"]
    assert "more/a.yaml" in merged.files[1]


def test_the_same_content_is_the_same_to_every_server(tmp_path: Path):
    files: Files = {"dsari.yaml": "jobs: {a: {command: a}}", "config.d/b.yaml": "jobs: {b: {command: b}}"}
    one, other = write(tmp_path / "one", files), write(tmp_path / "other", files)
    assert read(one).digest == read(other).digest
    before = signature(one)
    assert signature(one) == before
    os.rename(one / "config.d/b.yaml", one / "config.d/c.yaml")
    assert read(one).digest != read(other).digest
    os.utime(one / "config.d", ns=(0, 2**62))
    assert read(one).newest == 2**62
    assert signature(one) != before


def test_where_dsari_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_directory() in (tmp_path / ".dsari", Path("/etc/dsari"), Path("/usr/local/etc/dsari"))
    write(tmp_path, {".dsari/etc/dsari.yaml": ""})
    assert default_directory() == tmp_path / ".dsari/etc"
    monkeypatch.setenv("DSARI_HOME", "/opt/dsari")
    assert default_directory() == Path("/opt/dsari/etc")


# ---- meaning


def test_a_job_with_everything(tmp_path: Path):
    job = jobs(
        tmp_path,
        """
        environment: {MAILTO: ops, LEVEL: 1}
        shutdown_kill_runs: true
        jobs:
          Nightly Report:
            command: [report, "two words", "it's", "", "--n", 3, 1.5]
            command_append_run: true
            schedule: H H(0-2) * * * 30
            schedule_timezone: Europe/Berlin
            environment: {LEVEL: 2.5, LIST: "a,B=c"}
            max_execution: 90.5
            max_execution_grace: 5
            concurrency_groups: [db, "my disks", db]
            job_group: reports
            jenkins_environment: true
            render_reports: false
        concurrency_groups: {db: {max: 3}, unused: {}}
        """,
    )["nightly-report"]
    assert (job.displayname, job.hash_id, job.hash, job.source) == (
        "Nightly Report",
        "Nightly Report",
        Hash.DSARI,
        "/dir",
    )
    assert (job.schedule, job.timezone) == ("H H(0-2) * * * 30", "Europe/Berlin")
    assert (job.concurrency, job.concurrency_groups) == (Concurrency.QUEUE_NEWEST, ("db", "my disks"))
    assert (job.metadata, job.tags) == ({"job_group": "reports"}, {"dkron_server": "true:1"})
    config = shell(job)
    assert config.argv == ("report", "two words", "it's", "", "--n", "3", "1.5")
    assert config.env == {"MAILTO": "ops", "LEVEL": "2.5", "LIST": "a,B=c"}
    assert (config.timeout, config.grace) == (90_500_000_000, 5_000_000_000)
    assert config.clean_env
    assert config.run_dir
    assert config.append_run
    assert config.jenkins_env
    assert job.executor_config["kill_on_shutdown"] == "true"
    assert parse(read(tmp_path)).groups == {"db": 3, "unused": 1}


def test_a_job_with_nothing(tmp_path: Path):
    job = jobs(tmp_path, "jobs: {a: {command: 'sleep \"1 2\"', concurrent_runs: true}}")["a"]
    assert (job.schedule, job.concurrency, job.hash_id, job.displayname) == ("@manually", Concurrency.ALLOW, "", "")
    assert job.executor_config == {
        "command": "sleep '1 2'",
        "kill_grace": "1m",
        "clean_env": "true",
        "run_dir": "true",
    }


def test_job_groups(tmp_path: Path):
    config = """
    jobs: {a: {command: mine}, c: {command: c}}
    job_groups:
      g: {job_names: [a, b], command: theirs, environment: {X: 1}}
    """
    found = jobs(tmp_path, config)
    assert {name: (shell(job).argv, job.metadata) for name, job in found.items()} == {
        "a": (("theirs",), {"job_group": "g"}),
        "b": (("theirs",), {"job_group": "g"}),
        "c": (("c",), {}),
    }
    told = ["dsari.yaml: job_groups.g.job_names: replaces the job 'a', which dsari.yaml defines"]
    assert warnings(tmp_path, config) == told


def test_what_dkron_knows_more(tmp_path: Path):
    found = jobs(
        tmp_path,
        """
        dkron: {owner: ops, retries: 1, name: never}
        jobs:
          a: {command: a, dkron: {tags: {role: "web:2"}, retries: 3, executor_config: {mem_limit: 1GB}}}
          b: {command: b}
        """,
    )
    a, b = found["a"], found["b"]
    assert (a.owner, a.retries, a.tags, shell(a).memory, shell(a).argv) == (
        "ops",
        3,
        {"role": "web:2"},
        1 << 30,
        ("a",),
    )
    assert (b.owner, b.retries, b.tags) == ("ops", 1, {"dkron_server": "true:1"})


def test_what_nobody_reads_is_warned_of(tmp_path: Path):
    assert warnings(
        tmp_path,
        """
        data_dir: /var
        job: {}
        concurrency_groups: {db: {maximum: 3}}
        jobs: {a: {command: a, max_executoin: 5, 7: x}}
        """,
    ) == [
        "job: is not known: did you mean jobs?",
        "data_dir: means nothing here",
        "dsari.yaml: jobs.a.max_executoin: is not known: did you mean max_execution?",
        "dsari.yaml: jobs.a.7: is not known",
        "dsari.yaml: concurrency_groups.db.maximum: is not known: did you mean max?",
    ]


# ---- what is refused


@pytest.mark.parametrize(
    ("job", "told"),
    [
        ({}, "command: is missing"),
        ({"command": []}, "command: is empty"),
        ({"command": ""}, "command: is empty"),
        ({"command": "echo 'a"}, "command: can't be split into words: No closing quotation"),
        ({"command": ["a", None]}, "command: must be a text, or a list of texts and numbers"),
        ({"command": ["a", 10**400]}, "command: must be a text, or a list of texts and numbers"),
        ({"command": {"a": "b"}}, "command: must be a text, or a list of texts"),
        ({"command": ["a\0"]}, "executor_config.command: holds a NUL character: remove it"),
        ({"command": "a", "schedule": "61 * * * *"}, "schedule: minute '61'"),
        ({"command": "a", "schedule": 5}, "schedule: must be a text"),
        ({"command": "a", "schedule_timezone": "Mars/Base"}, "timezone: "),
        ({"command": "a", "concurrent_runs": "yes"}, "concurrent_runs: must be true or false"),
        ({"command": "a", "max_execution": -1}, "max_execution: must be a number of seconds from 0 to 315360000"),
        ({"command": "a", "max_execution": True}, "max_execution: must be a number of seconds"),
        ({"command": "a", "max_execution_grace": "5"}, "max_execution_grace: must be a number of seconds"),
        ({"command": "a", "concurrency_groups": "db"}, "concurrency_groups: must be a list of texts"),
        ({"command": "a", "concurrency_groups": ["a/b"]}, "concurrency_groups.0: 'a/b' is no name of a group"),
        ({"command": "a", "environment": []}, "environment: must be an object"),
        ({"command": "a", "environment": {"A=": 1}}, "environment: 'A=' is no name of a variable"),
        ({"command": "a", "environment": {"A": None}}, "environment.A: must be a text or a number"),
        ({"command": "a", "environment": {"A": "\0"}}, "environment.A: must be a text or a number"),
        ({"command": "a", "dkron": {"tags": {"role": "web:x"}}}, "tags.role: "),
        ({"command": "a", "dkron": {"retries": -1}}, "retries: "),
        ({"command": "a", "dkron": []}, "dkron: must be an object"),
        ("text", "jobs.a: must be an object"),
    ],
)
def test_a_bad_job_is_refused_with_its_place(tmp_path: Path, job: object, told: str):
    found = refused(tmp_path, {"config.d/bad.json": {"jobs": {"a": job, "good": {"command": "true"}}}})
    assert len(found) == 1
    assert found[0].startswith("config.d/bad.json: jobs.a")
    assert told in found[0]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, ["holds no dsari.yaml, dsari.json or config.d/*.yaml"]),
        ({"dsari.yaml": "a: [1"}, ["dsari.yaml: line 2, column 1: "]),
        ({"dsari.yaml": "a: 1\na: 2"}, ["dsari.yaml: line 2, column 1: the key 'a' is given twice"]),
        ({"dsari.yaml": "- 1"}, ["dsari.yaml: must hold an object"]),
        ({"dsari.json": '{"a": 1,\n}'}, ["dsari.json: line 2, column 1: "]),
        ({"dsari.json": '{"jobs": {"a": {"command": "\\ud800"}}}'}, ["dsari.json: holds '\\ud800'"]),
        ({"dsari.json": '{"\\udfff": 1}'}, ["dsari.json: holds '\\udfff'"]),
        ({"dsari.json": '{"a": NaN}'}, ["dsari.json: NaN is no JSON"]),
        ({"dsari.json": '{"a": 1, "a": 2}'}, ["dsari.json: the key 'a' is given twice"]),
        ({"dsari.json": "[" * 100_000}, ["dsari.json: lists and objects are nested too deeply"]),
        ({"dsari.json": '{"a":' * 200 + "1" + "}" * 200}, ["dsari.json: lists and objects are nested deeper than 100"]),
        (
            {"config.d/a.yaml": "\x01", "config.d/b.json": "", "dsari.yaml": "jobs: {}"},
            ["config.d/a.yaml: not YAML", "config.d/b.json: line 1, column 1"],
        ),
        ({"dsari.yaml": "jobs: []\njob_groups: 1"}, ["jobs: must be an object", "job_groups: must be an object"]),
        ({"dsari.yaml": "jobs: {a/b: {command: a}}"}, ["dsari.yaml: jobs: 'a/b' is no name"]),
        ({"dsari.yaml": "jobs: {..: {command: a}}"}, ["dsari.yaml: jobs: '..' is no name"]),
        ({"dsari.yaml": "jobs: {7: {command: a}}"}, ["dsari.yaml: jobs: '7' is no name"]),
        (
            {"dsari.yaml": "job_groups: {g: {command: a, job_names: [a/b]}}"},
            ["g.job_names: 'a/b' is no name"],
        ),
        ({"dsari.yaml": "concurrency_groups: {g: {max: 0}}"}, ["concurrency_groups.g.max: must be a whole number"]),
        (
            {"dsari.yaml": "jobs: {A b: {command: a}, a-b: {command: a}}"},
            ["dsari.yaml: jobs.a-b: 'a-b' and 'A b' would both be 'a-b' here"],
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_place(tmp_path: Path, files: Files, told: list[str]):
    found = refused(tmp_path, files)
    assert len(found) == len(told), found
    for problem, words in zip(found, told, strict=True):
        assert words in problem


def test_a_file_that_is_none(tmp_path: Path):
    os.mkfifo(tmp_path / "dsari.yaml")
    (tmp_path / "dsari.json").symlink_to("nowhere")
    (tmp_path / "config.d").write_text("")
    found = refused(tmp_path, {})
    assert found == ["dsari.yaml: is no plain file", "config.d: can't be read: Not a directory"]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["a", "H * * * *"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "jobs",
                        "job_groups",
                        "concurrency_groups",
                        "command",
                        "environment",
                        "schedule",
                        "max",
                        "job_names",
                    ),
                    *(
                        "concurrent_runs",
                        "max_execution",
                        "schedule_timezone",
                        "dkron",
                        "tags",
                        "executor_config",
                        "a",
                        "db",
                    ),
                ]
            )
            | st.text(max_size=4)
            | st.integers(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
configs = st.dictionaries(
    st.sampled_from(["jobs", "job_groups", "concurrency_groups", "environment", "dkron", "config_d"]), values
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(configs)
def test_no_value_does_anything_but_be_refused(tmp_path: Path, config: dict[Any, Any]):
    import yaml

    write(tmp_path, {"dsari.yaml": yaml.safe_dump(config)})
    with contextlib.suppress(ConfigRefused):
        jobs_of(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.binary(max_size=80), st.sampled_from(["dsari.yaml", "dsari.json"]))
def test_no_bytes_do_anything_but_be_refused(tmp_path: Path, content: bytes, name: str):
    (tmp_path / name).write_bytes(content)
    with contextlib.suppress(ConfigRefused):
        jobs_of(tmp_path)
