"""A cluster-wide cron that never loses a run."""

from __future__ import annotations

__version__ = "0.1.0"
