"""Where values come from, which source wins, and what is refused."""

from __future__ import annotations

import argparse
import base64
import json
import re
from pathlib import Path

import pytest

from dkronpy.config import (
    Address,
    Backend,
    ConfigError,
    LogFormat,
    LogLevel,
    Profile,
    Settings,
    add_agent_arguments,
    changes,
    load,
)
from dkronpy.config.keys import IGNORED, IGNORED_SWITCHES, Kind
from dkronpy.config.loading import CONFIG
from dkronpy.config.settings import KEYS
from dkronpy.model.duration import parse_duration

KEY = base64.b64encode(bytes(range(16))).decode()
DOCS = Path(__file__).parents[3] / "docs" / "configuration.md"


def settings(*argv, environ=None, search=()):
    return load(argv, environ or {}, search=search).settings


def refusal(*argv, environ=None, search=()):
    with pytest.raises(ConfigError) as caught:
        load(argv, environ or {}, search=search)
    return str(caught.value)


def write(directory, content, name="dkron.yml"):
    path = directory / name
    path.write_text(content)
    return path


def test_defaults():
    loaded = load([], {}, search=[])
    found = loaded.settings
    assert (found.http_host, found.http_port) == ("127.0.0.1", 8080)
    assert (found.bind_host, found.bind_port) == ("127.0.0.1", 8946)
    assert (found.advertise_host, found.advertise_port) == ("127.0.0.1", 8946)
    assert (found.rpc_port, found.advertise_rpc_port) == (6868, 6868)
    assert not found.server
    assert found.node_name
    assert found.tags == {}
    assert found.data_dir == Path("dkron.data")
    assert found.history == "sqlite:dkron.data/history.db"
    assert found.history_file == Path("dkron.data/history.db")
    assert found.backend is Backend.EMBEDDED
    assert found.profile is Profile.LAN
    assert found.log_level is LogLevel.INFO
    assert found.log_format is LogFormat.TEXT
    assert found.lost_after == parse_duration("2m")
    assert (found.retention_count, found.retention_age) == (1000, None)
    assert (found.region, found.datacenter, found.keyspace) == ("global", "dc1", "dkron")
    assert found.encrypt is None
    assert found.tokens == ()
    assert loaded.warnings == ()
    assert loaded.file is None
    assert set(loaded.source) == set(KEYS)
    assert set(loaded.source.values()) == {"default"}


WITH_PLAIN_DEFAULT = [key for key in KEYS.values() if not key.about.default and key.default != "none"]


@pytest.mark.parametrize("key", WITH_PLAIN_DEFAULT, ids=lambda key: key.name)
def test_shown_defaults_are_the_defaults(key):
    """What help and documentation say, given explicitly, changes nothing."""
    assert settings(f"--{key.flag}={key.default}") == settings()


def test_precedence(tmp_path):
    write(tmp_path, "region: file\ndatacenter: file\nkeyspace: file\n")
    environ = {"DKRON_REGION": "environment", "DKRON_DATACENTER": "environment"}
    loaded = load(["--region", "flag"], environ, search=[tmp_path])
    found = loaded.settings
    assert (found.region, found.datacenter, found.keyspace) == ("flag", "environment", "file")
    assert loaded.source["region"] == "--region"
    assert loaded.source["datacenter"] == "DKRON_DATACENTER"
    assert loaded.source["keyspace"] == f"{tmp_path}/dkron.yml: keyspace"
    assert loaded.file == tmp_path / "dkron.yml"


@pytest.mark.parametrize(
    "argv",
    [
        ["--server"],
        ["-server"],
        ["--server=true"],
        ["--server=T"],
        ["--server=1"],
        ["--server=false", "--server"],
    ],
)
def test_switch_on(argv):
    assert settings(*argv).server


@pytest.mark.parametrize("text", ["false", "0", "no", "F"])
def test_switch_off(text, tmp_path):
    write(tmp_path, "server: true")
    assert settings(search=[tmp_path]).server
    assert not settings(f"--server={text}", search=[tmp_path]).server
    assert not settings(environ={"DKRON_SERVER": text}, search=[tmp_path]).server


