"""Runs outlive their agent and their runner; nothing starts twice, nothing runs for ever."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dkronpy.model.execution import State
from dkronpy.model.run import Ended, Grown, Started
from dkronpy.runner.client import RunnerClient, RunnerError
from dkronpy.runner.journal import Journal, Spawned
from dkronpy.runner.protocol import LONGEST
from dkronpy.runner.spool import run_id
from tests.integration.runner.conftest import Agent, alive, fifo, pidfd, release, until

KERNEL_TELLS = tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 15)
"""Whether the exit code of a process is known to others than its parent."""


def counting(agent: Agent) -> str:
    """The command of a run that writes on and on, until it is told to end."""
    wanted = f"[ ! -e {agent.spool}/enough ]"
    return f"i=0; while {wanted}; do i=$((i + 1)); echo line $i; sleep 0.05; done; echo end; exit 7"


def enough(agent: Agent) -> None:
    (agent.spool / "enough").touch()


def counted(output: bytes) -> bytes:
    """What it must have written, when this is what is known of it."""
    return b"".join(b"line %d\n" % i for i in range(1, output.count(b"\n"))) + b"end\n"


def expected_of_stranger(code: int) -> tuple[State, int | None]:
    if not KERNEL_TELLS:
        return State.LOST, None
    return (State.FAILED if code else State.SUCCESS), code


async def test_a_run_goes_on_while_no_agent_is_there(agent: Agent):
    key = await agent.start(counting(agent))
    await agent.until(lambda: agent.heard(Grown, key))
    first = agent.runner.pid
    await agent.runner.close()
    await agent.connect()
    assert agent.runner.pid == first
    known = agent.status(key)
    assert known.started == agent.heard(Started, key)[0].at
    assert known.ended is None
    assert known.size > 0
    enough(agent)
    ended = await agent.end(key)
    assert (ended.exit_code, ended.tail) == (7, counted(ended.tail))


async def test_what_ended_while_no_agent_was_there_is_known_until_acknowledged(agent: Agent):
    key = await agent.start(f"read wait < {fifo(agent)}; echo done; exit 4")
    await agent.runner.close()
    release(agent)
    await until(lambda: not alive(agent.heard(Started, key)[0].pid))
    await agent.connect()
    while (ended := agent.status(key).ended) is None:  # the runner has yet to notice
        await agent.runner.close()
        await agent.connect()
    assert (ended.exit_code, ended.tail) == (4, b"done\n")
    await agent.runner.ack([key])
    await agent.runner.close()
    await agent.connect()
    assert agent.runner.known == ()
    assert agent.runner.read(key, 0, 10) == (0, b"")


async def test_two_agents_at_a_time_both_hear(agent: Agent):
    other = Agent(agent.spool)
    await other.connect()
    key = await agent.start("echo hello")
    assert (await other.end(key)).tail == b"hello\n"
    assert (await agent.end(key)).tail == b"hello\n"
    await other.runner.close()


async def test_agents_that_come_at_once_start_one_runner(spool: Path):
    agents = [Agent(spool) for _ in range(4)]
    await asyncio.gather(*(agent.connect() for agent in agents))
    assert len({agent.runner.pid for agent in agents}) == 1
    for agent in agents[1:]:
        await agent.runner.close()
    await agents[0].clean_up()


async def test_a_killed_runners_successor_follows_the_run_to_its_end(agent: Agent):
    key = await agent.start(counting(agent))
    await agent.until(lambda: agent.heard(Grown, key))
    first = agent.runner.pid
    await agent.kill_runner()
    await agent.connect()
    assert agent.runner.pid != first
    assert agent.status(key).started == agent.heard(Started, key)[0].at
    enough(agent)
    ended = await agent.end(key)
    assert (ended.state, ended.exit_code) == expected_of_stranger(7)
    assert ended.tail == counted(ended.tail) == agent.output(key)
    assert ended.sha256
    assert len(agent.heard(Started, key)) == 1


async def test_not_a_byte_is_lost_when_the_runner_is_killed_again_and_again(agent: Agent):
    numbers = "i=0; while [ $i -lt 60 ]; do seq $((i * 10000)) $((i * 10000 + 9999)); i=$((i + 1)); done"
    key = await agent.start(f"{numbers}; read wait < {fifo(agent)}")
    for _ in range(4):
        await asyncio.sleep(0.1)
        await agent.kill_runner()
        await agent.connect()
    release(agent)
    ended = await agent.end(key)
    everything = b"".join(b"%d\n" % number for number in range(600_000))
    assert ended.size == len(everything)
    assert everything.endswith(agent.output(key))


async def test_what_ended_while_no_runner_was_there_is_lost_with_its_output(agent: Agent):
    key = await agent.start(f"echo before; read wait < {fifo(agent)}; exit 3")
    await agent.until(lambda: agent.heard(Grown, key))
    await agent.kill_runner()
    release(agent)
    process = Path(f"/proc/{agent.heard(Started, key)[0].pid}")
    await until(lambda: not process.exists())  # it is over, and reaped by whoever inherited it
    await agent.connect()
    ended = agent.status(key).ended
    assert ended is not None
    assert (ended.state, ended.exit_code, ended.tail) == (State.LOST, None, b"before\n")
    assert "runner died" in ended.error


async def test_a_key_never_starts_twice(agent: Agent):
    counter = agent.spool / "counter"
    spec = agent.order(f"echo x >> {counter}")
    assert await agent.runner.start([spec, spec]) == {
        spec.key: "known already: it was started, and nothing starts twice"
    }
    await agent.end(spec.key)
    assert spec.key in await agent.runner.start([spec])
    await agent.kill_runner()
    await agent.connect()
    assert spec.key in await agent.runner.start([spec])
    await agent.runner.ack([spec.key])
    assert spec.key in await agent.runner.start([spec])
    await agent.kill_runner()
    await agent.connect()
    assert agent.runner.known == ()
    assert spec.key in await agent.runner.start([spec])
    assert counter.read_text() == "x\n"


async def test_a_process_that_was_not_written_down_is_found_by_its_mark(agent: Agent):
    """The runner died right after it started a process: its journal knows only that it would."""
    key = await agent.start(counting(agent), timeout="1h")
    await agent.until(lambda: agent.heard(Grown, key))
    await agent.kill_runner()
    journal = Journal(agent.spool / "journal")
    records = [record for record in journal.replay() if not isinstance(record, Spawned)]
    journal.compact(records, room=0)
    journal.close()
    await agent.connect()
    assert agent.status(key).started is not None
    enough(agent)
    ended = await agent.end(key)
    assert (ended.state, ended.exit_code) == expected_of_stranger(7)
    assert ended.tail == counted(ended.tail)


async def test_a_run_that_may_or_may_not_have_started_is_lost(agent: Agent):
    spec = agent.order("true")
    await agent.runner.start([spec])
    await agent.end(spec.key)
    await agent.kill_runner()
    journal = Journal(agent.spool / "journal")
    records = list(journal.replay())[:2]
    journal.compact(records, room=0)
    journal.close()
    await agent.connect()
    ended = agent.status(spec.key).ended
    assert ended is not None
    assert (ended.state, ended.started) == (State.LOST, None)
    assert spec.key in await agent.runner.start([spec])


async def test_timeout_and_grace_outlive_the_runner(agent: Agent):
    deaf = "trap 'echo deaf' TERM; echo ready; while :; do sleep 0.05; done"
    key = await agent.start(deaf, timeout="2s", kill_grace="3s")
    await agent.until(lambda: agent.heard(Grown, key))
    await agent.kill_runner()
    await agent.connect()
    await until(lambda: b"deaf" in agent.output(key))  # TERM was sent
    assert not agent.heard(Ended, key)
    await agent.kill_runner()
    await agent.connect()
    ended = await agent.end(key)
    assert ended.state is State.TIMED_OUT
    assert ended.exit_code == (137 if KERNEL_TELLS else None)
    assert 4.9 <= (ended.finished - (ended.started or 0)) / 1e9 < 20


async def test_an_adopted_run_can_be_killed(agent: Agent):
    key = await agent.start("setsid sleep 1000 & echo $!; wait")
    await agent.until(lambda: agent.heard(Grown, key))
    child = int(agent.output(key))
    await agent.kill_runner()
    await agent.connect()
    assert await agent.runner.kill(key)
    ended = await agent.end(key)
    assert (ended.state, ended.error) == (State.KILLED, "killed on request")
    await until(lambda: not alive(child))


async def test_an_adopted_run_that_changed_its_output(agent: Agent):
    """Its leader no longer has the pipe open, but a child of it does."""
    for pipe in ("go", "end"):
        os.mkfifo(agent.spool / pipe)
    child = f"read wait < {agent.spool}/go; echo child; sleep 0.5"
    key = await agent.start(f"({child}) & exec cat {agent.spool}/end > /dev/null 2>&1")
    leader = Path(f"/proc/{agent.heard(Started, key)[0].pid}")
    await until(lambda: (leader / "comm").read_text() == "cat\n")
    await agent.kill_runner()
    await agent.connect()
    (agent.spool / "go").write_text("go\n")
    await until(lambda: agent.output(key))
    (agent.spool / "end").write_text("end\n")
    assert (await agent.end(key)).tail == b"child\n"


async def test_a_torn_journal_costs_nothing_that_was_promised(agent: Agent):
    kept = await agent.start("echo kept; exit 5")
    await agent.end(kept)
    going = await agent.start(counting(agent))
    await agent.kill_runner()
    journal = Journal(agent.spool / "journal")
    list(journal.replay())
    end = journal._end
    journal.close()
    with (agent.spool / "journal").open("r+b") as file:
        file.seek(end)
        file.write(b"\0\0\0\x40torn" + os.urandom(30))
    await agent.connect()
    ended = agent.status(kept).ended
    assert ended is not None
    assert (ended.exit_code, ended.tail) == (5, b"kept\n")
    enough(agent)
    last = (await agent.end(going)).tail
    assert last == counted(last)
    assert (await agent.run("echo more")).tail == b"more\n"


async def test_output_of_acknowledged_runs_is_deleted_also_after_a_crash(agent: Agent):
    directory = agent.spool / "out" / run_id(("job", 1, 1, "gone"))
    directory.mkdir()
    (directory / "0").write_bytes(b"left")
    await agent.kill_runner()
    await agent.connect()
    assert not directory.exists()


async def test_the_runner_ends_when_nobody_needs_it(agent: Agent):
    key = await agent.start("sleep 0.2")
    pid = agent.runner.pid
    with pidfd(pid) as ended:
        await agent.runner.close()
        await asyncio.sleep(3)
        assert alive(pid), "the run is not acknowledged"
        await agent.connect()
        assert agent.runner.pid == pid
        await agent.runner.ack([key])
        assert not agent.lost.is_set()
        await agent.runner.close()
        await ended()
    assert not (agent.spool / "runner.sock").exists()
    spool = agent.runner.spool
    await agent.connect()
    assert (agent.runner.spool, agent.runner.known) == (spool, ())


async def test_told_to_end_the_runner_waits_for_its_runs(agent: Agent):
    key = await agent.start("sleep 0.5; exit 9")
    pid = agent.runner.pid
    with pidfd(pid) as runner_ended:
        os.kill(pid, signal.SIGTERM)
        refused = agent.order("true")
        await until_refusing(agent)
        assert "told to end" in (await agent.runner.start([refused]))[refused.key]
        assert (await agent.end(key)).exit_code == 9
        assert alive(pid)
        await agent.runner.ack([key])
        await runner_ended()
    await asyncio.wait_for(agent.lost.wait(), 30)
    await agent.connect()
    assert await agent.runner.start([refused]) == {}
    await agent.end(refused.key)


async def until_refusing(agent: Agent) -> None:
    async with asyncio.timeout(30):
        while True:
            probe = agent.order("true")
            if probe.key in await agent.runner.start([probe]):
                return
            await agent.end(probe.key)
            await agent.runner.ack([probe.key])


async def test_told_twice_it_leaves_its_runs_to_a_successor(agent: Agent):
    key = await agent.start(counting(agent))
    await agent.until(lambda: agent.heard(Grown, key))
    pid = agent.runner.pid
    with pidfd(pid) as ended:
        os.kill(pid, signal.SIGTERM)
        await until_refusing(agent)
        os.kill(pid, signal.SIGTERM)
        await ended()
    await agent.connect()
    enough(agent)
    last = await agent.end(key)
    assert (last.state, last.exit_code) == expected_of_stranger(7)
    assert last.tail == counted(last.tail)


async def test_calls_fail_when_the_runner_is_gone(agent: Agent):
    await agent.kill_runner()
    for call in (agent.runner.start([agent.order("true")]), agent.runner.kill(("a", 1, 1, "n")), agent.runner.ack([])):
        with pytest.raises(ConnectionError, match="the runner is gone"):
            await call


@pytest.mark.parametrize(
    ("garbage", "answer"),
    [
        (os.urandom(4096), b""),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
        ((LONGEST + 1).to_bytes(4, "big") + b"x", b""),
        (b"\0\0\0\x05\x92\xa3ack\x01", b""),
        (b"\0\0\0\x08\x93\xa4kill\x01\xc0", b""),
        (b"\0\0\0\x09\x92\xa5hello\x91\x63", b"speaks none of the protocol versions (99,)"),
        (b"\0\0\0\x0a\x92\xa5hello\x91\xa1x", b""),
        (b"\0\0", b""),
    ],
)
async def test_garbage_on_the_socket_hurts_nobody(agent: Agent, garbage: bytes, answer: bytes):
    directory = os.open(agent.spool, os.O_PATH)
    reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{directory}/runner.sock")
    os.close(directory)
    writer.write(garbage)
    writer.write_eof()
    said = b""
    try:
        said = await asyncio.wait_for(reader.read(), 30)
    except ConnectionResetError:
        pass
    finally:
        writer.close()
    assert answer in said
    assert bool(answer) == bool(said)
    assert (await agent.run("echo fine")).tail == b"fine\n"


async def test_a_newer_agent_speaks_the_versions_both_know(agent: Agent, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dkronpy.runner.client.VERSIONS", (1, 2, 3))
    newer = Agent(agent.spool)
    await newer.connect()
    assert (await newer.run("echo old")).tail == b"old\n"
    await newer.runner.close()
    monkeypatch.setattr("dkronpy.runner.client.VERSIONS", (2, 3))
    with pytest.raises(RunnerError, match="speaks none of the protocol versions"):
        await RunnerClient.connect(agent.spool, lambda _: None, lambda: None)


async def test_a_runner_that_cannot_start_says_why(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunnerError, match="Not a directory"):
        await RunnerClient.connect(tmp_path / "file" / "spool", lambda _: None, lambda: None)
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "id").write_text("1234\n")
    (spool / "journal").write_text("this is a letter")
    with pytest.raises(RunnerError, match="is not a journal"):
        await RunnerClient.connect(spool, lambda _: None, lambda: None)


async def test_a_second_runner_is_refused(agent: Agent):
    second = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dkronpy.runner", "--spool", str(agent.spool), stderr=subprocess.PIPE
    )
    _, said = await second.communicate()
    assert second.returncode == 3
    assert b"another runner has the spool" in said
    assert (await agent.run("echo fine")).tail == b"fine\n"


async def test_an_idle_runner_is_small_and_sleeps(agent: Agent):
    await agent.run("echo hello")
    runner = psutil.Process(agent.runner.pid)
    assert runner.memory_info().rss <= 30 << 20

    async def switches() -> int:
        before = runner.num_ctx_switches().voluntary
        await asyncio.sleep(1)
        return runner.num_ctx_switches().voluntary - before

    async with asyncio.timeout(60):
        while await switches() > 2:  # it has yet to finish with the run
            pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "none", path], check=True)
    yield path
    subprocess.run(["umount", "-l", path], check=True)


async def test_out_of_file_descriptors_runs_fail_and_the_runner_lives(agent: Agent):
    runner = psutil.Process(agent.runner.pid)
    limit = runner.rlimit(psutil.RLIMIT_NOFILE)
    for free in (0, 1, 2):
        runner.rlimit(psutil.RLIMIT_NOFILE, (runner.num_fds() + free, limit[1]))
        ended = await agent.run("echo hello")
        assert ended.state is State.FAILED
        assert "Too many open files" in ended.error
    runner.rlimit(psutil.RLIMIT_NOFILE, limit)
    assert (await agent.run("ulimit -n")).tail.strip().decode() in {str(os.sysconf("SC_OPEN_MAX")), "unlimited"}


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


async def test_on_a_full_disk_starts_are_refused_and_the_runner_lives(small_disk: Path):
    agent = Agent(small_disk / "spool")
    await agent.connect()
    try:
        going = await agent.start(f"read wait < {fifo(agent)}; echo late; exit 6")
        filler = small_disk / "filler"
        fill(filler)
        many = [agent.order("true") for _ in range(260)]
        refused = await agent.runner.start(many)
        assert set(refused) == {spec.key for spec in many}
        assert all("No space left on device" in reason for reason in refused.values())
        release(agent)
        ended = await agent.end(going)
        assert (ended.exit_code, ended.tail) == (6, b"late\n")
        assert "output from byte 0 on was not kept" in ended.error
        await agent.kill_runner()
        await agent.connect()
        again = agent.status(going).ended
        assert again is not None
        assert (again.exit_code, again.size) == (6, 5)
        filler.unlink()
        assert await agent.runner.start(many) == {}
        for spec in many:
            assert (await agent.end(spec.key)).state is State.SUCCESS
    finally:
        await agent.clean_up()


async def test_the_journal_is_compacted_and_still_knows(agent: Agent, monkeypatch: pytest.MonkeyPatch):
    """A run that goes on, one not acknowledged, and the memory of others outlive many records and a restart."""
    going = await agent.start("sleep 4; exit 8")
    waiting = await agent.start("exit 2")
    await agent.end(waiting)
    journal = agent.spool / "journal"
    done = []
    inode = journal.stat().st_ino
    begun = time.monotonic()
    while journal.stat().st_ino == inode:
        assert time.monotonic() - begun < 100
        batch = [agent.order(executor="x" * 80, kind="unknown") for _ in range(500)]
        assert await agent.runner.start(batch) == {}
        for spec in batch:
            await agent.end(spec.key)
        await agent.runner.ack([spec.key for spec in batch])
        agent.events = [event for event in agent.events if event.key in (going, waiting)]
        done += batch
    await agent.kill_runner()
    await agent.connect()
    assert {run.key for run in agent.runner.known} == {going, waiting}
    assert len(await agent.runner.start([done[0], done[-1]])) == 2
    assert (await agent.end(going)).state in {State.FAILED, State.LOST}
