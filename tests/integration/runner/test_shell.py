"""Executor `shell` with real processes: how runs end, what they see, what they write, what is left of them."""

from __future__ import annotations

import base64
import hashlib
import os
import pwd
import signal
from pathlib import Path

import pytest

from dkronpy.model.execution import State
from dkronpy.model.run import Grown, RunSpec, Started
from tests.integration.runner.conftest import Agent, alive, fifo, release, until

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.mark.parametrize(
    ("command", "state", "code", "error"),
    [
        ("exit 0", State.SUCCESS, 0, ""),
        ("exit 1", State.FAILED, 1, ""),
        ("exit 200", State.FAILED, 200, ""),
        ("kill -9 $$", State.FAILED, 137, "SIGKILL"),
        ("kill -SEGV $$", State.FAILED, 139, "SIGSEGV"),
        ("kill -PIPE $$", State.FAILED, 141, "SIGPIPE"),
        ("kill -40 $$", State.FAILED, 168, "signal 40"),
    ],
)
async def test_exit_codes_and_signals(agent: Agent, command: str, state: State, code: int, error: str):
    ended = await agent.run(command)
    assert (ended.state, ended.exit_code) == (state, code)
    assert error in ended.error
    assert bool(ended.error) == bool(error)


async def test_what_an_end_tells(agent: Agent):
    key = await agent.start("echo out; echo err >&2; printf end")
    ended = await agent.end(key)
    (started,) = agent.heard(Started, key)
    assert started.pid > 0
    assert ended.started == started.at <= ended.finished
    assert ended.tail == b"out\nerr\nend" == agent.output(key)
    assert (ended.tail_start, ended.size) == (0, 11)
    assert ended.sha256 == hashlib.sha256(ended.tail).hexdigest()


async def test_output_of_5_mb_is_exact_but_for_the_oldest(agent: Agent):
    key = await agent.start("head -c 5000000 /dev/zero | tr '\\0' x; seq 1 200000")
    ended = await agent.end(key)
    everything = b"x" * 5_000_000 + b"".join(b"%d\n" % n for n in range(1, 200_001))
    assert ended.size == len(everything)
    assert ended.sha256 == hashlib.sha256(everything).hexdigest()
    assert (ended.tail, ended.tail_start) == (b"", ended.size)
    kept = agent.output(key)
    assert 1 << 20 <= len(kept) <= 2 << 20
    assert everything.endswith(kept)
    assert sum(file.stat().st_size for file in (agent.spool / "out").glob("*/*")) == len(kept)


async def test_streams_are_interleaved_as_written(agent: Agent):
    ended = await agent.run("for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done")
    assert ended.tail.decode().split("\n")[:-1] == [f"{stream} {i}" for i in range(1, 6) for stream in ("out", "err")]


async def test_growing_output_is_told_of_and_can_be_read_meanwhile(agent: Agent):
    key = await agent.start("echo first; read wait < $FIFO; echo second", env=f"FIFO={fifo(agent)}")
    await agent.until(lambda: agent.heard(Grown, key))
    assert agent.output(key) == b"first\n"
    assert agent.runner.read(key, 2, 2) == (2, b"rs")
    assert agent.runner.read(key, 6, 10) == (6, b"")
    release(agent)
    assert (await agent.end(key)).tail == b"first\nsecond\n"


async def test_one_that_writes_much_is_told_of_seldom(agent: Agent):
    key = await agent.start("yes | head -c 300000000 > /dev/stderr")
    ended = await agent.end(key, within=60)
    assert ended.size == 300_000_000
    told = agent.heard(Grown, key)
    assert len(told) <= 4 * (ended.finished - (ended.started or 0)) / 1e9 + 2


async def test_opening_the_output_anew_does_not_cut_it(agent: Agent):
    ended = await agent.run("echo a; echo b | tee /dev/stderr; echo c > /dev/stdout; echo d")
    assert ended.tail == b"a\nb\nb\nc\nd\n"


async def test_a_grandchild_that_keeps_the_output_open_does_not_keep_the_run_open(agent: Agent):
    pid_file = agent.spool / "pid"
    key = await agent.start(f"sleep 1000 & echo $! > {pid_file}; echo done")
    ended = await agent.end(key)
    left = int(pid_file.read_text())
    try:
        assert ended.state is State.SUCCESS
        assert ended.tail.endswith(b"done\n")
        assert alive(left)
    finally:
        os.kill(left, signal.SIGKILL)
    await until(lambda: not Path(f"/proc/{left}").exists())  # reaped by the runner, which inherited it


async def test_what_a_grandchild_writes_later_does_not_block_it(agent: Agent):
    done = agent.spool / "done"
    await agent.run(f"(sleep 0.3; head -c 500000 /dev/zero; touch {done}) &")
    await until(done.exists)


