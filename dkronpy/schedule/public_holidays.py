"""Public holidays of countries, by the package `holidays`."""

from __future__ import annotations

import re
from typing import Final

from dkronpy.schedule.base import ScheduleError

_PLACE: Final = re.compile(r"([A-Z]{2,3})(?:-([A-Za-z0-9]{1,8}))?", re.ASCII)


def holiday_days(places: tuple[str, ...], years: range) -> tuple[str, ...]:
    """The public holidays of all places, such as ``DE`` or ``DE-BY``, in the years, as days like 2026-12-25.

    Raises: ScheduleError.
    """
    # It takes a while to load, and few need it.
    from holidays import country_holidays

    found: set[str] = set()
    for place in places:
        match = _PLACE.fullmatch(place)
        if match is None:
            raise ScheduleError(
                f"{place[:40]!r} is not a country such as DE, or a part of one such as DE-BY", "holidays"
            )
        try:
            days = country_holidays(match[1], subdiv=match[2], years=years, language="en_US")
        except NotImplementedError as error:
            raise ScheduleError(f"{place}: {' '.join(str(error).split())[:300]}", "holidays") from error
        found.update(day.isoformat() for day in days if day.year in years)
    return tuple(sorted(found))
