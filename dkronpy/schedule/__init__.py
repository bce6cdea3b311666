"""Schedules: text → schedule → next fire times. No I/O but the time zones' files, no clock."""

from __future__ import annotations

from dkronpy.schedule.base import Schedule, ScheduleError, env_at, upcoming
from dkronpy.schedule.preview import Fire, Shift, describe_fire
from dkronpy.schedule.text import parse
from dkronpy.schedule.zones import local_zone

__all__ = ["Fire", "Schedule", "ScheduleError", "Shift", "describe_fire", "env_at", "local_zone", "parse", "upcoming"]
