"""The `dkron` command: the agent, and a client of the HTTP API."""

from __future__ import annotations