def test_switch_takes_no_separate_value():
    assert refusal("--server", "false") == 'unexpected argument "false": write --server=false'


def test_flag_forms():
    assert settings("-region=eu").region == settings("--region", "eu").region == "eu"
    assert settings("--region", "eu", "--region", "us").region == "us"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--region"], "--region: a value is missing: write --region=NAME"),
        (["--region", "--server"], "--region: a value is missing: write --region=NAME"),
        (["--mail-host"], "--mail-host: a value is missing: write --mail-host=VALUE"),
        (["--htp-addr=:1"], "--htp-addr: there is no such flag (did you mean --http-addr?)"),
        (["--tags=a=b"], "--tags: there is no such flag (did you mean --tag?)"),
        (["--zzz", "1"], '--zzz: there is no such flag\nunexpected argument "1"'),
        (["extra"], 'unexpected argument "extra"'),
        (["---server"], 'unexpected argument "---server"'),
        (["--server=maybe"], '--server: "maybe" must be true or false'),
        (["--rpc-port", "x"], '--rpc-port: "x" must be a whole number from 0 to 65535'),
        (["--rpc-port", "65536"], '--rpc-port: "65536" must be a whole number from 0 to 65535'),
        (["--retention-count", "0"], '--retention-count: "0" must be a whole number from 1 to 1000000000'),
        (["--profile", "lann"], '--profile: "lann" must be one of lan, wan, local (did you mean lan?)'),
        (["--log-format", "xml"], '--log-format: "xml" must be one of text, json'),
        (
            ["--backend", "mysql"],
            '--backend: "mysql" must be one of embedded, etcd, consul, zookeeper, redis, dynamodb',
        ),
        (
            ["--history", "oracle://dkron:secret@x/y"],
            '--history: "oracle" is not a history that is built in: use sqlite:PATH',
        ),
        (["--history", "sqlite:"], '--history: "sqlite:" names no file: write sqlite:PATH'),
        (
            ["--node-name", "a/b"],
            '--node-name: "a/b" must be 1 to 128 letters (A-Z, a-z), digits, dots, dashes or underscores',
        ),
        (["--lost-after", "1s"], '--lost-after: "1s" is too short: it must be at least 10s'),
        (["--retry-interval", "0"], '--retry-interval: "0" is too short: it must be at least 1ns'),
        (["--data-dir", ""], "--data-dir: a path is needed: it is empty"),
        (["--data-dir", "~no-such-user/x"], "there is no such home directory: write the whole path"),
        (["--cors-origin", "example.com"], '--cors-origin: "example.com" is not an origin'),
        (["--keyspace", "/dkron"], '--keyspace: "/dkron" must be parts of letters'),
        (["--join", ":8946"], '--join: ":8946" names no node: write HOST or HOST:PORT'),
        (["--retry-join", "provider=aws tag_key=a"], "cloud discovery is not built in"),
        (["--tag", "web"], '--tag: "web" must be a name and a value, as in role=web'),
        (["--tag", "a=1", "--tag", "a=2"], '--tag: tag "a" is given twice: a tag has one value'),
        (["--region", "a\x1bb"], "--region: holds a character that can't be printed"),
        (["--config", "/no/such/file.yml"], "--config: there is no file /no/such/file.yml"),
        (["--config", ""], "--config: '' is not the path of a file"),
    ],
)
def test_refused_flags(argv, message):
    assert message in refusal(*argv)


def test_all_problems_are_told_at_once(tmp_path):
    write(tmp_path, "regoin: eu\nprofile: x")
    text = refusal("--rpc-port=x", "--wrong", environ={"DKRON_LOG_LEVLE": "info"}, search=[tmp_path])
    assert text.split("\n") == [
        "--wrong: there is no such flag",
        "DKRON_LOG_LEVLE: there is no such variable (did you mean DKRON_LOG_LEVEL?)",
        f"{tmp_path}/dkron.yml: regoin: there is no such key (did you mean region?)",
        '--rpc-port: "x" must be a whole number from 0 to 65535',
        f'{tmp_path}/dkron.yml: profile: "x" must be one of lan, wan, local',
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("warn", "warning"), ("WARNING", "warning"), ("fatal", "critical"), ("panic", "critical"), ("Debug", "debug")],
)
def test_log_levels(written, meant):
    assert settings("--log-level", written).log_level == meant


