"""The statements that read executions in pages, and count them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.history.rules import bounds
from dkronpy.model.execution import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkronpy.history.contract import Query
    from dkronpy.history.cursor import Position
    from dkronpy.history.dialect import Dialect, Parameters

PLACE = "grp, attempt, node, job"
"""The columns that are a `Position`."""
_ORDER = "ORDER BY grp DESC, attempt DESC, node, job"


def pages(
    dialect: Dialect, query: Query, after: Position | None, columns: str = f"{PLACE}, record"
) -> Iterator[tuple[str, Parameters]]:
    """Statements that together answer `query` in its order, from `after` on: each one's rows, which have `columns`,
    come before the next one's. Each takes `:limit` too.

    What follows a place in an order of mixed directions is no single range of an index. It is a sequence of ranges that
    share ever fewer leading columns with the place, so each is sought by itself.
    """
    since, until = bounds(query)
    if after is not None and since <= after.group <= until:
        at: Parameters = {"grp": after.group, "attempt": after.attempt}
        node, job = {"after_node": dialect.name(after.node)}, {"after_job": dialect.name(after.job)}
        if query.job is None:
            place = "grp = :grp AND attempt = :attempt AND node = :after_node AND job > :after_job"
            yield _page(dialect, query, columns, place, at | node | job)
        if query.node is None:
            yield _page(dialect, query, columns, "grp = :grp AND attempt = :attempt AND node > :after_node", at | node)
        yield _page(dialect, query, columns, "grp = :grp AND attempt < :attempt", at)
    if after is not None:
        until = min(until, after.group - 1)
    if since <= until:
        yield _page(dialect, query, columns, "grp BETWEEN :since AND :until", {"since": since, "until": until})


def counting(dialect: Dialect, query: Query) -> tuple[str, Parameters]:
    """The statement that counts what matches, in an index that holds no records."""
    conditions, parameters = _equalities(dialect, query)
    index = dialect.hint(_index(query) or "by_job_state")
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


def _equalities(dialect: Dialect, query: Query) -> tuple[list[str], Parameters]:
    parameters: Parameters = {}
    if query.job is not None:
        parameters["job"] = dialect.name(query.job)
    if query.node is not None:
        parameters["node"] = dialect.name(query.node)
    return [f"{name} = :{name}" for name in parameters], parameters


def _index(query: Query) -> str | None:
    """Named: without statistics the planner prefers the primary key's range to indexes with more equalities."""
    if query.node is not None:
        return "by_node" if query.job is None else "by_job_node"
    if query.job is None:
        return "by_state"
    return None if query.states is None else "by_job_state"


def _page(dialect: Dialect, query: Query, columns: str, place: str, parameters: Parameters) -> tuple[str, Parameters]:
    """Every index but the primary key has the state before the order, so there is one range for each state. SQLite
    merges them without sorting, and stops at the limit; of others each range is read up to the limit."""
    equalities, values = _equalities(dialect, query)
    index = _index(query)
    hint = "" if index is None else dialect.hint(index)
    selects: list[str] = []
    for state in sorted(query.states or State) if index else [None]:
        conditions = [*equalities, *([f"state = '{state}'"] if state else []), place]
        selects.append(f"SELECT {columns} FROM execution{hint} WHERE {' AND '.join(conditions)}")
    if len(selects) > 1 and not dialect.merges:
        selects = [f"SELECT * FROM ({text} {_ORDER} LIMIT :limit) AS s{n}" for n, text in enumerate(selects)]
    return f"{' UNION ALL '.join(selects)} {_ORDER} LIMIT :limit", values | parameters
