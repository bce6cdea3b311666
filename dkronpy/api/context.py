"""What all resources share."""

from __future__ import annotations

from dataclasses import dataclass

from dkronpy.api.errors import no_job
from dkronpy.api.ledger import Ledger
from dkronpy.api.services import Services
from dkronpy.api.streams import Streams
from dkronpy.api.views import JobViews
from dkronpy.catalog.mirror import Held
from dkronpy.model.calendar import Calendar
from dkronpy.model.job import Job
from dkronpy.scheduling.exclusions import Exclusions


@dataclass(frozen=True, slots=True)
class Context:
    """The agent's services, and what the API builds from them once."""

    services: Services
    views: JobViews
    ledger: Ledger
    streams: Streams

    @property
    def exclusions(self) -> Exclusions:
        """What calendars exclude, as this server sees them."""
        return self.views.exclusions

    @property
    def calendars(self) -> dict[str, Calendar]:
        """The calendars that there are."""
        held = self.services.mirror.calendars
        return {name: found for name in sorted(held) if (found := held[name].value.calendar) is not None}

    def held(self, name: str) -> Held[Job]:
        """The job of that name. Raises Problem 404."""
        held = self.services.mirror.jobs.get(name)
        if held is None:
            raise no_job(name)
        return held
