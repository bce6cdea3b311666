"""/v1/calendars: times at which jobs do not run, by name."""

from __future__ import annotations

import asyncio

from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.definitions import with_holidays
from dkronpy.api.errors import Problem, invalid
from dkronpy.api.requests import by, json_object
from dkronpy.model.calendar import Calendar
from dkronpy.model.calendar_spec import calendar_document, parse_calendar
from dkronpy.model.fields import check_name
from dkronpy.schedule import ScheduleError


class CalendarRoutes:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/calendars", self.all),
            web.get("/v1/calendars/{calendar}", self.get),
            web.put("/v1/calendars/{calendar}", self.put),
            web.delete("/v1/calendars/{calendar}", self.delete),
        ]

    async def all(self, request: web.Request) -> web.Response:
        return answer(request, [calendar_document(*item) for item in self._context.calendars.items()])

    async def get(self, request: web.Request) -> web.Response:
        return answer(request, calendar_document(*self._held(request)))

    async def put(self, request: web.Request) -> web.Response:
        """Create or replace; it holds for fires after the moment it is written."""
        name = request.match_info["calendar"]
        try:
            check_name(name)
        except ValueError as error:
            raise invalid(("name", str(error))) from None
        # A large file of events, and public holidays, take a while to read.
        calendar = await asyncio.to_thread(self._checked, parse_calendar(await json_object(request)))
        status = 200 if name in self._context.calendars else 201
        await self._services.jobs.put_calendar(name, calendar, by=by(request))
        return answer(request, calendar_document(name, calendar), status=status)

    async def delete(self, request: web.Request) -> web.Response:
        name, calendar = self._held(request)
        await self._services.jobs.put_calendar(name, None, by=by(request))
        return answer(request, calendar_document(name, calendar))

    def _held(self, request: web.Request) -> tuple[str, Calendar]:
        name = request.match_info["calendar"]
        calendar = self._context.calendars.get(name)
        if calendar is None:
            raise Problem(404, f"there is no calendar {name[:80]!r}")
        return name, calendar

    def _checked(self, calendar: Calendar) -> Calendar:
        """The calendar with its public holidays. Raises Problem 400."""
        try:
            return with_holidays(calendar, self._services.now())
        except ScheduleError as error:
            raise invalid((error.field, str(error))) from None
