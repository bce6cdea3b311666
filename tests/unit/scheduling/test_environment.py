"""What a run is told of itself by the leader."""

from __future__ import annotations

import pytest

from dkronpy.model.execution import Execution, Origin, State, Trigger
from dkronpy.model.job import Hash, Job, JobState
from dkronpy.model.run import Ended
from dkronpy.scheduling.environment import automatic
from dkronpy.scheduling.groups import MAX_GROUP_DATA, Group, counted, finished, uncounted

SECOND = 1_000_000_000


def ended(number: int, state: State, at: int, *, code: int | None = 0, started: int | None = 1) -> Execution:
    return Execution(
        "a", number * SECOND, 1, "n1", state, fire=number * SECOND, started=started and (at - 1) * SECOND + SECOND // 4,
        finished=at * SECOND, exit_code=code)  # fmt: skip


def test_a_first_run():
    execution = Execution("a", 5, 2, "n1", fire=5 * SECOND + SECOND // 2, trigger=Trigger.MANUAL)
    assert automatic(Job("a", 0), execution, None, 7) == {
        "DKRON_JOB_NAME": "a",
        "DKRON_EXECUTION_ID": "5-2-n1",
        "DKRON_FIRE_TIME": "1970-01-01T00:00:05.5Z",
        "DKRON_ATTEMPT": "2",
        "DKRON_EPOCH": "7",
        "ENV_JOB_NAME": "a",
        "JOB_NAME": "a",
        "RUN_ID": "5-2-n1",
        "SCHEDULE_TIME": "5.5",
        "TRIGGER_TYPE": "manual",
    }
    origin = Origin("kim", 5, "night\0ly", "by hand\0", '{"a": 1}')
    env = automatic(Job("a", 0), Execution("a", 5, 1, "n1", trigger=Trigger.FILE, origin=origin), None, 7)
    assert {name: value for name, value in env.items() if name.startswith("TRIGGER")} == {
        "TRIGGER_TYPE": "nightly",
        "TRIGGER_BY": "kim",
        "TRIGGER_DESCRIPTION": "by hand",
        "TRIGGER_DATA": '{"a": 1}',
    }
    dsari = Job("my-job", 0, hash=Hash.DSARI, hash_id="My Job", metadata={"job_group": "reports"})
    env = automatic(dsari, Execution("my-job", 5, 1, "n1", concurrency_group="db"), JobState(), 7)
    assert {
        "DSARI": "true",
        "JOB_NAME": "My Job",
        "JOB_GROUP": "reports",
        "CONCURRENCY_GROUP": "db",
    }.items() <= env.items()


def test_earlier_runs():
    state = counted(JobState(), ended(3, State.FAILED, 10, code=3), (0, 0))
    bad = {
        "RUN_ID": "3000000000-1-n1",
        "SCHEDULE_TIME": "3.0",
        "START_TIME": "9.25",
        "STOP_TIME": "10.0",
        "EXIT_CODE": "3",
    }
    assert previous(state) == named("PREVIOUS", bad) | named("PREVIOUS_BAD", bad)
    state = counted(state, ended(5, State.SUCCESS, 12), (0, 0))
    good = bad | {
        "RUN_ID": "5000000000-1-n1",
        "SCHEDULE_TIME": "5.0",
        "START_TIME": "11.25",
        "STOP_TIME": "12.0",
        "EXIT_CODE": "0",
    }
    everything = named("PREVIOUS", good) | named("PREVIOUS_GOOD", good) | named("PREVIOUS_BAD", bad)
    assert previous(state) == everything
    assert previous(counted(state, ended(4, State.SUCCESS, 11), (0, 0))) == everything, "it is heard of late"
    lost = counted(state, ended(6, State.LOST, 13, code=None, started=None), (0, 0))
    assert previous(lost).get("PREVIOUS_STOP_TIME") == "13.0"
    assert not {"PREVIOUS_EXIT_CODE", "PREVIOUS_BAD_START_TIME"} & set(previous(lost))
    assert previous(uncounted(state, 0)) == {}


def previous(state: JobState) -> dict[str, str]:
    env = automatic(Job("a", 0), Execution("a", 5, 1, "n1"), state, 7)
    return {name: value for name, value in env.items() if name.startswith("PREVIOUS")}


def named(prefix: str, values: dict[str, str]) -> dict[str, str]:
    return {f"{prefix}_{name}": value for name, value in values.items()}


@pytest.mark.parametrize("kept", [4, 5])
def test_a_group_keeps_so_much_returned_data(kept: int):
    data = '"' + "x" * (MAX_GROUP_DATA // kept - 2) + '"'
    executions = [Execution("a", 5, 1, f"n{number}") for number in range(kept + 1)]
    group = Group(executions)
    for execution in executions:
        report = Ended(execution.key, State.SUCCESS, 1, 2, 0, "note", data=data)
        group.put(finished(execution, report, returned=group.returned))
    *first, last = group.executions.values()
    assert all((e.return_data, e.error) == (data, "note") for e in first)
    assert last.return_data == ""
    assert last.error.startswith("note; the data that it returned is not kept")
    assert group.returned == len(data) * kept <= MAX_GROUP_DATA
