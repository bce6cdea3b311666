"""What means another thing here than it did where a job comes from."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """Kinds of changes, each with what it is about."""

    FIVE_FIELDS = "five_fields"
    """Five fields had seconds first; here they are a crontab's, so six are written."""
    FIELDS = "fields"
    """A field is written in another way, to mean the same."""
    EVERY = "every"
    """`@every` counted from the server's start; here from the epoch, so that a restart shifts nothing."""
    ZONE = "zone"
    """The job has no time zone: the zone of Dkron's server counted, here this server's does."""
    NAMED_ZONE = "named_zone"
    """`@daily` and its like ran by the clock of Dkron's server; here by the job's time zone."""
    PAST = "past"
    """A time that is past: it fires no more."""
    PATTERN = "pattern"
    """A tag's value was a regular expression; here it is compared."""
    COUNT = "count"
    """A tag's count meant another thing."""
    PARENT = "parent"
    """The parent does not exist: nothing started the job, nor does anything here."""
    NAME = "name"
    """The name has characters that names here don't have, or is too long."""
    CODES = "codes"
    """Without `expectCode` every status was a success; here only 2xx is."""
    LEFT_OUT = "left_out"
    """A setting of the source that nothing here does; what the job lacks without it."""
    MEANING = "meaning"
    """A setting is carried over, but does not mean quite the same."""
    NO_TIMES = "no_times"
    """Nothing here starts the job when the source did, so it is `@manually`."""
    CHANCE = "chance"
    """What was drawn at random there is drawn here from the job's name, once for all."""
    TARGET = "target"
    """It ran on one machine; without tags it runs here on every node."""


class Change(NamedTuple):
    """One change of one job; `text` says it in full."""

    kind: Kind
    text: str
