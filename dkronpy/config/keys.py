"""What can be configured: the keys, how each is named in every source, and Dkron's keys that have no meaning here."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from dkronpy.logs import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable


class ConfigError(Exception):
    """The configuration is refused: one line for each problem, with where it is and what is allowed."""

    def __init__(self, problems: Iterable[str]) -> None:
        super().__init__("\n".join(map(one_line, problems)))


class Kind(Enum):
    """The shape of a key's value."""

    ONE = auto()
    """One value."""
    SWITCH = auto()
    """True or false; a bare flag means true."""
    LIST = auto()
    """Several values: a flag repeated, a list in a file, or separated by commas anywhere."""
    TAGS = auto()
    """Several `name=value`; in the environment separated by commas or blanks, in a file a map or a list of maps."""


class Group(Enum):
    """The headings of help and documentation."""

    NODE = "node"
    NETWORK = "network"
    SECURITY = "security"
    CLUSTER = "cluster"
    STORAGE = "storage"
    LOGGING = "logging"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class About:
    """What a field of the settings says of its key. `default` is a text for those whose default is computed."""

    group: Group
    placeholder: str
    meaning: str
    default: str = ""
    reloadable: bool = False
    flag: str = ""
    """The flag's name where it is not the field's."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the configuration: `name` in a file, `--flag`, and DKRON_… in the environment, after the flag."""

    name: str
    flag: str
    kind: Kind
    about: About
    default: str

    @property
    def variable(self) -> str:
        return variable(self.flag)


PREFIX = "DKRON_"


def variable(flag: str) -> str:
    """The environment variable that stands for a flag."""
    return PREFIX + flag.upper().replace("-", "_")


def suggestion(wrong: str, allowed: Iterable[str], prefix: str = "") -> str:
    """` (did you mean …?)` where one of the allowed is close to what was written, else nothing."""
    folded = {name.lower(): name for name in allowed}
    matches = difflib.get_close_matches(wrong.lower(), folded, n=1)
    return f" (did you mean {prefix}{folded[matches[0]]}?)" if matches else ""


_NOTIFICATIONS = "notifications are not sent"
_MEASURED = "measurements are served at /metrics"
_RAFT = "the servers' election tunes itself"
_SERF = "gossip keeps its own time limits"
_BACKEND = "TLS is told by https:// in backend-machine and by backend-ca-file, backend-cert-file, backend-key-file"
_PRO = "see the security section of the documentation"
_RETRY = "an order is repeated until it is answered"

IGNORED: dict[str, str] = {
    **dict.fromkeys(
        [
            *("mail-host", "mail-port", "mail-username", "mail-password", "mail-from", "mail-payload"),
            *("mail-subject-prefix", "webhook-url", "webhook-endpoint", "webhook-payload", "webhook-header"),
            *("webhook-headers", "pre-webhook-endpoint", "pre-webhook-payload", "pre-webhook-headers"),
            "cronitor-endpoint",
        ],
        _NOTIFICATIONS,
    ),
    **dict.fromkeys(["otel-endpoint", "enable-prometheus"], _MEASURED),
    **dict.fromkeys(["raft-multiplier", "raft-duration", "fast", "bootstrap", "node-id", "reconcileinterval"], _RAFT),
    **dict.fromkeys(
        [
            *("serf-reconnect-timeout", "reconnect-interval", "reconnect-timeout", "tombstone-timeout"),
            *("snapshot-path", "keyring-file", "rejoin-after-leave", "disable-name-resolution", "interface"),
        ],
        _SERF,
    ),
    **dict.fromkeys(["backend-tls", "etcd-config-file-path"], _BACKEND),
    **dict.fromkeys(
        [
            *("username", "password", "cert-file", "key-file", "trusted-ca-file", "client-cert-auth"),
            *("client-crl-file", "auto-tls", "disable-http-tls", "acl", "federation-mode"),
        ],
        _PRO,
    ),
    **dict.fromkeys(
        ["agent-run-max-retries", "agent-run-retry-initial-interval", "agent-run-retry-max-interval"], _RETRY
    ),
    "ui": "the dashboard is part of every server",
    "disable-usage-stats": "no usage is ever reported",
    "devmode": "there is no such mode",
}
"""Dkron's keys (of all its versions) that are accepted with a warning, and what the warning says."""

IGNORED_SWITCHES = frozenset(
    [
        *("backend-tls", "enable-prometheus", "fast", "bootstrap", "rejoin-after-leave", "disable-name-resolution"),
        *("client-cert-auth", "auto-tls", "disable-http-tls", "ui", "disable-usage-stats", "devmode"),
    ]
)
"""Those of them that take no value as a flag."""
