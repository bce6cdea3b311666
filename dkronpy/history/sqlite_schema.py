"""The embedded history's tables, and its ways."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dkronpy.history.dialect import Columns, Dialect, Parameters, Rows, Statement

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
    # The groups of jobs are no longer counted: what is too much is found from the newest end. Ages are of each job,
    # and of those that failed apart. `size` is of the output.
    """
    DROP INDEX by_end;
    CREATE INDEX by_age ON execution (job, state, ended);
    ALTER TABLE execution ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
    UPDATE execution SET size = coalesce(json_extract(CAST(record AS TEXT), '$.output_size'), 0);
    DELETE FROM job WHERE folded < 0;
    ALTER TABLE job DROP COLUMN ran;
    ALTER TABLE job DROP COLUMN idle;
    """,
    # What is counted of each job, with its digests.
    """
    CREATE TABLE figures (
        job TEXT PRIMARY KEY,
        record BLOB NOT NULL
    );
    """,
)
"""The script that leads from version n to n + 1 of the schema is at n; a database's version is its `user_version`."""


class SqliteDialect(Dialect):
    merges = True
    join = "CROSS JOIN"

    def hint(self, index: str | None) -> str:
        return " NOT INDEXED" if index is None else f" INDEXED BY {index}"

    def rows(self, columns: Columns, rows: Rows) -> tuple[str, Parameters]:
        # One parameter, so that the statement is the same for any number of rows.
        names = ", ".join(f"json_extract(value, '$[{n}]') AS {name}" for n, name in enumerate(columns))
        text = msgspec.json.encode(rows).decode()
        return f"(SELECT {names} FROM json_each(:rows)) AS wanted", {"rows": text}

    def upsert(self, table: str, columns: Columns, key: Sequence[str], rows: Rows, *, add: bool = False) -> Statement:
        changes = ", ".join(
            f"{name} = {f'{name} + ' if add else ''}excluded.{name}" for name in columns if name not in key
        )
        slots = ", ".join("?" * len(columns))
        text = (
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({slots}) "
            f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
        )
        return Statement(text, {}, rows)

    def delete(self, table: str, columns: Columns, rows: Rows) -> Statement:
        return Statement(f"DELETE FROM {table} WHERE {' AND '.join(f'{name} = ?' for name in columns)}", {}, rows)

    @property
    def contains(self) -> str:
        return "instr(data, :text) > 0"

    @property
    def appended(self) -> str:
        return "CAST(data || :data AS BLOB)"
