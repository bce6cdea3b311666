"""What a new leader starts from: the mirror's content, and the edits of the jobs whose newest definition is not
adopted."""

from __future__ import annotations

from collections.abc import Sequence

from dkronpy.catalog.jobs import Jobs
from dkronpy.catalog.mirror import Change, Mirror
from dkronpy.model.job import Edit
from dkronpy.model.records import Cursor
from dkronpy.scheduling.board import Snapshot


async def unadopted(mirror: Mirror, jobs: Jobs) -> dict[str, Sequence[Edit]]:
    """The edits of every job that changed since its adoption, until they cover what the mirror shows.

    A job's edits are read once, and those that follow are taken from the watch: so this ends also where jobs are edited
    without pause. When it returns, no time has passed since the mirror was last compared: take the snapshot at once."""
    found: dict[str, list[Edit]] = {}
    gaps = mirror.gaps

    def changed(changes: Sequence[Change]) -> None:
        for change in changes:
            if change.kind == "edits" and change.name in found:
                _add(found[change.name], change.new)

    unsubscribe = mirror.subscribe(changed)
    try:
        while True:
            if mirror.gaps != gaps:
                gaps = mirror.gaps
                found.clear()
            missing = _missing(mirror, found)
            if not missing:
                return {name: edits for name, edits in found.items() if edits}
            for name in missing:
                later = found[name] = []
                edits = [edit for edit in await jobs.edits(name) if edit.since >= _adopted(mirror, name)]
                for edit in later:
                    _add(edits, edit)
                found[name] = edits
    finally:
        unsubscribe()


def _missing(mirror: Mirror, found: dict[str, list[Edit]]) -> list[str]:
    """The jobs whose edits have to be read; what is new with its one edit goes to `found`."""
    missing: list[str] = []
    for name, held in mirror.jobs.items():
        job, state = held.value, mirror.states.get(name)
        if job.since == (0 if state is None else state.value.adopted):
            continue
        edits = found.get(name)
        if edits and edits[-1].since >= job.since:
            continue
        if state is None and job.since == job.created:
            found[name] = [Edit(job.since, job=job)]
        else:
            missing.append(name)
    missing.extend(name for name in mirror.states if name not in mirror.jobs and name not in found)
    return missing


def _add(edits: list[Edit], edit: Edit) -> None:
    if not edits or edit.since > edits[-1].since:
        edits.append(edit)


def snapshot(mirror: Mirror, edits: dict[str, Sequence[Edit]], now: int) -> Snapshot:
    """The mirror's content as a board takes it. A store without a cursor begins now (ns)."""
    return Snapshot(
        jobs={name: held.value for name, held in mirror.jobs.items()},
        states={name: held.value for name, held in mirror.states.items()},
        executions=[held.value for runs in mirror.runs.values() for held in runs.values()],
        triggers={key: held.value for key, held in mirror.triggers.items()},
        kills=list(mirror.kills),
        edits=edits,
        cursor=Cursor(now) if mirror.cursor is None else mirror.cursor.value,
        calendars={name: held.value for name, held in mirror.calendars.items()},
        pause=None if mirror.pause is None else mirror.pause.value,
        env={} if mirror.settings is None else mirror.settings.value.env,
        backfills={name: held.value for name, held in mirror.backfills.items()},
        children=dict(mirror.untold),
        limits={name: held.value.max for name, held in mirror.limits.items()},
    )


def _adopted(mirror: Mirror, name: str) -> int:
    held = mirror.states.get(name)
    return 0 if held is None else held.value.adopted