async def test_a_direct_command_is_split_and_found_in_the_path(agent: Agent):
    ended = await agent.run(executor="shell", command="printf '%s|' 'a b' $HOME c\\ d")
    assert ended.tail == b"a b|$HOME|c d|"


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ({"command": "no-such-command-here"}, 127, "is in no directory of PATH; if a shell is to read"),
        ({"command": "/no/such/file x"}, 127, "command not found: '/no/such/file'"),
        ({"command": "/etc/passwd"}, 126, "Permission denied"),
        ({"command": "/tmp"}, 126, "cannot execute"),
        ({"command": "{spool}/no-interpreter"}, 126, "the interpreter it names does not exist"),
        ({"command": "{spool}/no-hash-bang"}, 126, "add a #! line to it, or set shell to true"),
        ({"command": "true", "cwd": "/no/such/directory"}, None, "cwd: cannot change to '/no/such/directory'"),
        ({"command": "true", "cwd": "/etc/passwd"}, None, "Not a directory"),
        ({"command": "true", "su": "no-such-user"}, None, "no user 'no-such-user'"),
        ({"command": "true", "su": "root:no-such-group"}, None, "no group 'no-such-group'"),
        ({"command": "true", "timeout": "soon"}, None, "executor_config.timeout"),
        ({"command": ""}, None, "executor_config.command"),
    ],
)
async def test_what_cannot_be_started_says_why(agent: Agent, config: dict[str, str], code: int | None, words: str):
    for name, text in (("no-interpreter", "#!/no/such/interpreter\n"), ("no-hash-bang", "echo hello\n")):
        (agent.spool / name).write_text(text)
        (agent.spool / name).chmod(0o755)
    config = {key: value.replace("{spool}", str(agent.spool)) for key, value in config.items()}
    ended = await agent.run(executor="shell", **config)
    assert (ended.state, ended.started, ended.exit_code) == (State.FAILED, None, code)
    assert words in ended.error
    assert ended.size == 0
    assert (await agent.run("pwd")).tail == b"/\n"


async def test_an_unknown_executor_fails_and_names_the_known_ones(agent: Agent):
    ended = await agent.run(executor="docker")
    assert ended.state is State.FAILED
    assert "http, shell" in ended.error


async def test_environment(agent: Agent):
    config = {"command": "env", "env": "A=1,2,B=x=y,C=config"}
    env = {"C": "order", "DKRON_JOB_NAME": "job"}
    spec = RunSpec("job", 1, 1, "node", "shell", config, env, {"D": "trigger", "B": "trigger"})
    await agent.runner.start([spec])
    ended = await agent.end(spec.key)
    env = dict(line.split("=", 1) for line in ended.tail.decode().splitlines())
    assert (env["A"], env["B"], env["C"], env["D"]) == ("1,2", "trigger", "config", "trigger")
    assert env["DKRON_JOB_NAME"] == "job"
    assert env["PATH"] == os.environ["PATH"]
    assert {name for name in env if name.startswith("DKRON")} == {"DKRON_JOB_NAME", "DKRON_RUN"}


