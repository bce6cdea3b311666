"""The settings of one node: each field is a key; its annotation says how it is read and what it means."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from dkronpy.config import histories, values
from dkronpy.config.addresses import Address, parse_address, reachable_ip
from dkronpy.config.choices import BACKEND_ALIASES, Backend, LogFormat, LogLevel, Profile
from dkronpy.config.keys import About, Group, Key, Kind
from dkronpy.config.measuring import Measuring
from dkronpy.config.tokens import Token
from dkronpy.model.duration import format_duration, parse_duration

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

HTTP_PORT = 8080
GOSSIP_PORT = 8946
RPC_PORT = 6868
LEAST_LOST_AFTER = parse_duration("10s")
"""For so long a node that is cut off may still start a run (ns), so none is taken for lost earlier."""


def _history(data: dict[str, Any]) -> str:
    embedded = data.get("backend", Backend.EMBEDDED) is Backend.EMBEDDED
    return f"sqlite:{data['data_dir'] / 'history.db'}" if embedded else "store"


def _advertised(data: dict[str, Any]) -> Address:
    """Where the node is reached when nothing else was said: where it listens, or else its likeliest address."""
    bind: Address = data["bind_addr"]
    return Address(reachable_ip() or bind.host, bind.port) if bind.unspecified else bind


def _advertise(value: Any, info: ValidationInfo) -> Any:
    bind: Address = info.data.get("bind_addr", Address("", GOSSIP_PORT))
    return parse_address(value, bind.port) if isinstance(value, str) else value


class Settings(Measuring, BaseModel):
    """A node's settings, checked, with every default filled in. Durations are ns; addresses are resolved.

    Raises pydantic.ValidationError when made of values that are refused; `load` turns that into ConfigError.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: Annotated[
        bool,
        values.switch,
        About(Group.NODE, "", "be a server: decide, keep jobs, serve the HTTP API; all nodes run jobs"),
    ] = False
    node_name: Annotated[
        str, values.name, About(Group.NODE, "NAME", "the node's name, unique in the cluster", "the host's name")
    ] = Field(default_factory=socket.gethostname, validate_default=True)
    tags: Annotated[
        dict[str, str],
        values.tags,
        About(
            Group.NODE,
            "NAME=VALUE",
            "a tag that jobs can name; repeatable; replaces all tags of the file",
            reloadable=True,
            flag="tag",
        ),
    ] = {}
    region: Annotated[str, values.name, About(Group.NODE, "NAME", "the node's region, a tag too")] = "global"
    datacenter: Annotated[str, values.name, About(Group.NODE, "NAME", "the node's data centre, the tag dc")] = "dc1"

    http_addr: Annotated[
        Address, values.address(HTTP_PORT), About(Group.NETWORK, "ADDR", "where a server's HTTP API listens")
    ] = Address("127.0.0.1", HTTP_PORT)
    bind_addr: Annotated[
        Address,
        values.address(GOSSIP_PORT),
        About(Group.NETWORK, "ADDR", "where gossip listens; RPC listens on the same host"),
    ] = Address("127.0.0.1", GOSSIP_PORT)
    advertise_addr: Annotated[
        Address,
        BeforeValidator(_advertise),
        About(
            Group.NETWORK, "ADDR", "where other nodes reach this one's gossip", "bind-addr, or this machine's address"
        ),
    ] = Field(default_factory=_advertised)
    rpc_port: Annotated[int, values.whole(0, 65535), About(Group.NETWORK, "PORT", "where RPC listens")] = RPC_PORT
    advertise_rpc_port: Annotated[
        int,
        values.whole(0, 65535),
        AfterValidator(lambda port, info: port or info.data.get("rpc_port", 0)),
        About(Group.NETWORK, "PORT", "where other nodes reach this one's RPC; 0 is rpc-port", "rpc-port"),
    ] = Field(default=0, validate_default=True)

    http_token_file: Annotated[
        Path | None,
        values.optional_path,
        About(
            Group.SECURITY,
            "FILE",
            "the tokens that HTTP requests need, one a line: read|write TOKEN [NAME]",
            "none",
            True,
        ),
    ] = None
    allow_unauthenticated: Annotated[
        bool, values.switch, About(Group.SECURITY, "", "let everybody who reaches http-addr in, without tokens")
    ] = False
    cors_origin: Annotated[
        tuple[str, ...],
        values.origins,
        About(Group.SECURITY, "ORIGIN", "a web site whose pages may use the HTTP API; repeatable; * is every site"),
    ] = ()
    encrypt: Annotated[
        bytes | None,
        values.gossip_key,
        About(
            Group.SECURITY,
            "KEY",
            "the cluster's key, from dkron keygen: encrypts gossip, authenticates RPC",
            "none",
        ),
    ] = Field(default=None, repr=False)
    allow_unencrypted: Annotated[
        bool, values.switch, About(Group.SECURITY, "", "let everybody who reaches bind-addr in, without a key")
    ] = False
    rpc_cert_file: Annotated[
        Path | None,
        values.optional_path,
        About(Group.SECURITY, "FILE", "this node's certificate, for TLS between nodes"),
    ] = None
    rpc_key_file: Annotated[
        Path | None, values.optional_path, About(Group.SECURITY, "FILE", "the key of that certificate")
    ] = None
    rpc_ca_file: Annotated[
        Path | None, values.optional_path, About(Group.SECURITY, "FILE", "the authority of all nodes' certificates")
    ] = None

    join: Annotated[
        tuple[Address, ...],
        values.peers(GOSSIP_PORT),
        About(Group.CLUSTER, "ADDR", "a node to join at start, tried once; repeatable"),
    ] = ()
    retry_join: Annotated[
        tuple[Address, ...],
        values.peers(GOSSIP_PORT),
        About(Group.CLUSTER, "ADDR", "a node to join, tried again until it answers; repeatable"),
    ] = ()
    retry_interval: Annotated[
        int, values.duration(1), About(Group.CLUSTER, "DURATION", "the wait between two tries of retry-join")
    ] = parse_duration("30s")
    retry_max: Annotated[
        int,
        values.whole(0, 10**9),
        About(Group.CLUSTER, "NUMBER", "how often retry-join tries before it gives up; 0: no end"),
    ] = 0
    bootstrap_expect: Annotated[
        int,
        values.whole(0, 1000),
        About(Group.CLUSTER, "NUMBER", "how many servers must be seen before one is elected"),
    ] = 0
    profile: Annotated[
        Profile, values.choice(Profile), About(Group.CLUSTER, "NAME", "the timing of gossip: lan, wan or local")
    ] = Profile.LAN
    lost_after: Annotated[
        int,
        values.duration(LEAST_LOST_AFTER),
        About(Group.CLUSTER, "DURATION", "how long a run may be out of contact before it counts as lost; at least 10s"),
    ] = parse_duration("2m")

    data_dir: Annotated[Path, values.path, About(Group.STORAGE, "DIR", "where the node keeps its files")] = Path(
        "dkron.data"
    )
    job_dir: Annotated[
        Path | None,
        values.optional_path,
        About(
            Group.STORAGE,
            "DIR",
            "a server's directory of jobs, as dsari has it (dsari.yaml, dsari.json, config.d): the cluster's jobs are "
            "kept as it says",
            "none",
        ),
    ] = None
    trigger_dir: Annotated[
        Path,
        values.path,
        About(
            Group.STORAGE,
            "DIR",
            "where a server looks for trigger files, DIR/JOB/trigger.json or .yaml; a cluster's servers may share it",
            "DATA-DIR/trigger",
        ),
    ] = Field(default_factory=lambda data: data["data_dir"] / "trigger")
    backend: Annotated[
        Backend,
        values.choice(Backend, BACKEND_ALIASES),
        About(
            Group.STORAGE,
            "NAME",
            "the store of jobs and runs in flight: embedded (or boltdb), SQLite in data-dir; for several servers "
            "etcd (etcdv3), consul, zookeeper (zk), redis or dynamodb",
        ),
    ] = Backend.EMBEDDED
    backend_machine: Annotated[
        tuple[str, ...],
        About(Group.STORAGE, "ADDR", "a server of the store, as docs/stores.md has it for each; repeatable"),
    ] = ()
    backend_username: Annotated[
        str, About(Group.STORAGE, "NAME", "the user of the store; none: the store asks for none", "none")
    ] = ""
    backend_password: Annotated[
        str,
        About(
            Group.STORAGE,
            "PASSWORD",
            "that user's password, or a token; better in the environment or a file than in a flag",
            "none",
        ),
    ] = Field(default="", repr=False)
    backend_ca_file: Annotated[
        Path | None,
        values.optional_path,
        About(Group.STORAGE, "FILE", "whom to trust for TLS to the store; none: the system's authorities"),
    ] = None
    backend_cert_file: Annotated[
        Path | None, values.optional_path, About(Group.STORAGE, "FILE", "this node's certificate for the store")
    ] = None
    backend_key_file: Annotated[
        Path | None, values.optional_path, About(Group.STORAGE, "FILE", "the key of that certificate")
    ] = None
    keyspace: Annotated[
        str, values.keyspace, About(Group.STORAGE, "PREFIX", "what all keys in the store begin with")
    ] = "dkron"
    history: Annotated[
        str,
        BeforeValidator(histories.checked),
        About(
            Group.STORAGE,
            "URL",
            "where finished runs are kept: sqlite:PATH; a database as docs/history.md has it: postgresql://…, "
            "mysql://… or mongodb://…; or store for the store itself, as shared stores have it",
            "sqlite:DATA-DIR/history.db",
        ),
    ] = Field(default_factory=_history, repr=False)
    retention_count: Annotated[
        int,
        values.whole(1, 10**9),
        About(Group.STORAGE, "NUMBER", "how many finished runs of each job the history keeps"),
    ] = 1000
    retention_age: Annotated[
        int | None,
        values.optional_duration,
        About(Group.STORAGE, "DURATION", "how old finished runs may get in the history, or none", "none"),
    ] = None
    retention_size: Annotated[
        int | None,
        values.optional_size,
        About(Group.STORAGE, "SIZE", "how much output of each job the history keeps, as 500MB, or none", "none"),
    ] = None
    retention_failed_count: Annotated[
        int | None,
        values.optional_whole(0, 10**9),
        About(Group.STORAGE, "NUMBER", "how many failed runs of each job are kept, if not as many as others", "none"),
    ] = None
    retention_failed_age: Annotated[
        int | None,
        values.optional_duration,
        About(Group.STORAGE, "DURATION", "how old failed runs may get, if not as old as others", "none"),
    ] = None

    log_level: Annotated[
        LogLevel,
        values.choice(LogLevel, {"warn": "warning", "fatal": "critical", "panic": "critical"}),
        About(
            Group.LOGGING,
            "LEVEL",
            "the least grave messages logged: debug, info, warning (warn), error or critical (fatal, panic)",
            reloadable=True,
        ),
    ] = LogLevel.INFO
    log_format: Annotated[
        LogFormat, values.choice(LogFormat), About(Group.LOGGING, "FORMAT", "text, or json: one object a line")
    ] = LogFormat.TEXT

    tokens: tuple[Token, ...] = ()
    """What `http_token_file` holds."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems: list[str] = []
        if self.advertise_addr.unspecified:
            problems.append(
                f"advertise-addr {self.advertise_addr}: other nodes can't reach that: "
                "add --advertise-addr with an address of this machine"
            )
        open_http = self.server and not self.http_addr.loopback
        if open_http and not (self.http_token_file or self.tokens or self.allow_unauthenticated):
            problems.append(
                f"http-addr {self.http_addr} is open to other machines: add --http-token-file FILE to ask for tokens, "
                "or --allow-unauthenticated to let everybody in"
            )
        if not (self.bind_addr.loopback or self.encrypt or self.allow_unencrypted):
            problems.append(
                f"bind-addr {self.bind_addr} (gossip, and RPC on its host) is open to other machines: "
                "add --encrypt KEY with a key from dkron keygen, or --allow-unencrypted to let everybody in"
            )
        if self.backend is not Backend.EMBEDDED and self.history.startswith("sqlite:"):
            problems.append(
                f"history {self.history}: other servers can't read that file: leave it out, or name a database"
            )
        if self.backend is not Backend.EMBEDDED and not self.backend_machine:
            problems.append(f"backend {self.backend}: add --backend-machine for each of its servers, mostly HOST:PORT")
        if self.backend is not Backend.EMBEDDED and self.backend_username and not self.backend_password:
            problems.append(f"backend-username {self.backend_username}: add backend-password")
        if (self.backend_cert_file is None) != (self.backend_key_file is None):
            problems.append("backend-cert-file and backend-key-file: give both, or none")
        if len({self.rpc_cert_file is None, self.rpc_key_file is None, self.rpc_ca_file is None}) > 1:
            problems.append("rpc-cert-file, rpc-key-file and rpc-ca-file: give all three, or none")
        if self.dog_statsd_tags and self.dog_statsd_addr is None:
            problems.append("dog-statsd-tags: add dog-statsd-addr, where they are sent to")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def http_host(self) -> str:
        return self.http_addr.host

    @property
    def http_port(self) -> int:
        return self.http_addr.port

    @property
    def bind_host(self) -> str:
        """Where gossip and RPC listen."""
        return self.bind_addr.host

    @property
    def bind_port(self) -> int:
        return self.bind_addr.port

    @property
    def advertise_host(self) -> str:
        """Where other nodes reach gossip and RPC."""
        return self.advertise_addr.host

    @property
    def advertise_port(self) -> int:
        return self.advertise_addr.port

    @property
    def history_file(self) -> Path | None:
        """The file of a SQLite history."""
        scheme, _, path = self.history.partition(":")
        return Path(path) if scheme == "sqlite" else None

    @property
    def history_server(self) -> str | None:
        """The extra for the database that holds the history."""
        return histories.SERVERS.get(self.history.partition(":")[0])


def _kind(field: FieldInfo) -> Kind:
    if field.annotation is bool:
        return Kind.SWITCH
    return {tuple: Kind.LIST, dict: Kind.TAGS}.get(get_origin(field.annotation), Kind.ONE)  # type: ignore[arg-type]


def _shown(field: FieldInfo) -> str:
    """A field's default as users write it."""
    default = field.default
    if default is False:
        return "false"
    if default is None or isinstance(default, tuple | dict):
        return "none"
    is_duration = any(isinstance(part, About) and part.placeholder == "DURATION" for part in field.metadata)
    return format_duration(default) if is_duration else str(default)


def _keys() -> dict[str, Key]:
    keys: dict[str, Key] = {}
    for field_name, field in Settings.model_fields.items():
        for about in field.metadata:
            if isinstance(about, About):
                name = field_name.replace("_", "-")
                keys[name] = Key(name, about.flag or name, _kind(field), about, about.default or _shown(field))
    return keys


KEYS: dict[str, Key] = _keys()
"""Every key by its name in a file, in the order of the settings."""


def changes(old: Settings, new: Settings) -> tuple[frozenset[str], frozenset[str]]:
    """The keys whose values differ: those that a running node takes over at once, and those that need a restart."""
    differing = {name for name in KEYS if getattr(old, name.replace("-", "_")) != getattr(new, name.replace("-", "_"))}
    if old.tokens != new.tokens:
        differing.add("http-token-file")
    reloadable = frozenset(name for name in differing if KEYS[name].about.reloadable)
    return reloadable, frozenset(differing) - reloadable