def test_backends_have_aliases_and_several_machines():
    argv = ["--backend", "zk", "--backend-machine", "a:1,b:2", "--backend-machine", "c:3"]
    loaded = load(argv, {}, search=[])
    assert loaded.settings.backend is Backend.ZOOKEEPER
    assert loaded.settings.backend_machine == ("a:1", "b:2", "c:3")
    assert loaded.warnings == ()


def test_boltdb_is_the_embedded_store():
    loaded = load(["--backend", "boltdb", "--backend-machine", "./dkron.db"], {}, search=[])
    assert loaded.settings.backend is Backend.EMBEDDED
    assert loaded.warnings == (
        "--backend-machine: the embedded store has no servers; its file is in data-dir dkron.data",
    )


def test_only_servers_read_a_directory_of_jobs():
    assert load(["--server", "--job-dir", "/etc/dsari"], {}, search=[]).warnings == ()
    assert load(["--job-dir", "/etc/dsari"], {}, search=[]).warnings == (
        "--job-dir: only servers read a directory of jobs; this node is none",
    )


def test_access_to_a_store():
    etcd = ["--backend", "etcd", "--backend-machine", "https://a:1"]
    loaded = load([*etcd, "--backend-username", "dkron"], {"DKRON_BACKEND_PASSWORD": "s3cret"}, search=[])
    assert (loaded.settings.backend_username, loaded.settings.backend_password) == ("dkron", "s3cret")
    files = [f"--backend-{name}-file=/etc/{name}.pem" for name in ("ca", "cert", "key")]
    found = settings(*etcd, *files)
    assert (found.backend_ca_file, found.backend_cert_file, found.backend_key_file) == tuple(
        Path(f"/etc/{name}.pem") for name in ("ca", "cert", "key")
    )
    for some in (files[1:2], files[2:]):
        assert "give both, or none" in refusal(*etcd, *some)
    assert "backend-username dkron: add backend-password" in refusal(*etcd, "--backend-username=dkron")
    assert settings(*etcd, files[0]).backend_ca_file is not None
    (warning,) = load(["--backend-password=s3cret"], {}, search=[]).warnings
    assert warning.startswith("--backend-password: the embedded store has no servers")


def test_lists(tmp_path):
    expected = (Address("10.0.0.2", 8946), Address("10.0.0.3", 9000))
    assert settings("--join", "10.0.0.2", "--join=10.0.0.3:9000").join == expected
    assert settings("--join", "10.0.0.2, 10.0.0.3:9000").join == expected
    assert settings(environ={"DKRON_JOIN": "10.0.0.2,10.0.0.3:9000"}).join == expected
    for text in (
        "join: [10.0.0.2, '10.0.0.3:9000']",
        "join: 10.0.0.2,10.0.0.3:9000",
        "join:\n- 10.0.0.2\n- 10.0.0.3:9000",
    ):
        write(tmp_path, text)
        assert settings(search=[tmp_path]).join == expected
    assert settings("--join=", search=[tmp_path]).join == ()


