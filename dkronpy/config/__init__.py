"""One settings model for a node: flags before DKRON_* variables before a file before defaults."""

from __future__ import annotations

from dkronpy.config.addresses import Address
from dkronpy.config.choices import Backend, LogFormat, LogLevel, Profile
from dkronpy.config.keys import ConfigError, Group
from dkronpy.config.loading import Loaded, add_agent_arguments, load
from dkronpy.config.settings import Settings, changes
from dkronpy.config.tokens import Scope, Token

__all__ = [
    "Address",
    "Backend",
    "ConfigError",
    "Group",
    "Loaded",
    "LogFormat",
    "LogLevel",
    "Profile",
    "Scope",
    "Settings",
    "Token",
    "add_agent_arguments",
    "changes",
    "load",
]
