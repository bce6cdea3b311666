"""A history's tables in SQL: what `Table` asks, as statements."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from dkronpy.history.contract import DayCount
from dkronpy.history.cursor import Position
from dkronpy.history.dialect import Columns, Statement
from dkronpy.history.rules import IDLE, ended
from dkronpy.history.sql import PLACE, counting, pages
from dkronpy.history.table import Counted, Extent, Key, Looked, Piece, Table
from dkronpy.model.execution import Execution
from dkronpy.model.figures import JobFigures

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from dkronpy.history.contract import Query
    from dkronpy.history.dialect import Dialect, Parameters
    from dkronpy.history.work import Work
    from dkronpy.model.execution import State

KEY: Final[Columns] = {"job": str, "grp": int, "attempt": int, "node": str}
EXECUTION: Final[Columns] = {**KEY, "state": str, "ended": int, "size": int, "record": bytes}
OUTPUT: Final[Columns] = {**KEY, "start": int, "data": bytes}
_DAY: Final[Columns] = {"date": str, "success": int, "failed": int}
_JOB: Final[Columns] = {"job": str, "folded": int}
_FIGURES: Final[Columns] = {"job": str, "record": bytes}
SAME: Final = " AND ".join(f"{{0}}.{column} = wanted.{column}" for column in KEY)
_OF_RUN: Final = " AND ".join(f"{column} = :{column}" for column in KEY)
_SEEN: Final = " AND ".join(f"{{0}}.{column} = seen.{column}" for column in KEY)
_LOOKED_AT: Final = 2000
"""Executions in whose output a text is sought at once."""
_SMALL: Final = 32_768
"""Bytes of a piece in which the database seeks a text itself, so that all of them together take it little time."""
# Pieces do not overlap, so of those that begin at or before a place only the last one can reach beyond it.
_WITHIN: Final = (
    f"FROM output WHERE {_OF_RUN} AND start < :stop "
    f"AND start >= coalesce((SELECT max(start) FROM output WHERE {_OF_RUN} AND start <= :begin), 0) ORDER BY start"
)
_OF_JOB: Final = "SELECT record FROM execution WHERE job = :job AND grp"

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Execution).decode
_pack_figures: Final = msgspec.msgpack.Encoder().encode
_unpack_figures: Final = msgspec.msgpack.Decoder(JobFigures).decode


class SqlTable(Table):
    """Yields `Statement`s and is sent their rows."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._join = dialect.join

    def _ask(self, text: str, **parameters: Any) -> Work[list[Sequence[Any]]]:
        name = self._dialect.name
        return (yield Statement(text, {k: name(v) if isinstance(v, str) else v for k, v in parameters.items()}))

    def _wanted(self, columns: Columns, rows: Collection[Sequence[Any]]) -> tuple[str, Parameters]:
        return self._dialect.rows(columns, self._dialect.names(list(rows)))

    def _key(self, row: Sequence[Any]) -> Key:
        text = self._dialect.text
        return text(row[0]), row[1], row[2], text(row[3])

    # ---- executions

    def records(self, keys: Collection[Key]) -> Work[dict[Key, Execution]]:
        if not keys:
            return {}
        wanted, parameters = self._wanted(KEY, keys)
        same = SAME.format("execution")
        rows = yield Statement(f"SELECT record FROM {wanted} {self._join} execution ON {same}", parameters)
        found = [_decode(row[0]) for row in rows]
        return {execution.key: execution for execution in found}

    def put(self, executions: Sequence[Execution], days: Sequence[Counted] = ()) -> Work[None]:
        added: Counter[tuple[str, int]] = Counter()
        for _, date, success, failed in days:
            added[date, 0] += success
            added[date, 1] += failed
        dates = sorted({date for date, _ in added if added[date, 0] or added[date, 1]})
        if dates:
            rows = [(date, added[date, 0], added[date, 1]) for date in dates]
            yield self._dialect.upsert("day", _DAY, ("date",), self._dialect.names(rows), add=True)
        if executions:
            rows = self._dialect.names(rows_of(executions))
            yield self._dialect.upsert("execution", EXECUTION, tuple(KEY), rows)

    def remove(self, keys: Sequence[Key]) -> Work[None]:
        for table in ("output", "execution"):
            yield self._dialect.delete(table, KEY, self._dialect.names(keys))

    def page(self, query: Query, after: Position | None, limit: int) -> Work[list[Execution]]:
        found: list[Execution] = []
        if _impossible(query):
            return found
        for text, parameters in pages(self._dialect, query, after):
            if len(found) < limit:
                rows = yield Statement(text, {**parameters, "limit": limit - len(found)})
                found += [_decode(row[-1]) for row in rows]
        return found

    def suspects(self, query: Query, text: bytes, after: Position | None) -> Work[Looked]:
        """In the database: most outputs are one small piece. Longer ones are left to whoever puts them together."""
        found: list[Execution] = []
        looked, last = 0, None
        likely = f"start > 0 OR length(data) > {_SMALL} OR {self._dialect.contains}"
        if _impossible(query):
            return found, None
        for page, parameters in pages(self._dialect, query, after, PLACE):
            if looked == _LOOKED_AT:
                break
            rows = yield Statement(
                f"WITH seen AS ({page}) SELECT 0 AS looked, seen.grp, seen.attempt, seen.node, seen.job, record "
                f"FROM seen {self._join} execution ON {_SEEN.format('execution')} WHERE "
                f"(SELECT max(CASE WHEN {likely} THEN 1 ELSE 0 END) FROM output WHERE {_SEEN.format('output')}) = 1 "
                f"UNION ALL SELECT (SELECT count(*) FROM seen), {PLACE}, NULL FROM "
                "(SELECT * FROM seen ORDER BY grp, attempt, node DESC, job DESC LIMIT 1) AS ending",
                {**parameters, "limit": _LOOKED_AT - looked, "text": text},
            )
            hits = [_decode(row[5]) for row in rows if not row[0]]
            found += sorted(hits, key=lambda e: (-e.group, -e.attempt, e.node, e.job))
            for count, group, attempt, node, job, _ in rows:
                if count:
                    looked += count
                    last = Position(group, attempt, self._dialect.text(node), self._dialect.text(job))
        return found, last if looked == _LOOKED_AT else None

    def count(self, query: Query) -> Work[int]:
        if _impossible(query):
            return 0
        rows = yield Statement(*counting(self._dialect, query))
        return rows[0][0]

    def neighbours(self, job: str, group: int) -> Work[list[Execution]]:
        found: list[Execution] = []
        for condition in (
            "< :grp ORDER BY grp DESC, attempt DESC, node LIMIT 1",
            "= :grp LIMIT 1",
            "> :grp ORDER BY grp, attempt, node DESC LIMIT 1",
        ):
            rows = yield from self._ask(f"{_OF_JOB} {condition}", job=job, grp=group)
            found += [_decode(row[0]) for row in rows]
        return found

    def before_alike(self, job: str, state: State, group: int) -> Work[Execution | None]:
        rows = yield from self._ask(
            f"SELECT record FROM execution{self._dialect.hint('by_job_state')} WHERE job = :job AND state = '{state}' "
            "AND grp < :grp ORDER BY grp DESC LIMIT 1",
            job=job,
            grp=group,
        )
        return _decode(rows[0][0]) if rows else None

    # ---- output

    def last_pieces(self, keys: Collection[Key]) -> Work[dict[Key, Extent]]:
        wanted, parameters = self._wanted(KEY, keys)
        rows = yield Statement(
            f"SELECT output.job, output.grp, output.attempt, output.node, start, length(data) FROM {wanted} "
            f"{self._join} output ON {SAME.format('output')} AND output.start = "
            f"(SELECT max(last.start) FROM output AS last WHERE {SAME.format('last')})",
            parameters,
        )
        return {self._key(row): Extent(row[4], row[5]) for row in rows}

    def extents(self, key: Key, begin: int, end: int) -> Work[list[Extent]]:
        rows = yield from self._within("start, length(data)", key, begin, end)
        return [Extent(*row) for row in rows]

    def pieces(self, key: Key, begin: int, end: int) -> Work[list[Piece]]:
        rows = yield from self._within("start, data", key, begin, end)
        return [(start, bytes(data)) for start, data in rows]

    def _within(self, columns: str, key: Key, begin: int, end: int) -> Work[list[Sequence[Any]]]:
        return self._ask(f"SELECT {columns} {_WITHIN}", **_of(key), begin=begin, stop=end)

    def piece_after(self, key: Key, place: int) -> Work[int]:
        text = f"SELECT min(start) FROM output WHERE {_OF_RUN} AND start > :start"
        return (yield from self._ask(text, **_of(key), start=place))[0][0]

    def append(self, key: Key, start: int, data: bytes) -> Work[None]:
        text = f"UPDATE output SET data = {self._dialect.appended} WHERE {_OF_RUN} AND start = :start"
        yield from self._ask(text, **_of(key), start=start, data=data)

    def insert_pieces(self, pieces: Sequence[tuple[Key, int, bytes]]) -> Work[None]:
        rows = [(*key, start, data) for key, start, data in pieces]
        yield self._dialect.upsert("output", OUTPUT, (*KEY, "start"), self._dialect.names(rows))

    def trim(self, key: Key, kept_from: int) -> Work[None]:
        text = f"DELETE FROM output WHERE {_OF_RUN} AND start < :kept AND start + length(data) <= :kept"
        yield from self._ask(text, **_of(key), kept=kept_from)

    def tails(self, keys: Collection[Key], tail: int | None) -> Work[dict[Key, tuple[int, list[Piece]]]]:
        columns = "output.job, output.grp, output.attempt, output.node, start, data"
        if tail is None:
            wanted, parameters = self._wanted(KEY, keys)
            text = f"SELECT {columns} FROM {wanted} {self._join} output ON {SAME.format('output')}"
            grouped = self._grouped((yield Statement(text, parameters)))
            return {key: (pieces[-1][0] + len(pieces[-1][1]), pieces) for key, pieces in grouped.items()}
        last = yield from self.last_pieces(keys)
        sizes = {key: sum(extent) for key, extent in last.items()}
        if not sizes:
            return {}
        # A piece that reaches into the tail begins before it at most by the length of a piece, which is unknown.
        wanted, parameters = self._wanted(
            {**KEY, "begin_at": int}, [(*key, size - tail) for key, size in sizes.items()]
        )
        rows = yield Statement(
            f"SELECT {columns} FROM {wanted} "
            f"{self._join} output ON {SAME.format('output')} WHERE start >= coalesce((SELECT max(last.start) "
            f"FROM output AS last WHERE {SAME.format('last')} AND last.start <= wanted.begin_at), 0)",
            parameters,
        )
        return {key: (sizes[key], pieces) for key, pieces in self._grouped(rows).items()}

    def _grouped(self, rows: Iterable[Sequence[Any]]) -> dict[Key, list[Piece]]:
        """The pieces of each output, in order."""
        found: dict[Key, list[Piece]] = {}
        for row in rows:
            found.setdefault(self._key(row), []).append((row[4], bytes(row[5])))
        for pieces in found.values():
            pieces.sort()
        return found

    # ---- counters and marks

    def days(self, first: str, last: str) -> Work[list[DayCount]]:
        text = "SELECT date, success, failed FROM day WHERE date BETWEEN :first AND :last"
        rows = yield from self._ask(text, first=first, last=last)
        return [DayCount(self._dialect.text(row[0]), row[1], row[2]) for row in rows]

    def folded(self, jobs: Collection[str]) -> Work[dict[str, int]]:
        wanted, parameters = self._wanted({"job": str}, [(job,) for job in jobs])
        text = f"SELECT job.job, folded FROM {wanted} {self._join} job ON job.job = wanted.job"
        rows = yield Statement(text, parameters)
        return {self._dialect.text(row[0]): row[1] for row in rows}

    def fold(self, job: str, group: int) -> Work[None]:
        yield self._dialect.upsert("job", _JOB, ("job",), self._dialect.names([(job, group)]))

    def forget(self, jobs: Iterable[str]) -> Work[None]:
        for job in jobs:
            text = "DELETE FROM job WHERE job = :job AND NOT EXISTS (SELECT 1 FROM execution WHERE job = :job)"
            yield from self._ask(text, job=job)

    # ---- figures of jobs

    def figures_of(self, jobs: Collection[str]) -> Work[list[JobFigures]]:
        wanted, parameters = self._wanted({"job": str}, [(job,) for job in jobs])
        rows = yield Statement(
            f"SELECT record FROM {wanted} {self._join} figures ON figures.job = wanted.job", parameters
        )
        return [_unpack_figures(row[0]) for row in rows]

    def figures_after(self, after: str, limit: int) -> Work[list[JobFigures]]:
        text = "SELECT record FROM figures WHERE job > :after ORDER BY job LIMIT :limit"
        rows = yield from self._ask(text, after=after, limit=limit)
        return [_unpack_figures(row[0]) for row in rows]

    def put_figures(self, figures: Sequence[JobFigures]) -> Work[None]:
        rows = [(of.job, _pack_figures(of)) for of in figures]
        yield self._dialect.upsert("figures", _FIGURES, ("job",), self._dialect.names(rows))

    def remove_figures(self, job: str) -> Work[None]:
        yield self._dialect.delete("figures", {"job": str}, self._dialect.names([(job,)]))

    # ---- retention

    def next_job(self, after: str) -> Work[str | None]:
        text = "SELECT job FROM execution WHERE job > :after ORDER BY job LIMIT 1"
        rows = yield from self._ask(text, after=after)
        return self._dialect.text(rows[0][0]) if rows else None

    def nth_group(self, job: str, states: Collection[State], number: int) -> Work[int | None]:
        text = (
            f"SELECT DISTINCT grp FROM execution{self._dialect.hint(None)} WHERE job = :job "
            f"AND state IN ({_listed(states)}) ORDER BY grp DESC LIMIT 1 OFFSET :number"
        )
        rows = yield from self._ask(text, job=job, number=number)
        return rows[0][0] if rows else None

    def oldest(self, job: str, states: Collection[State] | None, until: int, limit: int) -> Work[list[Key]]:
        if states is None:
            text = (
                f"SELECT {', '.join(KEY)} FROM execution WHERE job = :job AND grp <= :until ORDER BY grp LIMIT :limit"
            )
        else:
            text = self._of_each("by_job_state", "grp <= :until ORDER BY grp LIMIT :limit", states)
        rows = yield from self._ask(text, job=job, until=until, limit=limit)
        return sorted(map(self._key, rows), key=lambda key: key[1])[:limit]

    def aged(self, job: str, states: Collection[State], before: int, limit: int) -> Work[list[Key]]:
        text = self._of_each("by_age", "ended < :before ORDER BY ended LIMIT :limit", states)
        rows = yield from self._ask(text, job=job, before=before, limit=limit)
        return [self._key(row) for row in rows][:limit]

    def _of_each(self, index: str, rest: str, states: Collection[State]) -> str:
        """The keys of the job's executions in `states`, of each those that `rest` says."""
        begin = f"SELECT {', '.join(KEY)} FROM execution{self._dialect.hint(index)} WHERE job = :job"
        return " UNION ALL ".join(
            f"SELECT * FROM ({begin} AND state = '{state}' AND {rest}) AS s{n}" for n, state in enumerate(states)
        )

    def first_end(self, job: str, states: Collection[State]) -> Work[int | None]:
        begin = f"SELECT min(ended) FROM execution{self._dialect.hint('by_age')} WHERE job = :job"
        text = " UNION ALL ".join(f"{begin} AND state = '{state}' AND ended IS NOT NULL" for state in states)
        rows = yield from self._ask(text, job=job)
        return min((row[0] for row in rows if row[0] is not None), default=None)

    def over_size(self, job: str, size: int, limit: int) -> Work[int | None]:
        least = "CASE WHEN size < :most THEN size ELSE :most END"
        text = (
            "SELECT max(grp) FROM (SELECT grp, total, max(grp) OVER () AS newest FROM "
            f"(SELECT grp, sum({least}) OVER (ORDER BY grp DESC) AS total FROM execution "
            "WHERE job = :job AND size > 0) AS summed) AS numbered "
            "WHERE total > :size AND grp < newest"
        )
        rows = yield from self._ask(text, job=job, size=size, most=limit)
        return rows[0][0]

    def idle_groups(self, job: str, above: int) -> Work[list[int]]:
        begin = f"SELECT grp FROM execution{self._dialect.hint('by_job_state')} WHERE job = :job AND grp > :above"
        text = " UNION ALL ".join(f"{begin} AND state = '{state}'" for state in IDLE)
        rows = yield from self._ask(text, job=job, above=above)
        return sorted({row[0] for row in rows})


def rows_of(executions: Iterable[Execution]) -> list[tuple[Any, ...]]:
    """As the table `execution` has them."""
    return [(*e.key, e.state.value, ended(e), e.output_size, _encode(e)) for e in executions]


def _of(key: Key) -> dict[str, Any]:
    return dict(zip(KEY, key, strict=True))


def _listed(states: Collection[State]) -> str:
    return ", ".join(f"'{state}'" for state in states)


def _impossible(query: Query) -> bool:
    """Whether nothing can match. There are databases that take no NUL in a text, not even to look for it."""
    return (query.states is not None and not query.states) or "\0" in f"{query.job}{query.node}"
