"""The SQL of the embedded history: its tables, and the statements that read executions in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.history.rules import bounds
from dkronpy.model.execution import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkronpy.history.contract import Query
    from dkronpy.history.cursor import Position

APPLICATION_ID = 0x646B7268
"""In the file's header: tells our files from other programs' databases."""

MIGRATIONS = (
    # `record` is the truth; the columns beside it are what it is found by. Each index holds what one kind of query
    # asks for, followed by the order of its answer, so that a page reads as many entries as it shows. `job` counts the
    # groups of each job that ran and that did not; of the latter, those up to `folded` are no longer counted: they may
    # be joined into one record.
    """
    CREATE TABLE execution (
        job TEXT NOT NULL,
        grp INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        node TEXT NOT NULL,
        state TEXT NOT NULL,
        ended INTEGER,
        record BLOB NOT NULL,
        PRIMARY KEY (job, grp DESC, attempt DESC, node)
    ) WITHOUT ROWID;
    CREATE INDEX by_job_state ON execution (job, state, grp DESC, attempt DESC, node);
    CREATE INDEX by_job_node ON execution (job, node, state, grp DESC, attempt DESC);
    CREATE INDEX by_state ON execution (state, grp DESC, attempt DESC, node, job);
    CREATE INDEX by_node ON execution (node, state, grp DESC, attempt DESC, job);
    CREATE INDEX by_end ON execution (ended) WHERE ended IS NOT NULL;
    CREATE TABLE output (
        job TEXT NOT NULL,
        grp INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        node TEXT NOT NULL,
        start INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (job, grp, attempt, node, start)
    ) WITHOUT ROWID;
    CREATE TABLE job (
        job TEXT PRIMARY KEY,
        ran INTEGER NOT NULL,
        idle INTEGER NOT NULL,
        folded INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE day (
        date TEXT PRIMARY KEY,
        success INTEGER NOT NULL,
        failed INTEGER NOT NULL
    ) WITHOUT ROWID;
    """,
)
"""The script that leads from version n to n + 1 of the schema is at n; a database's version is its `user_version`."""

Parameters = dict[str, int | str]


def pages(query: Query, after: Position | None) -> Iterator[tuple[str, Parameters]]:
    """Statements that together answer `query` in its order, from `after` on: each one's rows, whose last column is the
    record, come before the next one's. Each takes `:limit` too.

    What follows a place in an order of mixed directions is no single range of an index. It is a sequence of ranges that
    share ever fewer leading columns with the place, so each is sought by itself.
    """
    since, until = bounds(query)
    if query.states is not None and not query.states:
        return
    if after is not None and since <= after.group <= until:
        at = {"grp": after.group, "attempt": after.attempt, "after_node": after.node, "after_job": after.job}
        if query.job is None:
            yield _page(query, "grp = :grp AND attempt = :attempt AND node = :after_node AND job > :after_job", at)
        if query.node is None:
            yield _page(query, "grp = :grp AND attempt = :attempt AND node > :after_node", at)
        yield _page(query, "grp = :grp AND attempt < :attempt", at)
    if after is not None:
        until = min(until, after.group - 1)
    if since <= until:
        yield _page(query, "grp BETWEEN :since AND :until", {"since": since, "until": until})


def counting(query: Query) -> tuple[str, Parameters]:
    """The statement that counts what matches, in an index that holds no records."""
    conditions, parameters = _equalities(query)
    index = _index(query) or " INDEXED BY by_job_state"
    states = query.states
    if query.group is not None or query.since is not None or query.until is not None:
        conditions.append("grp BETWEEN :since AND :until")
        parameters["since"], parameters["until"] = bounds(query)
        if states is None:
            states = frozenset(State)  # the index has the state before the group
    if states is not None:
        conditions.append("state IN (" + ", ".join(f"'{state}'" for state in sorted(states)) + ")")
    if not conditions:
        return "SELECT count(*) FROM execution", parameters
    return f"SELECT count(*) FROM execution{index} WHERE {' AND '.join(conditions)}", parameters


def _page(query: Query, place: str, parameters: Parameters) -> tuple[str, Parameters]:
    """Every index but the primary key has the state before the order, so there is one range for each state; SQLite
    merges them without sorting, and stops at the limit."""
    equalities, values = _equalities(query)
    index = _index(query)
    selects: list[str] = []
    for state in sorted(query.states or State) if index else [None]:
        conditions = [*equalities, *([f"state = '{state}'"] if state else []), place]
        selects.append(f"SELECT grp, attempt, node, job, record FROM execution{index} WHERE {' AND '.join(conditions)}")
    merged = " UNION ALL ".join(selects)
    return f"{merged} ORDER BY 1 DESC, 2 DESC, 3, 4 LIMIT :limit", values | parameters


def _equalities(query: Query) -> tuple[list[str], Parameters]:
    parameters: Parameters = {}
    if query.job is not None:
        parameters["job"] = query.job
    if query.node is not None:
        parameters["node"] = query.node
    return [f"{name} = :{name}" for name in parameters], parameters


def _index(query: Query) -> str:
    """Named: without statistics the planner prefers the primary key's range to indexes with more equalities."""
    if query.node is not None:
        return " INDEXED BY by_node" if query.job is None else " INDEXED BY by_job_node"
    if query.job is None:
        return " INDEXED BY by_state"
    return "" if query.states is None else " INDEXED BY by_job_state"