def test_tags(tmp_path):
    expected = {"role": "web", "dc": "eu"}
    assert settings("--tag", "role=web", "--tag", "dc=eu").tags == expected
    assert settings("--tag", "role=web,dc=eu").tags == expected
    assert settings(environ={"DKRON_TAG": "role=web,dc=eu"}).tags == expected
    assert settings(environ={"DKRON_TAG": "role=web \t dc=eu\n"}).tags == expected
    for text in (
        "tags: {role: web, dc: eu}",
        "tags: [{role: web}, {dc: eu}]",
        "tags: [role=web, dc=eu]",
        "tags: role=web,dc=eu",
    ):
        write(tmp_path, text)
        assert settings(search=[tmp_path]).tags == expected
    assert settings("--tag", "a=b=c", search=[tmp_path]).tags == {"a": "b=c"}
    assert settings(environ={"DKRON_TAG": "x=y"}, search=[tmp_path]).tags == {"x": "y"}
    write(tmp_path, '[tags]\nversion = 2\nready = true\nfree = "two words, a comma"', "dkron.toml")
    (tmp_path / "dkron.yml").unlink()
    assert settings(search=[tmp_path]).tags == {"version": "2", "ready": "true", "free": "two words, a comma"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tags: [[a]]", "tags: must be a map, or a list of maps, as in role: web"),
        ("tags: {a: {b: c}}", "tags: must be one value, not a map"),
        ("tags: {a=b: c}", 'tags: tag "a=b" must not hold "="'),
        ("tags: [{a: b}, {a: c}]", 'tags: tag "a" is given twice'),
        ("tag: {a: b}", "tag: there is no such key (did you mean tags?)"),
        ("config: x.yml", "config: there is no such key"),
        ("region: [a]", "region: must be one value, not a list"),
        ("join: {a: b}", "join: must be one value, not a map"),
        ("region: a\nregion: b", 'line 2: the key "region" is given twice'),
        ("region: [", "line 1: "),
        ("region: a\n\tdatacenter: b", "line 2: "),
        ("- region", "must hold keys and values"),
        ("just text", "must hold keys and values"),
        ("? [a]\n: b", "line 1: while constructing a mapping, found unhashable key"),
        ("&a [*a]", "found unconstructable recursive node"),
        ("[" * 5000, "nested too deeply"),
        ("a: \x01", "special characters are not allowed"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ('"region\\n": x', "there is no such key (did you mean region?)"),
    ],
)
def test_refused_yaml(text, message, tmp_path):
    path = write(tmp_path, text)
    answer = refusal(search=[tmp_path])
    assert message in answer
    assert str(path) in answer
    assert "\n" not in answer


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("dkron.json", "{", "Expecting property name"),
        ("dkron.json", '{"region": "a", "region": "b"}', 'the key "region" is given twice'),
        ("dkron.json", "[" * 100_000, "nested too deeply"),
        ("dkron.json", "3", "must hold keys and values"),
        ("dkron.toml", "region = ", "Invalid value"),
        ("dkron.toml", "region = 'a'\nregion = 'b'", "Cannot overwrite a value"),
        ("dkron.toml", "rpc-port = 9" + "9" * 5000, "dkron.toml"),
    ],
)
def test_refused_json_and_toml(name, text, message, tmp_path):
    path = write(tmp_path, text, name)
    assert message in refusal("--config", str(path))


def test_formats_agree(tmp_path):
    content = {"server": True, "rpc-port": 7000, "join": ["h1", "h2:1"], "tags": {"a": "b"}, "region": None}
    write(tmp_path, json.dumps(content), "dkron.json")
    write(tmp_path, "server: true\nrpc-port: 7000\njoin: [h1, h2:1]\ntags: {a: b}\nregion: ~", "dkron.yaml")
    write(tmp_path, 'server = true\nrpc-port = 7000\njoin = ["h1", "h2:1"]\n[[tags]]\na = "b"', "dkron.toml")
    found = [settings("--config", str(tmp_path / f"dkron.{suffix}")) for suffix in ("json", "yaml", "toml")]
    assert found[0] == found[1] == found[2]
    assert found[0].server
    assert found[0].rpc_port == 7000
    assert found[0].region == "global"


def test_yaml_text_stays_text(tmp_path):
    write(tmp_path, "node-name: 0012\nregion: no\nhttp-addr: 127.0.0.1:8:30\n")
    assert '"127.0.0.1:8:30" is not an address' in refusal(search=[tmp_path])
    write(tmp_path, "node-name: 0012\nregion: no\n")
    assert (settings(search=[tmp_path]).node_name, settings(search=[tmp_path]).region) == ("0012", "no")


