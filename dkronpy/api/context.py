"""What all resources share."""

from __future__ import annotations

from dataclasses import dataclass

from dkronpy.api.errors import no_job
from dkronpy.api.ledger import Ledger
from dkronpy.api.services import Services
from dkronpy.api.streams import Streams
from dkronpy.api.views import JobViews
from dkronpy.catalog.mirror import Held
from dkronpy.model.job import Job


@dataclass(frozen=True, slots=True)
class Context:
    """The agent's services, and what the API builds from them once."""

    services: Services
    views: JobViews
    ledger: Ledger
    streams: Streams

    def held(self, name: str) -> Held[Job]:
        """The job of that name. Raises Problem 404."""
        held = self.services.mirror.jobs.get(name)
        if held is None:
            raise no_job(name)
        return held
