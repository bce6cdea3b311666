"""The settings that are one of a few words."""

from __future__ import annotations

from enum import StrEnum


class Backend(StrEnum):
    """The key-value store that holds jobs and runs in flight."""

    EMBEDDED = "embedded"
    """SQLite in the data directory, for one server."""
    ETCD = "etcd"
    CONSUL = "consul"
    ZOOKEEPER = "zookeeper"
    REDIS = "redis"
    DYNAMODB = "dynamodb"


BACKEND_ALIASES = {"boltdb": "embedded", "etcdv3": "etcd", "zk": "zookeeper"}


class Profile(StrEnum):
    """The timing of gossip."""

    LAN = "lan"
    """Nodes in one network."""
    WAN = "wan"
    """Nodes far apart: slower to suspect."""
    LOCAL = "local"
    """Nodes on one machine: quicker."""


class LogLevel(StrEnum):
    """The least grave messages that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class LogFormat(StrEnum):
    """The shape of a logged line."""

    TEXT = "text"
    """For people."""
    JSON = "json"
    """One object a line."""
