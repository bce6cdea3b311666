"""What an executor_config means, and what is refused with which words."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.model.executors import ConfigError, HttpConfig, ShellConfig, check, parse


def shell(**config: str) -> ShellConfig:
    parsed = parse("shell", {"command": "true"} | config)
    assert isinstance(parsed, ShellConfig)
    return parsed


def http(**config: str) -> HttpConfig:
    parsed = parse("http", {"method": "GET", "url": "http://localhost/"} | config)
    assert isinstance(parsed, HttpConfig)
    return parsed


def test_defaults_of_shell():
    assert shell() == ShellConfig(
        argv=("true",),
        env={},
        cwd="",
        user="",
        group="",
        payload=None,
        timeout=0,
        memory=0,
        grace=10 * 10**9,
        clean_env=False,
        run_dir=False,
        append_run=False,
        jenkins_env=False,
        kill_on_shutdown=False,
    )


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("echo hello", ("echo", "hello")),
        ("  echo\t a\nb ", ("echo", "a", "b")),
        ("echo 'a b' c\\ d", ("echo", "a b", "c d")),
        ("echo a\u00a0b", ("echo", "a\u00a0b")),
        ("echo #no comment", ("echo", "#no", "comment")),
        ("echo $HOME", ("echo", "$HOME")),
    ],
)
def test_without_a_shell_a_command_is_split_into_words(command: str, argv: tuple[str, ...]):
    assert shell(command=command).argv == argv


@given(st.text(st.sampled_from("ab \t\r\n\x0b\x0c\u00a0\u2003#$"), min_size=1).filter(lambda text: text.strip()))
def test_words_are_those_of_shlex(command: str):
    import shlex

    assert list(shell(command=command).argv) == shlex.split(command)


@pytest.mark.parametrize("text", ["true", "1", "T", "TRUE", "t", "True"])
def test_with_a_shell_a_command_is_one_word(text: str):
    assert shell(command="echo 'a b' | cat", shell=text).argv == ("/bin/sh", "-c", "echo 'a b' | cat")


@pytest.mark.parametrize(
    ("text", "env"),
    [
        ("A=1", {"A": "1"}),
        ("A=1,B=2", {"A": "1", "B": "2"}),
        ("A=1, B=2", {"A": "1", "B": "2"}),
        ("A=x,y,z,B=", {"A": "x,y,z", "B": ""}),
        ("OPTS=-a=1,-b=2,_C=3", {"OPTS": "-a=1,-b=2", "_C": "3"}),
        ("A=1\n2", {"A": "1\n2"}),
        ('{"A": "1,B=2", "my-name": ""}', {"A": "1,B=2", "my-name": ""}),
        ("{}", {}),
    ],
)
def test_environment_is_split_before_names(text: str, env: dict[str, str]):
    assert shell(env=text).env == env


@pytest.mark.parametrize(
    ("text", "size"),
    [("512MB", 512 << 20), ("1B", 1), ("2KB", 2048), ("1.5gb", 3 << 29), ("1 TB", 1 << 40), ("0MB", 0)],
)
def test_memory(text: str, size: int):
    assert shell(mem_limit=text).memory == size


def test_other_keys_of_shell():
    parsed = shell(
        su="www-data:adm", payload=base64.b64encode(b"a\0b").decode(), timeout="1h30m", kill_grace="250ms", cwd="/tmp"
    )
    assert (parsed.user, parsed.group, parsed.payload) == ("www-data", "adm", b"a\0b")
    assert (parsed.timeout, parsed.grace, parsed.cwd) == (5400 * 10**9, 250 * 10**6, "/tmp")
    switches = dict.fromkeys(("clean_env", "run_dir", "append_run", "jenkins_env"), "true")
    parsed = shell(**switches)
    assert (parsed.clean_env, parsed.run_dir, parsed.append_run, parsed.jenkins_env) == (True,) * 4


def test_defaults_of_http():
    assert http() == HttpConfig(
        method="GET",
        url="http://localhost/",
        headers=(),
        body="",
        timeout=30 * 10**9,
        codes=(),
        pattern=None,
        debug=False,
        verify=True,
        certificate="",
        key="",
        authorities="",
    )


def test_other_keys_of_http():
    parsed = http(
        method="post",
        headers='["Authorization: Basic a:b", "X-Empty:"]',
        timeout="5",
        expectCode="200, 201",
        expectBody="o+k",
        tlsNoVerifyPeer="true",
    )
    assert parsed.method == "POST"
    assert parsed.headers == (("Authorization", "Basic a:b"), ("X-Empty", ""))
    assert (parsed.timeout, parsed.codes, parsed.verify) == (5 * 10**9, (200, 201), False)
    assert parsed.pattern is not None
    assert parsed.pattern.search("ook")
    assert http(timeout="1m").timeout == 60 * 10**9


@pytest.mark.parametrize(
    ("executor", "config", "field", "words"),
    [
        ("", {}, "executor", "write one of http, shell"),
        ("docker", {}, "executor", "write one of http, shell"),
        ("shell", {}, "executor_config.command", "is empty"),
        ("shell", {"command": " \t"}, "executor_config.command", "is empty"),
        ("shell", {"command": "echo 'a"}, "executor_config.command", "close the quotation"),
        ("shell", {"command": "a\0b"}, "executor_config.command", "NUL"),
        ("shell", {"command": "x" * 131_072}, "executor_config.command", "put it into a script"),
        ("shell", {"shell": "maybe"}, "executor_config.shell", "true nor false"),
        ("shell", {"env": "A"}, "executor_config.env", "write NAME=VALUE"),
        ("shell", {"env": "A=\0"}, "executor_config.env", "NUL"),
        ("shell", {"env": '{"A": 1}'}, "executor_config.env", "write a JSON object"),
        ("shell", {"env": '{"A"'}, "executor_config.env", "write a JSON object"),
        ("shell", {"env": '{"A=B": "1"}'}, "executor_config.env", "names have no '='"),
        ("shell", {"env": '{"": "1"}'}, "executor_config.env", "can't be set"),
        ("shell", {"env": '{"A": "\\u0000"}'}, "executor_config.env", "nothing has NUL"),
        ("shell", {"jenkins_env": "true"}, "executor_config.jenkins_env", "set run_dir to true"),
        ("shell", {"cwd": "/\0"}, "executor_config.cwd", "NUL"),
        ("shell", {"su": ":adm"}, "executor_config.su", "user:group"),
        ("shell", {"su": "a:"}, "executor_config.su", "user:group"),
        ("shell", {"payload": "§"}, "executor_config.payload", "is not base64"),
        ("shell", {"payload": "abc"}, "executor_config.payload", "is not base64"),
        ("shell", {"timeout": "soon"}, "executor_config.timeout", "is not a duration"),
        ("shell", {"kill_grace": "-1s"}, "executor_config.kill_grace", "is negative"),
        ("shell", {"mem_limit": "much"}, "executor_config.mem_limit", "such as 512MB"),
        ("shell", {"mem_limit": "512"}, "executor_config.mem_limit", "such as 512MB"),
        ("http", {"method": ""}, "executor_config.method", "is empty"),
        ("http", {"method": "GE T"}, "executor_config.method", "such as GET or POST"),
        ("http", {"url": ""}, "executor_config.url", "is empty"),
        ("http", {"url": "ftp://a/"}, "executor_config.url", "write http://"),
        ("http", {"url": "http:///a"}, "executor_config.url", "has no host"),
        ("http", {"url": "http://a:b/"}, "executor_config.url", "is not a URL"),
        ("http", {"url": "http://[a/"}, "executor_config.url", "is not a URL"),
        ("http", {"url": "http://a/ b"}, "executor_config.url", "white space"),
        ("http", {"headers": '{"A": "b"}'}, "executor_config.headers", "write a JSON list"),
        ("http", {"headers": '["A"]'}, "executor_config.headers", "write a JSON list"),
        ("http", {"headers": '["A: b\\r\\nC: d"]'}, "executor_config.headers", "write a JSON list"),
        ("http", {"headers": "[" * 100_000}, "executor_config.headers", "write a JSON list"),
        ("http", {"timeout": "x"}, "executor_config.timeout", "is not a duration"),
        ("http", {"expectCode": "2xx"}, "executor_config.expectCode", "200,201"),
        ("http", {"expectBody": "(a"}, "executor_config.expectBody", "is not a regular expression"),
        ("http", {"expectBody": "a" * 10_001}, "executor_config.expectBody", "is longer than"),
        ("http", {"tlsCertificateKeyFile": "k"}, "executor_config.tlsCertificateFile", "write both or none"),
    ],
)
def test_what_is_refused(executor: str, config: dict[str, str], field: str, words: str):
    base = {"shell": {"command": "true"}, "http": {"method": "GET", "url": "http://a/"}}.get(executor, {})
    if executor == "shell" and not config:
        base = {}
    problems = check(executor, base | config)
    assert [problem[0] for problem in problems] == [field]
    assert words in problems[0][1]
    with pytest.raises(ConfigError, match=field):
        parse(executor, base | config)


def test_all_problems_are_told_at_once():
    problems = check("shell", {"command": "", "timeout": "x", "mem_limit": "y"})
    assert [field.rpartition(".")[2] for field, _ in problems] == ["command", "timeout", "mem_limit"]


def test_unknown_keys_mean_nothing():
    assert check("shell", {"command": "true", "colour": "red"}) == []


def test_a_pattern_of_disputed_meaning_is_taken():
    assert check("http", {"method": "GET", "url": "http://a/", "expectBody": "[[a]"}) == []


@given(st.sampled_from(["shell", "http"]), st.dictionaries(st.text(max_size=4), st.text()), st.data())
def test_nothing_makes_the_check_fail(executor: str, config: dict[str, str], data: st.DataObject):
    keys = ["command", "shell", "env", "su", "payload", "mem_limit", "timeout", "url", "headers", "expectCode"]
    for key in keys:
        if data.draw(st.booleans()):
            config[key] = data.draw(st.text())
    for field, message in check(executor, config):
        assert field.startswith("executor_config.")
        assert message
