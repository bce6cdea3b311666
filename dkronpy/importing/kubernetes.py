"""Kubernetes' CronJobs → jobs.

Source: the API reference of batch/v1, and robfig/cron v3, by which the controller reads schedules. What a job has no
counterpart for is told, each field by its path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from dkronpy.importing.changes import Kind
from dkronpy.importing.commands import argument_list
from dkronpy.importing.cron import NAMED, fires
from dkronpy.importing.dump import Dialect
from dkronpy.importing.mapped import Draft, Mapped, Names, Reading
from dkronpy.importing.schedules import translated
from dkronpy.model.fields import check_env_name

_POLICIES: Final = {"Allow": "allow", "Forbid": "forbid", "Replace": "cancel_other"}
_ANY_TIME: Final = "3650d"
"""Without a deadline the newest fire that was missed runs once, however old it is."""
_NAMES: Final = frozenset(NAMED) - {"@minutely"}
_REFERENCE: Final = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_SPEC: Final = frozenset(
    {"schedule", "timeZone", "concurrencyPolicy", "startingDeadlineSeconds", "suspend", "jobTemplate"}
)
_JOB: Final = frozenset({"backoffLimit", "activeDeadlineSeconds", "template"})
_POD: Final = frozenset({"containers", "restartPolicy", "terminationGracePeriodSeconds"})
_CONTAINER: Final = frozenset({"name", "image", "command", "args", "env", "workingDir"})
_DEFAULTS: Final = {"completions": 1, "parallelism": 1}
"""Values that mean nothing special."""
Object = Mapping[str, Any]


def read_cron_jobs(documents: Iterable[tuple[str, object]], prefix: str, runtime: str) -> list[Mapped]:
    """The jobs of manifests, given as (place, object); other kinds are passed over.

    `runtime` is the command that runs containers (`docker`); "": the command is run on the node as it is."""
    names = Names(prefix)
    found: list[Mapped] = []
    for place, manifest in _manifests(documents):
        draft = Draft("", "Kubernetes", place)
        try:
            _job(draft, manifest, names, runtime)
        except ValueError as error:
            draft.name = draft.name or names.new(f"item-{len(found) + 1}")
            draft.problem = str(error)
        found.append(draft.done())
    return found


def _manifests(documents: Iterable[tuple[str, object]]) -> Iterator[tuple[str, Object]]:
    for place, document in documents:
        if not isinstance(document, dict):
            continue
        manifest = cast("Object", document)
        items = manifest.get("items")
        if str(manifest.get("kind")).endswith("List") and isinstance(items, list):
            listed = cast("list[object]", items)
            yield from _manifests((f"{place}, items[{index}]", item) for index, item in enumerate(listed))
        elif manifest.get("kind") == "CronJob":
            yield place, manifest


def _job(draft: Draft, manifest: Object, names: Names, runtime: str) -> None:
    metadata = _object(manifest, "metadata")
    name = _text(metadata, "name") or _text(metadata, "generateName")
    if not name:
        raise ValueError("metadata.name: is missing")
    draft.name = names.new(name)
    spec = _object(manifest, "spec")
    job = _object(_object(spec, "jobTemplate", "spec."), "spec", "spec.jobTemplate.")
    pod = _object(_object(job, "template", "jobTemplate.spec."), "spec", "template.")
    _when(draft, spec)
    _policies(draft, spec, job)
    _what(draft, job, pod, runtime)
    texts = {key: str(value) for key in ("labels", "annotations") for key, value in _object(metadata, key).items()}
    fitting = {key: value for key, value in texts.items() if 0 < len(key) <= 1000 and len(value) <= 1000}
    if texts != fitting:
        draft.tell(Kind.LEFT_OUT, f"labels and annotations that are too long: {', '.join({*texts} - {*fitting})}")
    draft.document["metadata"] = {**dict(list(fitting.items())[:90]), "imported_from": draft.place}
    for section, known, path in (
        (spec, _SPEC, "spec."),
        (job, _JOB, "jobTemplate.spec."),
        (pod, _POD, "template.spec."),
    ):
        _left_out(draft, section, known, path)


def _when(draft: Draft, spec: Object) -> None:
    schedule, zone = _text(spec, "schedule"), _text(spec, "timeZone")
    draft.schedule = schedule
    if match := re.match(r"(?:CRON_)?TZ=(\S+)\s+(.*)", schedule, re.DOTALL):
        zone, schedule = match[1], match[2]
    if not schedule:
        raise ValueError("spec.schedule: is missing")
    if not zone:
        zone = "UTC"
        draft.tell(Kind.ZONE, "it has no timeZone: that of the controller counted, which mostly is UTC, and is written")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"spec.timeZone: there is no time zone {zone[:64]!r}") from error
    named = schedule.startswith("@")
    full = schedule if named else f"0 {schedule}"
    if not named and len(schedule.split()) != 5:
        raise ValueError(f"spec.schedule: {schedule!r} has no five fields")
    if "~" in schedule or (named and schedule.split()[0] not in (*_NAMES, "@every")):
        raise ValueError(f"spec.schedule: Kubernetes takes no such schedule as {schedule!r}")
    try:
        text, changes = translated(full, zone, Dialect.V4, job=draft.name, now=0)
    except ValueError as error:
        raise ValueError(f"spec.schedule: {error}") from error
    draft.changes += [change for change in changes if change.kind is not Kind.NAMED_ZONE]
    draft.document |= {"schedule": text.removeprefix("0 ") if not named else text, "timezone": zone}
    if not schedule.startswith("@every"):
        draft.reading = _reading(full, zone, draft.name)


def _reading(schedule: str, zone: str, name: str) -> Reading:
    fields = NAMED.get(schedule, schedule)  # the controller heeds the zone of names too
    return lambda after, count: fires(fields, zone, Dialect.V4, job=name, after=after, count=count)


def _policies(draft: Draft, spec: Object, job: Object) -> None:
    policy = _text(spec, "concurrencyPolicy") or "Allow"
    if policy not in _POLICIES:
        raise ValueError(f"spec.concurrencyPolicy: {policy!r} is none of {', '.join(_POLICIES)}")
    deadline = _whole(spec, "startingDeadlineSeconds")
    window = _ANY_TIME if deadline is None else f"{min(deadline, 3650 * 86400)}s"
    retries = _whole(job, "backoffLimit")
    draft.document |= {
        "concurrency": _POLICIES[policy],
        "catchup": {"window": window, "policy": "latest"},
        "retries": min(6 if retries is None else retries, 100),
        "retry": {"initial": "10s", "factor": 2, "maximum": "6m", "on": "any"},
        "disabled": spec.get("suspend") is True,
    }
    if retries is not None and retries > 100:
        draft.tell(Kind.MEANING, f"backoffLimit: {retries} is more than there can be: 100 retries")


def _what(draft: Draft, job: Object, pod: Object, runtime: str) -> None:
    containers = _objects(pod, "containers")
    if len(containers) != 1:
        raise ValueError(f"template.spec.containers: there are {len(containers)}; a job runs one command")
    container = containers[0]
    env = _env(draft, container)
    command = _words(container, "command", env)
    arguments = _words(container, "args", env)
    image, folder = _text(container, "image"), _text(container, "workingDir")
    if runtime:
        line = [*runtime.split(), "run", "--rm", *(f"--env={name}" for name in env)]
        line += [f"--workdir={folder}"] if folder else []
        line += [f"--entrypoint={command[0]}"] if command else []
        config = argument_list([*line, image, *command[1:], *arguments], env)
    else:
        if not command:
            told = f"it runs what the image {image} starts with, which no node knows: --runtime docker runs images"
            raise ValueError(f"template.spec.containers[0].command: is missing: {told}")
        config = argument_list([*command, *arguments], env)
        if folder:
            config["cwd"] = folder
        draft.tell(
            Kind.MEANING, f"it ran in the image {image}; here the command must be on the nodes (or give --runtime)"
        )
    if (limit := _whole(job, "activeDeadlineSeconds")) is not None:
        config["timeout"] = f"{limit}s"
        draft.tell(Kind.MEANING, "activeDeadlineSeconds held for all tries together; here for each")
    grace = _whole(pod, "terminationGracePeriodSeconds")
    config["kill_grace"] = f"{30 if grace is None else grace}s"
    restart = _text(pod, "restartPolicy")
    if restart == "OnFailure":
        draft.tell(Kind.MEANING, "restartPolicy: OnFailure started the container again in its pod; here it is a retry")
    draft.document |= {"executor": "shell", "executor_config": config}
    _left_out(draft, container, _CONTAINER, "template.spec.containers[0].")


def _env(draft: Draft, container: Object) -> dict[str, str]:
    env: dict[str, str] = {}
    for index, entry in enumerate(_objects(container, "env")):
        name = _text(entry, "name")
        try:
            check_env_name(name)
        except ValueError as error:
            raise ValueError(f"template.spec.containers[0].env[{index}].name: {error}") from error
        if "valueFrom" in entry:
            source = next(iter(_object(entry, "valueFrom")), "nothing")
            draft.tell(Kind.LEFT_OUT, f"env {name} came from {source}, which is not known here: set it by yourself")
        else:
            env[name] = _replaced(_text(entry, "value"), env)
    return env


def _words(container: Object, key: str, env: Mapping[str, str]) -> list[str]:
    found: object = container.get(key) or []
    if not isinstance(found, list) or not all(isinstance(word, str) for word in cast("list[object]", found)):
        raise ValueError(f"template.spec.containers[0].{key}: must be a list of strings")
    return [_replaced(word, env) for word in cast("list[str]", found)]


def _replaced(text: str, env: Mapping[str, str]) -> str:
    """`$(NAME)` is the value of a variable that is given before, `$$` a dollar."""
    return _REFERENCE.sub(lambda match: env.get(match[1], match[0]) if match[1] else "$", text)


def _left_out(draft: Draft, section: Object, known: frozenset[str], path: str) -> None:
    for key, value in section.items():
        if key not in known and value not in (None, [], {}) and _DEFAULTS.get(key) != value:
            draft.tell(Kind.LEFT_OUT, f"{path}{key} is not carried over")


def _object(source: Object, key: str, path: str = "") -> Object:
    found = source.get(key)
    if not isinstance(found, dict | None):
        raise ValueError(f"{path}{key}: must be an object")
    return cast("Object", found or {})


def _objects(source: Object, key: str) -> list[Object]:
    found: object = source.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in cast("list[object]", found)):
        raise ValueError(f"{key}: must be a list of objects")
    return cast("list[Object]", found)


def _text(source: Object, key: str) -> str:
    found = source.get(key)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise ValueError(f"{key}: must be a string")
    return found


def _whole(source: Object, key: str) -> int | None:
    found = source.get(key)
    if found is None:
        return None
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise ValueError(f"{key}: must be a whole number from 0 on")
    return found