async def test_our_settings_are_no_part_of_a_runs_environment(spool: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DKRON_ENCRYPT", "secret")
    monkeypatch.setenv("DKRONPY_TOKEN", "secret")
    monkeypatch.setenv("OTHER", "visible")
    agent = Agent(spool)
    await agent.connect()
    try:
        ended = await agent.run("env; tr '\\0' '\\n' < /proc/$PPID/environ")
        assert b"OTHER=visible" in ended.tail
        assert b"secret" not in ended.tail
    finally:
        await agent.clean_up()


async def test_working_directory(agent: Agent):
    assert (await agent.run("pwd", cwd="/usr")).tail == b"/usr\n"
    assert (await agent.run("pwd")).tail == b"/\n"


async def test_no_input_without_a_payload(agent: Agent):
    assert (await agent.run("cat; readlink /proc/self/fd/0")).tail == b"/dev/null\n"


async def test_a_payload_of_1_mb_is_the_input(agent: Agent):
    payload = os.urandom(1 << 20)
    ended = await agent.run("sha256sum; cat", payload=base64.b64encode(payload).decode())
    assert ended.tail.split()[0].decode() == hashlib.sha256(payload).hexdigest()
    ignored = await agent.run("echo no interest", payload=base64.b64encode(payload).decode())
    assert ignored.tail == b"no interest\n"


@root
async def test_as_another_user(agent: Agent):
    nobody = pwd.getpwnam("nobody")
    script = (
        "id -u; id -g; id -G; echo $HOME $USER; echo again > /dev/stdout; touch /root/x 2>/dev/null || echo refused"
    )
    ended = await agent.run(script, su="nobody")
    gid = str(nobody.pw_gid)
    lines = [str(nobody.pw_uid), gid, gid, f"{nobody.pw_dir} nobody", "again", "refused"]
    assert ended.tail.decode().splitlines() == lines
    other = await agent.run("id -u; id -g", su=f"nobody:{pwd.getpwnam('daemon').pw_gid}")
    assert other.tail.decode().split() == [str(nobody.pw_uid), str(pwd.getpwnam("daemon").pw_gid)]
    missing = await agent.run(executor="shell", su="nobody", command="/no/such/file")
    assert missing.exit_code == 127


async def test_files_and_signals_are_a_fresh_processs_own(agent: Agent):
    script = "ls /proc/self/fd; grep -E '^Sig(Ign|Blk)' /proc/self/status; ps -o sid= -p $$; echo $$"
    ended = await agent.run(script)
    lines = ended.tail.decode().split("\n")
    assert lines[:4] == ["0", "1", "2", "3"]  # the last is that of ls itself
    ignored = {line.split()[0]: int(line.split()[1], 16) for line in lines if line.startswith("Sig")}
    of_the_c_library = 3 << 31
    assert (ignored["SigBlk:"], ignored["SigIgn:"] & ~of_the_c_library) == (0, 0)
    assert lines[-3].strip() == lines[-2].strip()


async def test_a_timeout_ends_grandchildren_too(agent: Agent):
    pids = agent.spool / "pids"
    ended = await agent.run(
        f"sleep 1000 & echo $! >> {pids}; (setsid sleep 1000 & echo $! >> {pids}); "
        f"setsid sh -c 'echo $$ >> {pids}; exec sleep 1000' & wait",
        timeout="1500ms",
    )
    assert (ended.state, ended.exit_code) == (State.TIMED_OUT, 143)
    assert "timeout of 1.5s" in ended.error
    assert 1.4 <= (ended.finished - (ended.started or 0)) / 1e9 < 30
    left = [int(pid) for pid in pids.read_text().split()]
    assert len(left) == 3
    await until(lambda: not any(map(alive, left)))


async def test_one_that_ignores_term_is_killed_after_the_grace(agent: Agent):
    key = await agent.start("trap '' TERM; echo ready; while :; do sleep 0.05; done", kill_grace="600ms")
    await agent.until(lambda: agent.heard(Grown, key))
    assert await agent.runner.kill(key)
    assert await agent.runner.kill(key)
    ended = await agent.end(key)
    assert (ended.state, ended.exit_code) == (State.KILLED, 137)
    assert ended.error == "killed on request"
    assert not await agent.runner.kill(key)


async def test_one_that_cleans_up_after_term_has_the_grace_for_it(agent: Agent):
    key = await agent.start("trap 'sleep 0.3; echo cleaned; exit 5' TERM; echo ready; sleep 1000 & wait")
    await agent.until(lambda: agent.heard(Grown, key))
    await agent.runner.kill(key)
    ended = await agent.end(key)
    assert (ended.state, ended.exit_code, ended.tail) == (State.KILLED, 5, b"ready\ncleaned\n")


async def test_what_a_killed_run_left_has_the_grace_too(agent: Agent):
    """The leader dies of TERM at once; its child takes a moment, and is waited for."""
    child = "trap 'sleep 0.3; echo cleaned; exit' TERM; echo ready; while :; do sleep 0.02; done"
    key = await agent.start(f'sh -c "{child}" & wait', kill_grace="90s")
    await agent.until(lambda: agent.heard(Grown, key))
    await agent.runner.kill(key)
    ended = await agent.end(key)
    assert (ended.state, ended.exit_code) == (State.KILLED, 143)
    assert ended.tail.endswith(b"cleaned\n")


async def test_killing_what_is_not_there(agent: Agent):
    assert not await agent.runner.kill(("job", 10**18, 1, "node"))


async def test_one_killed_before_it_began_never_begins(agent: Agent):
    specs = [agent.order("sleep 60; exit 3") for _ in range(60)]
    await agent.runner.start(specs)
    assert await agent.runner.kill(specs[-1].key)
    ended = await agent.end(specs[-1].key)
    assert (ended.state, ended.exit_code) == (State.KILLED, None if ended.started is None else 143)
    for spec in specs[:-1]:
        await agent.runner.kill(spec.key)


async def test_more_memory_than_allowed_ends_the_run(agent: Agent):
    hog = "x = bytearray(120 << 20); import time; print('full', flush=True); time.sleep(1000)"
    pid_file = agent.spool / "pid"
    ended = await agent.run(f'setsid python3 -c "{hog}" & echo $! > {pid_file}; wait', mem_limit="60MB")
    assert (ended.state, ended.exit_code) == (State.KILLED, 137)
    assert "mem_limit of 61440 KiB" in ended.error
    await until(lambda: not alive(int(pid_file.read_text())))


async def test_less_memory_than_allowed_does_not(agent: Agent):
    assert (await agent.run("sleep 1.5", mem_limit="60MB")).state is State.SUCCESS


async def test_two_hundred_runs_at_once(agent: Agent):
    specs = [agent.order(f"echo {number}; exit {number % 2}") for number in range(200)]
    assert await agent.runner.start(specs) == {}
    for number, spec in enumerate(specs):
        ended = await agent.end(spec.key)
        assert (ended.exit_code, ended.tail) == (number % 2, b"%d\n" % number)
    await agent.runner.ack([spec.key for spec in specs])
    assert not os.listdir(agent.spool / "out")
