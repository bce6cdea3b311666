"""Keeping the jobs' figures in a database: newer ones in the place of older ones."""

from __future__ import annotations

from collections.abc import Sequence

from dkronpy.history.table import Table
from dkronpy.history.work import Work
from dkronpy.model.figures import JobFigures


def write_figures(table: Table, figures: Sequence[JobFigures]) -> Work[None]:
    """As `History.write_figures`."""
    held = {of.job: of.figures.age for of in (yield from table.figures_of([of.job for of in figures]))}
    newer = [of for of in figures if of.job not in held or held[of.job] < of.figures.age]
    if newer:
        yield from table.put_figures(newer)


def delete_figures(table: Table, job: str, before: int) -> Work[None]:
    """Delete the job's figures if their origin is before that (ns)."""
    for of in (yield from table.figures_of([job])):
        if of.figures.origin < before:
            yield from table.remove_figures(job)
