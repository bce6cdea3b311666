"""What users may write when they ask for a backfill."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from dkronpy.model.backfill import BackfillPolicy
from dkronpy.model.fields import Spec, SpecError, Time, validated

MAX_PARALLEL: Final = 100


class BackfillSpec(Spec):
    """What a user may write to ask for a backfill."""

    start: Time = Field(default=None, alias="from")
    end: Time = Field(default=None, alias="to")
    policy: Annotated[BackfillPolicy, Field(strict=False)] = BackfillPolicy.MISSING
    parallel: Annotated[int, Field(ge=1, le=MAX_PARALLEL)] = 1
    dry_run: bool = False


def parse_backfill(data: dict[str, Any], now: int) -> tuple[BackfillSpec, int, int]:
    """What was asked for, and the range (start, end] in ns. Without `to` it ends now. Raises SpecError."""
    spec = validated(BackfillSpec, data)
    if spec.start is None:
        raise SpecError([("from", "is missing: write the time of the first fire, such as 2026-11-01T00:00:00Z")])
    end = now if spec.end is None else spec.end
    if end > now:
        raise SpecError([("to", "lies ahead: a backfill is of fires that are past")])
    if spec.start > end:
        raise SpecError([("from", "is later than to")])
    return spec, spec.start - 1, end
