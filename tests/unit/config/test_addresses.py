"""How addresses are written, and what the templates stand for."""

from __future__ import annotations

import socket

import pytest

from dkronpy.config import addresses
from dkronpy.config.addresses import Address, default_interface, interface_addresses, parse_address, reachable_ip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":8080", Address("0.0.0.0", 8080)),
        ("host", Address("host", 99)),
        ("host:0", Address("host", 0)),
        ("a_b.example.com.:65535", Address("a_b.example.com.", 65535)),
        ("10.0.0.1", Address("10.0.0.1", 99)),
        ("10.0.0.1:1", Address("10.0.0.1", 1)),
        ("::1", Address("::1", 99)),
        ("[::1]", Address("::1", 99)),
        ("[::1]:8080", Address("::1", 8080)),
        ("[fe80::1%eth0]:1", Address("fe80::1%eth0", 1)),
        (" host:1 ", Address("host", 1)),
    ],
)
def test_forms(text, expected):
    assert parse_address(text, 99) == expected
    assert parse_address(str(expected), 1) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "8080",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1:1",
        "host:",
        "host:x",
        "host:65536",
        "host:-1",
        "a:1:2",
        "[::1",
        "[host]:1",
        "[10.0.0.1]:1",
        "http://host",
        "a b",
        "-a",
        "a-",
        "a..b",
        "host:٣",
        "host:123456",
        "x" * 254,
        "{{",
        "{{ }}",
        "[]:1",
    ],
)
def test_no_addresses(text):
    with pytest.raises(ValueError, match=r"write HOST:PORT|must be a number|is not known|is not an IPv6"):
        parse_address(text, 99)


@pytest.mark.parametrize(
    ("host", "loopback", "unspecified"),
    [
        ("127.0.0.1", True, False),
        ("127.9.9.9", True, False),
        ("localhost", True, False),
        ("LOCALHOST.", True, False),
        ("::1", True, False),
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("10.0.0.1", False, False),
        ("localhost.example.com", False, False),
        ("fd00::1", False, False),
    ],
)
def test_reach(host, loopback, unspecified):
    assert (Address(host, 1).loopback, Address(host, 1).unspecified) == (loopback, unspecified)


@pytest.fixture
def machine(monkeypatch):
    """A machine with the interfaces given; the default route goes through `wan`."""

    def make(**interfaces):
        monkeypatch.setattr(addresses, "interface_addresses", lambda: interfaces)
        monkeypatch.setattr(addresses, "default_interface", lambda: "wan")

    return make


def test_templates(machine):
    machine(lo="127.0.0.1", docker="172.17.0.1", wan="10.0.0.7", up="8.8.8.8")
    assert parse_address("{{ GetPrivateIP }}", 5) == Address("10.0.0.7", 5)
    assert parse_address("{{GetPrivateIP}}:8946", 5) == Address("10.0.0.7", 8946)
    assert parse_address("{{ GetPublicIP }}:1", 5) == Address("8.8.8.8", 1)
    assert parse_address('{{ GetInterfaceIP "docker" }}:1', 5) == Address("172.17.0.1", 1)
    assert parse_address("{{ GetInterfaceIP 'lo' }}", 5) == Address("127.0.0.1", 5)
    assert reachable_ip() == "10.0.0.7"


def test_private_includes_shared_space_but_not_link_local(machine):
    machine(lo="127.0.0.1", link="169.254.1.1", wan="100.64.0.9")
    assert parse_address("{{ GetPrivateIP }}", 5).host == "100.64.0.9"


def test_templates_that_find_nothing(machine):
    machine(lo="127.0.0.1")
    for function in ("GetPrivateIP", "GetPublicIP"):
        with pytest.raises(ValueError, match=r"this machine has no such IPv4 address: name the address instead"):
            parse_address(f"{{{{ {function} }}}}", 5)
    with pytest.raises(ValueError, match=r'there is no interface "eth7" with an IPv4 address; those with one: lo'):
        parse_address('{{ GetInterfaceIP "eth7" }}', 5)
    assert reachable_ip() is None


@pytest.mark.parametrize("text", ["{{ GetAllInterfaces }}", "{{ GetInterfaceIP }}", '{{ GetPrivateIP "x" }}', "{{}}"])
def test_unknown_templates(text):
    with pytest.raises(ValueError, match=r"is not known: use \{\{ GetPrivateIP \}\}, \{\{ GetPublicIP \}\} or"):
        parse_address(text, 5)


def test_real_interfaces():
    found = interface_addresses()
    names = {name for _, name in socket.if_nameindex()}
    assert set(found) <= names
    assert found.get("lo", "127.0.0.1") == "127.0.0.1"


def test_default_interface(tmp_path):
    table = tmp_path / "route"
    assert default_interface(table) is None
    head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
    table.write_text(head)
    assert default_interface(table) is None
    table.write_text(
        head
        + "wlan0 00000000 010200C0 0003 0 0 600 00000000 0 0 0\n"
        + "eth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"
        + "down0 00000000 010200C0 0002 0 0 1 00000000 0 0 0\n"
        + "eth1 00000000 010200C0 0003 0 0 100 00000000 0 0 0\n"
    )
    assert default_interface(table) == "eth1"