def test_search(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    write(second, "region: second")
    search = [tmp_path / "missing", first, second]
    assert settings(search=search).region == "second"
    write(first, "region = 'toml'", "dkron.toml")
    write(first, "region: yaml", "dkron.yaml")
    write(first, "", "dkron.hcl")
    loaded = load([], {}, search=search)
    assert loaded.settings.region == "yaml"
    assert loaded.warnings == (
        f"{first}/dkron.toml: not read, for {first}/dkron.yaml comes first",
        f"{first}/dkron.hcl: not read: write it as .yml, .yaml, .json or .toml",
        f"{second}/dkron.yml: not read, for {first}/dkron.yaml comes first",
    )


def test_usual_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    write(tmp_path / "config", "region: here")
    home = tmp_path / "home"
    (home / ".dkron").mkdir(parents=True)
    assert load([], {"HOME": str(home)}).settings.region == "here"
    write(home / ".dkron", "region: home")
    assert load([], {"HOME": str(home)}).settings.region == "home"
    assert load([], {}).settings.region == "here"


def test_exact_file(tmp_path):
    write(tmp_path, "region: found")
    other = write(tmp_path, "region: exact", "other.yml")
    assert settings("--config", str(other), search=[tmp_path]).region == "exact"
    assert settings(environ={"DKRON_CONFIG": str(other)}, search=[tmp_path]).region == "exact"
    assert "must end in .yml, .yaml, .json or .toml" in refusal("--config", str(write(tmp_path, "", "dkron.ini")))
    assert "there is no file" in refusal("--config", str(tmp_path))
    assert settings("--config", str(write(tmp_path, "", "empty.yml"))).region == "global"


def test_file_that_cannot_be_read(tmp_path):
    (tmp_path / "dkron.yml").mkdir()
    assert refusal(search=[tmp_path]) == f"{tmp_path}/dkron.yml: can't be read: Is a directory"
    binary = tmp_path / "binary.yml"
    binary.write_bytes(b"region: \xff")
    assert "can't decode byte 0xff" in refusal("--config", str(binary))


def test_environment():
    environ = {
        "DKRON_API_URL": "http://x",
        "DKRON_API_TOKEN": "x",
        "DKRONPY_FULL": "1",
        "DKRON_JOB_NAME": "run from a job",
        "DKRON_JOIN": "",
        "PATH": "/bin",
        "DKRON_HTTP_ADDR": "127.0.0.1:81",
        # Kubernetes, for a service "dkron" and a service "dkron-rpc"
        "DKRON_SERVICE_HOST": "10.0.0.1",
        "DKRON_SERVICE_PORT_HTTP": "8080",
        "DKRON_PORT": "tcp://10.0.0.1:8080",
        "DKRON_PORT_8080_TCP_ADDR": "10.0.0.1",
        "DKRON_RPC_PORT": "tcp://10.0.0.2:6868",
        "DKRON_RPC_SERVICE_PORT": "6868",
    }
    loaded = load([], environ, search=[])
    assert loaded.settings.http_port == 81
    assert loaded.settings.rpc_port == 6868
    assert loaded.warnings == ()
    assert refusal(environ={"DKRON_PORT": "8080"}).startswith("DKRON_PORT: there is no such variable")
    assert settings(environ={"DKRON_RPC_PORT": "1"}).rpc_port == 1


@pytest.mark.parametrize("name", IGNORED)
def test_keys_of_dkron_without_meaning_only_warn(name, tmp_path):
    switch = name in IGNORED_SWITCHES
    loaded = load([f"--{name}", *([] if switch else ["value"]), "--region=eu"], {}, search=[])
    assert loaded.settings.region == "eu"
    assert loaded.warnings == (f"--{name}: Dkron's {name} has no effect here: {IGNORED[name]}",)
    assert load([f"--{name}=false"], {}, search=[]).warnings == loaded.warnings
    variable = f"DKRON_{name.upper().replace('-', '_')}"
    assert load([], {variable: "x"}, search=[]).warnings[0].startswith(f"{variable}: Dkron's {name} ")
    path = write(tmp_path, json.dumps({name: {"a": [1]}}), "dkron.json")
    assert load([], {}, search=[tmp_path]).warnings[0].startswith(f"{path}: Dkron's {name} ")


def test_ignored_keys_are_no_keys():
    assert not set(IGNORED) & set(KEYS)
    assert set(IGNORED) >= IGNORED_SWITCHES


def test_secrets_are_not_shown():
    for bad in ("c2VjcmV0", "s e c r e t", "geheim"):
        text = refusal("--encrypt", bad)
        assert bad not in text
        assert "16, 24 or 32 bytes, as dkron keygen makes" in text
    assert KEY not in repr(load(["--encrypt", KEY], {}, search=[]))
    assert "s3cret" not in repr(load(["--backend-password", "s3cret"], {}, search=[]))
    assert "s3cret" not in refusal("--backend-pasword=s3cret")


@pytest.mark.parametrize("size", [16, 24, 32])
def test_encrypt(size):
    key = bytes(range(size))
    assert settings("--encrypt", base64.b64encode(key).decode()).encrypt == key
    assert settings("--encrypt=", environ={"DKRON_ENCRYPT": KEY}).encrypt is None


@pytest.mark.parametrize("size", [1, 15, 17, 33])
def test_encrypt_of_another_size(size):
    assert f"the key has {size} bytes" in refusal("--encrypt", base64.b64encode(bytes(size)).decode())


def test_http_beyond_loopback_needs_tokens(tmp_path):
    text = refusal("--server", "--http-addr", ":8080")
    assert text == (
        "http-addr 0.0.0.0:8080 is open to other machines: add --http-token-file FILE to ask for tokens, "
        "or --allow-unauthenticated to let everybody in"
    )
    file = write(tmp_path, "write a-token-that-is-long-enough", "tokens")
    file.chmod(0o600)
    assert settings("--server", "--http-addr", ":8080", "--http-token-file", str(file)).http_host == "0.0.0.0"
    assert settings("--server", "--http-addr", ":8080", "--allow-unauthenticated").http_host == "0.0.0.0"
    assert settings("--http-addr", ":8080").http_host == "0.0.0.0", "only servers listen there"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "[::1]"])
