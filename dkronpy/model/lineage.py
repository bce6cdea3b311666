"""The graph of jobs and their parents: ancestors, loops, and an order in which each comes after its parents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence


class LoopError(ValueError):
    """Jobs that would start each other for ever. `path` leads from a job through its children back to it."""

    def __init__(self, path: Sequence[str]) -> None:
        super().__init__(f"a loop of parents: {' → '.join(path)}")
        self.path = tuple(path)


def ancestors(name: str, parents: Callable[[str], Collection[str]]) -> list[str]:
    """All jobs from which a path leads to this one, the nearest first; `parents` gives none for a job that is unknown.

    Raises LoopError if the job is among them."""
    children: dict[str, str] = {}
    wave = [name]
    for job in wave:
        for parent in parents(job):
            if parent == name:
                raise LoopError([name, *_down(job, name, children)])
            if parent not in children:
                children[parent] = job
                wave.append(parent)
    return wave[1:]


def _down(job: str, name: str, children: Mapping[str, str]) -> list[str]:
    path = [job]
    while path[-1] != name:
        path.append(children[path[-1]])
    return path


def generations(jobs: Mapping[str, Collection[str]]) -> list[list[str]]:
    """The jobs, given with their parents, so that each comes in a later list than its parents; parents that are not
    given count as there. Raises LoopError."""
    left = {name: {parent for parent in parents if parent in jobs} for name, parents in jobs.items()}
    children: dict[str, list[str]] = {}
    for name, parents in left.items():
        for parent in parents:
            children.setdefault(parent, []).append(name)
    found: list[list[str]] = []
    wave = [name for name, parents in left.items() if not parents]
    while wave:
        found.append(wave)
        following: list[str] = []
        for name in wave:
            del left[name]
            for child in children.get(name, ()):
                left[child].discard(name)
                if not left[child]:
                    following.append(child)
        wave = following
    if left:
        raise LoopError(_loop(left))
    return found


def _loop(left: Mapping[str, Collection[str]]) -> list[str]:
    """A loop among jobs of which each has a parent among them."""
    path = [next(iter(left))]
    while (parent := min(left[path[-1]])) not in path:
        path.append(parent)
    return [parent, *path[path.index(parent) :][::-1]]
