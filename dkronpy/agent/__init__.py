"""The composition root: builds one node's parts, starts them in order, watches over them, and stops them in order."""

from __future__ import annotations

from dkronpy.agent.node import run

__all__ = ["run"]