def test_loopback_needs_no_secret(host):
    assert settings("--server", "--http-addr", f"{host}:1", "--bind-addr", f"{host}:2").bind_port == 2


@pytest.mark.parametrize("host", ["10.0.0.1", "", "[::]", "node1.example.com", "[fd00::1]"])
def test_gossip_beyond_loopback_needs_a_key(host):
    bind = ("--bind-addr", f"{host}:8946", "--advertise-addr", "10.0.0.1")
    text = refusal(*bind)
    assert "add --encrypt KEY with a key from dkron keygen, or --allow-unencrypted to let everybody in" in text
    assert settings(*bind, "--encrypt", KEY).bind_port == 8946
    assert settings(*bind, "--allow-unencrypted").bind_port == 8946


def test_both_rules_are_told_at_once():
    assert len(refusal("--server", "--http-addr=:1", "--bind-addr=10.0.0.1").split("\n")) == 2


def test_advertised():
    found = settings("--bind-addr", "127.0.0.5:1000", "--rpc-port", "7000")
    assert found.advertise_addr == Address("127.0.0.5", 1000)
    assert found.advertise_rpc_port == 7000
    assert settings("--bind-addr", "127.0.0.5:1000", "--advertise-addr", "h").advertise_addr == Address("h", 1000)
    assert settings("--advertise-rpc-port", "0").advertise_rpc_port == 6868
    assert settings("--advertise-rpc-port", "9").advertise_rpc_port == 9
    text = refusal("--bind-addr=:1", "--allow-unencrypted", "--advertise-addr=0.0.0.0")
    assert text == (
        "advertise-addr 0.0.0.0:1: other nodes can't reach that: add --advertise-addr with an address of this machine"
    )


def test_settings_made_directly():
    found = Settings(server=True, http_addr=Address("127.0.0.1", 0), data_dir=Path("/x"), tags={"a": "b"})
    assert found.history_file == Path("/x/history.db")
    assert found.tags == {"a": "b"}
    with pytest.raises(ValueError, match="frozen"):
        found.server = False  # type: ignore[misc]


def test_a_database_for_the_history_shows_no_password():
    found = settings("--history", "mariadb://dkron:geheim@10.0.0.1/dkron", "--retention-size", "5 MB")
    assert (found.history_file, found.history_server, found.retention_size) == (None, "mysql", 5 << 20)
    assert "geheim" not in repr(found)
    for wrong in ("postgresql://dkron:geheim@10.0.0.1", "sqlserver://dkron:geheim@10.0.0.1/dkron"):
        said = refusal("--history", wrong)
        assert "geheim" not in said
        assert "history" in said


