"""Runs with a directory of their own: where they begin, what their environment is, the data they return."""

from __future__ import annotations

import asyncio
import os
import pwd
import time

import pytest

from dkronpy.model.execution import State
from dkronpy.model.run import Ended, RunSpec, Started
from dkronpy.runner.directories import KEPT
from tests.integration.runner.conftest import Agent

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def order(
    command: str, job: str = "dir", group: int = 5, trigger: dict[str, str] | None = None, **config: str
) -> RunSpec:
    config = {"command": command, "shell": "true", "clean_env": "true", "run_dir": "true"} | config
    return RunSpec(job, group, 1, "n/1", "shell", config, {"JOB_NAME": "My Job"}, trigger or {})


async def ended(agent: Agent, spec: RunSpec) -> Ended:
    assert await agent.runner.start([spec]) == {}
    return await agent.end(spec.key)


async def test_a_clean_environment_in_a_directory_of_its_own(agent: Agent):
    before = time.time()
    run = await ended(agent, order("pwd; env", append_run="true", jenkins_env="true"))
    where, *lines = run.tail.decode().splitlines()
    env = dict(line.split("=", 1) for line in lines)
    data = agent.spool.parent
    assert where == env["RUN_DIR"] == env["PWD"] == env["WORKSPACE"] == str(data / "runs/dir/5-1-n%2F1")
    assert not os.path.exists(where), "it was empty"  # noqa: ASYNC240
    assert before <= float(env.pop("START_TIME")) <= time.time()
    me = pwd.getpwuid(os.getuid())
    assert {k: env[k] for k in ("HOME", "LOGNAME", "PATH")} == {
        "HOME": me.pw_dir,
        "LOGNAME": me.pw_name,
        "PATH": os.environ["PATH"],
    }
    assert (env["JOB_DIR"], env["DATA_DIR"]) == (str(data / "runs/dir"), str(data))
    assert (env["BUILD_ID"], env["BUILD_URL"], env["NODE_NAME"]) == (
        "5-1-n/1",
        f"file://{where.replace('%', '%25')}/",
        "n/1",
    )
    assert set(env) - {"SHLVL", "_", "OLDPWD", "DKRON_RUN"} == {
        *("CI", "PWD", "RUN_DIR", "JOB_DIR", "DATA_DIR", "JOB_NAME", "HOME", "LOGNAME", "PATH"),
        *("BUILD_NUMBER", "BUILD_ID", "BUILD_URL", "BUILD_TAG", "NODE_NAME", "JENKINS_URL", "EXECUTOR_NUMBER"),
        "WORKSPACE",
    }


async def test_the_run_is_appended_to_its_command(agent: Agent):
    run = await ended(agent, order("/bin/echo 'a b' c", shell="", append_run="true"))
    assert run.tail == b"a b c My Job 5-1-n/1\n"


async def test_the_last_who_gives_a_pwd_says_where_it_begins(agent: Agent):
    script = 'pwd; echo "$PWD $X"'
    job = '{"PWD": "/usr", "X": "a,B=c"}'
    assert (await ended(agent, order(script, group=1, env=job))).tail == b"/usr\n/usr a,B=c\n"
    assert (await ended(agent, order(script, group=2, env=job, trigger={"PWD": "/etc"}))).tail == b"/etc\n/etc a,B=c\n"
    assert (await ended(agent, order(script, group=3, env=job, cwd="/bin/.."))).tail.endswith(b" a,B=c\n")
    nowhere = await ended(agent, order('pwd; [ "$(pwd)" = "$PWD" ]', group=4, trigger={"PWD": "/no/such"}))
    assert nowhere.tail.endswith(b"/runs/dir/4-1-n%2F1\n")
    assert nowhere.state is State.SUCCESS


RETURNED = [
    ("echo '{\"rows\": 5}' > return_data.json; echo a: 1 > return_data.yaml", '{"rows":5}', ""),
    ("echo 'rows: [1, 2]' > return_data.yaml", '{"rows":[1,2]}', ""),
    ("echo '{' > return_data.json", "", "return_data.json is not kept: Input data was truncated"),
    ("printf 'a: 1\\na: 2' > return_data.yaml", "", "line 2, column 1: the key 'a' is given twice"),
    ("head -c 9000 /dev/zero > return_data.json", "", "it is larger than 8000 bytes"),
    ("ln -s /etc/passwd return_data.json", "", "return_data.json can't be read: Too many levels"),
    ("mkfifo return_data.json", "", "it is no plain file"),
    ("mkdir return_data.json", "", "it is no plain file"),
    ("printf '\\377' > return_data.json", "", "return_data.json is not kept"),
    ("chmod 000 . && cd / && rmdir $RUN_DIR", "", ""),
]


async def test_data_that_a_run_returns(agent: Agent):
    for group, (script, data, problem) in enumerate(RETURNED, 1):
        run = await ended(agent, order(script, group=group))
        assert (run.state, run.data) == (State.SUCCESS, data), script
        assert problem in run.error
        assert bool(run.error) == bool(problem)


async def test_data_survives_the_runner(agent: Agent):
    run = await ended(agent, order("echo '[1]' > return_data.json"))
    await agent.kill_runner()
    await agent.connect()
    assert agent.status(run.key).ended == run


async def test_the_newest_directories_are_kept_and_those_that_are_in_use(agent: Agent):
    runs = agent.spool.parent / "runs/dir"
    old = order("touch x; sleep 60", group=3)
    assert await agent.runner.start([old]) == {}
    await agent.until(lambda: agent.heard(Started, old.key))
    for number in range(100, 100 + KEPT):
        (runs / f"{number}-1-n").mkdir()
        (runs / f"{number}-1-n" / "file").touch()
    (runs / "99-1-n" / "deep").mkdir(parents=True)
    await ended(agent, order("touch x", group=10**18))
    until = asyncio.get_running_loop().time() + 20
    while (runs / "100-1-n").exists() or (runs / "99-1-n").exists():
        assert asyncio.get_running_loop().time() < until
        await asyncio.sleep(0.02)
    assert len(os.listdir(runs)) == KEPT + 1
    assert (runs / "3-1-n%2F1" / "x").exists()
    await agent.runner.kill(old.key, force=True)


@root
async def test_the_directory_belongs_to_the_user_that_the_run_is(agent: Agent):
    run = await ended(agent, order("stat -c %U .; echo 1 > return_data.json", su="nobody"))
    assert (run.tail, run.data) == (b"nobody\n", "1")
