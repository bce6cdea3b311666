"""What `dkron apply` takes besides jobs: concurrency groups, calendars, and the cluster's settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from dkronpy.cli.plans import Plan
from dkronpy.client import Client, NotFound

if TYPE_CHECKING:
    from dkronpy.cli.documents import Document

Json = dict[str, Any]
SETTINGS: Final = "cluster"
"""The name of the settings, of which there is one set."""


class _Kind(NamedTuple):
    """How a kind of thing is read from the server (None: there is none), checked and written. `fields` may be in a
    file; `shown` are what reading shows besides, which is left out; `empty` is filled in for what is left out."""

    read: Callable[[Client, str], Json | None]
    check: Callable[[Json], Json]
    write: Callable[[Client, Json], object]
    fields: frozenset[str]
    shown: frozenset[str]
    empty: Json


def resource_plan(client: Client, document: Document) -> Plan | None:
    """What is to be done with a document that is no job; None for a job. Raises ValueError, a line for each problem."""
    from dkronpy.model.fields import SpecError

    value = cast("object", document.value)
    if not isinstance(value, dict) or cast("Json", value).get("kind", "job") not in KINDS:
        return None
    data = {**cast("Json", value)}
    kind = str(data.pop("kind"))
    rules = KINDS[kind]
    if kind == "settings":
        data.setdefault("name", SETTINGS)
    name = data.get("name")
    if not isinstance(name, str):
        raise ValueError(f"{kind}: name: is missing, or no text")
    label = f"{kind}/{name}"
    problems = [*_unknown(data, rules, label)]
    if kind == "settings" and name != SETTINGS:
        problems.append(f"{label}: name: there is one set of settings: leave the name out")
    new: Json = {}
    try:
        new = {"name": name, **rules.check(_only(data, rules))}
    except SpecError as error:
        problems += [f"{label}: {where or 'it'}: {what}" for where, what in error.errors]
    except ValueError as error:
        problems.append(f"{label}: {error}")
    if problems:
        raise ValueError("\n".join(problems))
    found = rules.read(client, name)
    old = None if found is None else {"name": name, **rules.check(_only(found, rules))}
    action = "created" if old is None else "changed" if old != new else "unchanged"
    return Plan(document.place, new, {"name": name, **rules.empty}, old, action=action, kind=kind)


def _only(data: Json, rules: _Kind) -> Json:
    """What of it may be in a file."""
    return {key: value for key, value in data.items() if key in rules.fields}


def write_resource(client: Client, plan: Plan) -> None:
    """Write what was planned. These have no versions: who writes last has written."""
    KINDS[plan.kind].write(client, plan.new)


def _unknown(data: Json, rules: _Kind, label: str) -> Iterable[str]:
    """A field that is misspelt would be a setting that silently does nothing."""
    known = {"name", *rules.fields, *rules.shown}
    for key in data.keys() - known:
        close = get_close_matches(str(key), known, 1)
        yield f"{label}: {key}: there is no such field" + (f"; is {close[0]} meant?" if close else "")


def _read_group(client: Client, name: str) -> Json | None:
    from dkronpy.model.fields import check_group_name

    found = client.group(check_group_name(name))
    return {**found} if found["defined"] else None


def _check_group(data: Json) -> Json:
    places = data.get("max")
    if not isinstance(places, int) or isinstance(places, bool) or places < 1:
        raise ValueError("max: must be a whole number from 1 on")
    description = data.get("description") or ""
    if not isinstance(description, str):
        raise ValueError("description: must be a string")
    return {"max": places, "description": description}


def _write_group(client: Client, new: Json) -> object:
    return client.define_group(new["name"], new["max"], new["description"])


def _read_calendar(client: Client, name: str) -> Json | None:
    from dkronpy.model.fields import check_name

    try:
        check_name(name)
        return {**client.calendar(name)}
    except NotFound:
        return None


def _check_calendar(data: Json) -> Json:
    from dkronpy.api.definitions import with_holidays
    from dkronpy.model.calendar_spec import calendar_document, parse_calendar
    from dkronpy.schedule import ScheduleError

    calendar = parse_calendar(data)
    try:
        with_holidays(calendar, time.time_ns())
    except ScheduleError as error:
        raise ValueError(f"{error.field}: {error}") from error
    document = calendar_document("", calendar)
    return {key: value for key, value in document.items() if key not in ("name", "holiday_days")}


def _write_calendar(client: Client, new: Json) -> object:
    return client.put_calendar(new["name"], {key: value for key, value in new.items() if key != "name"})


def _read_settings(client: Client, _name: str) -> Json | None:
    return {**client.settings()}


def _check_settings(data: Json) -> Json:
    from dkronpy.model.settings_spec import parse_settings

    return {"env": parse_settings(data)}


def _write_settings(client: Client, new: Json) -> object:
    return client.put_settings(new["env"])


KINDS: Final = {
    "group": _Kind(
        _read_group,
        _check_group,
        _write_group,
        frozenset({"max", "description"}),
        frozenset({"defined", "updated_at", "updated_by", "source", "running", "waiting"}),
        {"description": ""},
    ),
    "calendar": _Kind(
        _read_calendar,
        _check_calendar,
        _write_calendar,
        frozenset({"description", "timezone", "all_jobs", "days", "holidays", "icalendar", "blackouts"}),
        frozenset({"holiday_days"}),
        {"description": "", "timezone": "", "all_jobs": False, "icalendar": ""}
        | {"days": [], "holidays": [], "blackouts": []},
    ),
    "settings": _Kind(
        _read_settings,
        _check_settings,
        _write_settings,
        frozenset({"env"}),
        frozenset({"updated_at", "updated_by"}),
        {"env": {}},
    ),
}
"""By the `kind` that a document tells."""