def test_durations_and_origins():
    found = settings("--retention-age=30d", "--lost-after=10s", "--cors-origin", "https://A.example/,http://[::1]:80")
    assert found.retention_age == parse_duration("30d")
    assert found.lost_after == parse_duration("10s")
    assert found.cors_origin == ("https://a.example", "http://[::1]:80")
    assert settings("--cors-origin=*", "--retention-age=none").cors_origin == ("*",)


def test_changes(tmp_path):
    file = write(tmp_path, "read one-long-enough-token", "tokens")
    old = settings("--http-token-file", str(file))
    assert changes(old, old) == (frozenset(), frozenset())
    file.write_text("write one-long-enough-token")
    assert changes(old, settings("--http-token-file", str(file))) == ({"http-token-file"}, frozenset())
    new = settings("--tag=a=b", "--log-level=debug", "--rpc-port=1", "--bind-addr=127.0.0.2")
    assert changes(old, new) == (
        {"tags", "log-level", "http-token-file"},
        {"rpc-port", "advertise-rpc-port", "bind-addr", "advertise-addr"},
    )


def test_help_describes_every_flag():
    parser = argparse.ArgumentParser("dkron agent")
    add_agent_arguments(parser)
    text = parser.format_help()
    for key in (*KEYS.values(), CONFIG):
        assert f"--{key.flag}" in text
        assert key.about.meaning.split()[0] in text


def test_documentation_has_every_key():
    rows = dict(re.findall(r"^\| `--([a-z-]+)` \|(.*)\|$", DOCS.read_text(), re.MULTILINE))
    expected = {}
    for key in (*KEYS.values(), CONFIG):
        name = "–" if key is CONFIG else f"`{key.name}`"
        reloadable = "yes" if key.about.reloadable else "no"
        expected[key.flag] = (f"`{key.variable}`", name, key.default, key.about.meaning, reloadable)
    found = {}
    for flag, row in rows.items():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)]
        found[flag] = (cells[0], cells[1], cells[2].strip("`"), cells[3].replace("\\|", "|"), cells[4])
    assert found == expected


def test_documentation_names_every_ignored_key():
    text = DOCS.read_text()
    assert [name for name in IGNORED if f"`{name}`" not in text] == []


def test_kinds():
    kinds = {name: key.kind for name, key in KEYS.items()}
    assert {name for name, kind in kinds.items() if kind is Kind.LIST} == {
        "join",
        "retry-join",
        "backend-machine",
        "cors-origin",
        "metrics-quantiles",
        "dog-statsd-tags",
    }
    assert {name for name, kind in kinds.items() if kind is Kind.TAGS} == {"tags"}
    assert {name for name, kind in kinds.items() if kind is Kind.SWITCH} == {
        "server",
        "allow-unauthenticated",
        "allow-unencrypted",
        "metrics-dsari-names",
    }


def test_figures():
    assert settings().metrics_quantiles == (0.01, 0.1, 0.5, 0.9, 0.99)
    found = settings("--metrics-quantiles=0.99,.5", "--statsd-addr=10.0.0.1", "--dog-statsd-addr=127.0.0.1:99")
    assert found.metrics_quantiles == (0.5, 0.99)
    assert (str(found.statsd_addr), str(found.dog_statsd_addr)) == ("10.0.0.1:8125", "127.0.0.1:99")
    assert settings(environ={"DKRON_STATSD_ADDR": ""}).statsd_addr is None
    tags = ("--dog-statsd-addr=10.0.0.1", "--dog-statsd-tags=role:web", "--dog-statsd-tags=dc:a,prod")
    assert settings(*tags).dog_statsd_tags == ("role:web", "dc:a", "prod")
    assert '"1.5" must be a number from 0 to 1' in refusal("--metrics-quantiles=0.5,1.5")
    assert "dog-statsd-tags: add dog-statsd-addr" in refusal("--dog-statsd-tags=a:b")
    assert '"a|b" must be a name' in refusal("--dog-statsd-addr=10.0.0.1", "--dog-statsd-tags=a|b")
    assert "names no node" in refusal("--statsd-addr=0.0.0.0")
