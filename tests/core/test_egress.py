"""Where a request may go: every row of the tables at its edges, every spelling of a literal, hostile URLs."""

import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from urllib.parse import urlsplit

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.address_table import SPECIAL_NAMES, V4_FORBIDDEN, V6_FORBIDDEN, V6_PUBLIC
from streams.core.egress import (
    URL_CHARS_MAX,
    Target,
    address_verdict,
    networks,
    peer_verdict,
    target,
    url_verdict,
)

LOOPBACK = networks(["127.0.0.0/8", "::1/128"])

V4_EDGES = [
    # just below, first, last, just above; neighbours of the clouds' rows may lie in a wider row
    ("100.100.100.200/32", None, "100.100.100.200", "100.100.100.200", None),
    ("161.26.0.0/16", "161.25.255.255", "161.26.0.0", "161.26.255.255", "161.27.0.0"),
    ("166.8.0.0/14", "166.7.255.255", "166.8.0.0", "166.11.255.255", "166.12.0.0"),
    ("168.63.129.16/32", "168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17"),
    ("169.254.0.23/32", None, "169.254.0.23", "169.254.0.23", None),
    ("169.254.169.254/32", None, "169.254.169.254", "169.254.169.254", None),
    ("169.254.170.2/32", None, "169.254.170.2", "169.254.170.2", None),
    ("169.254.170.23/32", None, "169.254.170.23", "169.254.170.23", None),
    ("192.0.0.192/32", None, "192.0.0.192", "192.0.0.192", None),
    ("0.0.0.0/8", None, "0.0.0.0", "0.255.255.255", "1.0.0.0"),
    ("10.0.0.0/8", "9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
    ("100.64.0.0/10", "100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
    ("127.0.0.0/8", "126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
    ("169.254.0.0/16", "169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
    ("172.16.0.0/12", "172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
    ("192.0.0.0/24", "191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
    ("192.0.2.0/24", "192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
    ("192.31.196.0/24", "192.31.195.255", "192.31.196.0", "192.31.196.255", "192.31.197.0"),
    ("192.52.193.0/24", "192.52.192.255", "192.52.193.0", "192.52.193.255", "192.52.194.0"),
    ("192.88.99.0/24", "192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
    ("192.168.0.0/16", "192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
    ("192.175.48.0/24", "192.175.47.255", "192.175.48.0", "192.175.48.255", "192.175.49.0"),
    ("198.18.0.0/15", "198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
    ("198.51.100.0/24", "198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
    ("203.0.113.0/24", "203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
    ("224.0.0.0/4", "223.255.255.255", "224.0.0.0", "239.255.255.255", None),
    ("240.0.0.0/4", None, "240.0.0.0", "255.255.255.255", None),
]

V6_EDGES = [
    ("2001::/32", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::", "2001:0:ffff::ffff", None),
    ("2001:2::/48", None, "2001:2::", "2001:2:0:ffff::ffff", None),
    ("2001:3::/32", None, "2001:3::", "2001:3:ffff::ffff", None),
    ("2001:4:112::/48", None, "2001:4:112::", "2001:4:112:ffff::ffff", None),
    ("2001::/23", None, "2001:1::", "2001:1ff:ffff::ffff", "2001:200::"),  # its first /32 is the first row
    ("2001:db8::/32", "2001:db7:ffff::ffff", "2001:db8::", "2001:db8:ffff:ffff::ffff", "2001:db9::"),
    ("2002::/16", "2001:ffff::ffff", "2002::", "2002:ffff:ffff::ffff", "2003::"),
    ("2620:4f:8000::/48", "2620:4f:7fff::ffff", "2620:4f:8000::", "2620:4f:8000:ffff::ffff", "2620:4f:8001::"),
    ("3fff::/20", "3ffe:ffff::ffff", "3fff::", "3fff:fff:ffff::ffff", "3fff:1000::"),
    # Neighbours of the rows below are refused too, as reserved.
    ("::/128", None, "::", "::", None),
    ("::1/128", None, "::1", "::1", None),
    ("::ffff:0:0:0/96", None, "::ffff:0:0.0.0.0", "::ffff:0:255.255.255.255", None),
    ("64:ff9b::/96", None, "64:ff9b::", "64:ff9b::ffff:ffff", None),
    ("64:ff9b:1::/48", None, "64:ff9b:1::", "64:ff9b:1:ffff::ffff", None),
    ("100::/64", None, "100::", "100::ffff:ffff:ffff:ffff", None),
    ("fd00:42::42/128", None, "fd00:42::42", "fd00:42::42", None),
    ("fd00:c1::a9fe:a9fe/128", None, "fd00:c1::a9fe:a9fe", "fd00:c1::a9fe:a9fe", None),
    ("fd00:ec2::/64", None, "fd00:ec2::", "fd00:ec2::ffff:ffff:ffff:ffff", None),
    ("fd20:ce::254/128", None, "fd20:ce::254", "fd20:ce::254", None),
    ("fc00::/7", None, "fc00::", "fdff:ffff::ffff", None),
    ("fe80::/10", None, "fe80::", "febf:ffff::ffff", None),
    ("fec0::/10", None, "fec0::", "feff:ffff::ffff", None),
    ("ff00::/8", None, "ff00::", "ffff:ffff::ffff", None),
]


def test_every_row_of_the_tables_is_tested_at_its_edges() -> None:
    assert [row[0] for row in V4_EDGES] == [str(network) for network, _ in V4_FORBIDDEN]
    assert [row[0] for row in V6_EDGES] == [str(network) for network, _ in V6_FORBIDDEN]


@pytest.mark.parametrize(("network", "below", "first", "last", "above"), V4_EDGES + V6_EDGES)
def test_a_range_is_refused_from_its_first_to_its_last_address_and_not_beyond(
    network: str, below: str | None, first: str, last: str, above: str | None
) -> None:
    reasons = {str(key): reason for key, reason in V4_FORBIDDEN + V6_FORBIDDEN}
    for inside in (first, last):
        assert address_verdict(inside, ()).reason == reasons[network]
        assert not address_verdict(inside, ()).ok
    for outside in (below, above):
        assert outside is None or address_verdict(outside, ()).reason == "public"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved"),
        ("2000::", "public"),
        ("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "public"),
        ("4000::", "reserved"),
        ("::2", "reserved"),
        ("::127.0.0.1", "reserved"),
        ("::ffff:0:127.0.0.1", "translated"),
        ("100:0:0:1::1", "reserved"),
        ("5f00::1", "reserved"),
        ("fdff::1", "private"),
    ],
)
def test_only_2000_3_is_public_in_ipv6(address: str, reason: str) -> None:
    assert address_verdict(address, ()).reason == reason


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:7f00:1", "loopback"),
        ("::ffff:169.254.169.254", "cloud"),
        ("::ffff:a9fe:1", "link-local"),
        ("0:0:0:0:0:FFFF:0a00:0001", "private"),
        ("::ffff:8.8.8.8", "mapped"),
    ],
)
def test_an_ipv4_address_inside_ipv6_is_unwrapped_and_never_public(address: str, reason: str) -> None:
    assert address_verdict(address, ()).reason == reason


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "0177.0.0.1", "0x7f.1", "2130706433", "1.2.3.4 ", "fe80::1%eth0", "1.2.3.4/32"]
)
def test_only_a_canonical_address_is_one(text: str) -> None:
    assert address_verdict(text, networks(["0.0.0.0/0", "::/0"])).reason == "bad-address"


def test_an_opened_network_passes_and_its_neighbours_do_not() -> None:
    allowed = networks(["10.1.0.0/16", "fd00:1::/32"])
    for address in ("10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "fd00:1::", "fd00:1:ffff::1"):
        assert address_verdict(address, allowed).reason == "allowed"
    for address in ("10.0.255.255", "10.2.0.0", "fd00::ffff", "fd00:2::", "127.0.0.1"):
        assert not address_verdict(address, allowed).ok


CARRYING_LOOPBACK = [
    ("::ffff:127.0.0.1", "loopback"),
    ("64:ff9b::127.0.0.1", "nat64"),
    ("::ffff:0:127.0.0.1", "translated"),
    ("::127.0.0.1", "reserved"),
    ("2002:7f00:1::", "6to4"),
    ("2001:0:4136:e378:8000:63bf:80ff:fffe", "teredo"),  # its last 32 bits are 127.0.0.1, inverted
]


@pytest.mark.parametrize(("address", "reason"), CARRYING_LOOPBACK)
def test_opening_all_of_ipv6_opens_no_ipv4_address_that_one_of_ipv6_carries(address: str, reason: str) -> None:
    assert address_verdict("::1", networks(["::/0"])).ok
    assert address_verdict(address, networks(["::/0"])).reason == reason
    assert address_verdict(address, networks(["::/0", "127.0.0.0/8"])).reason == "allowed"


def test_a_translated_public_address_passes_where_the_operator_opened_the_translator() -> None:
    """An IPv6-only cluster with DNS64 sees public IPv4 hosts so, and must not see its own machines so."""
    allowed = networks(["64:ff9b::/96"])
    assert address_verdict("64:ff9b::8.8.8.8", allowed).reason == "allowed"
    for inner in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "168.63.129.16"):
        assert address_verdict(f"64:ff9b::{inner}", allowed).reason == "nat64"


@pytest.mark.parametrize(
    ("address", "around"),
    [
        ("169.254.169.254", ["0.0.0.0/0", "169.254.0.0/16", "169.254.169.254/31"]),
        ("::ffff:169.254.169.254", ["0.0.0.0/0", "::/0"]),
        ("100.100.100.200", ["100.64.0.0/10"]),
        ("168.63.129.16", ["168.63.0.0/16"]),
        ("166.9.0.1", ["166.0.0.0/8"]),
        ("fd00:ec2::254", ["fc00::/7", "fd00::/8", "fd00:ec2::/32"]),
        ("fd20:ce::254", ["fd20::/16"]),
    ],
)
def test_what_a_cloud_serves_to_its_machines_is_opened_by_its_own_network_alone(
    address: str, around: list[str]
) -> None:
    assert address_verdict(address, networks(around)).reason == "cloud"
    own = ["169.254.169.254/32", "100.100.100.200/32", "168.63.129.16/32", "166.8.0.0/14", "fd00:ec2::254/128"]
    assert address_verdict(address, networks([*around, *own, "fd20:ce::254/128"])).reason == "allowed"


def test_a_networks_own_translator_is_opened_by_its_own_network_alone() -> None:
    """Only that network knows where in the address the IPv4 address stands."""
    address = "64:ff9b:1::a9fe:a9fe"
    assert address_verdict(address, networks(["::/0", "64:ff9b::/32"])).reason == "nat64"
    assert address_verdict(address, networks(["64:ff9b:1::/48"])).reason == "allowed"


def test_a_text_that_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="host bits set"):
        networks(["10.0.0.1/8"])


@given(st.ip_addresses(v=4))
def test_every_ipv4_address_is_public_or_has_the_reason_of_its_narrowest_row(address: IPv4Address) -> None:
    rows = [(network.prefixlen, reason) for network, reason in V4_FORBIDDEN if address in network]
    assert address_verdict(str(address), ()).reason == max(rows, default=(0, "public"))[1]


@given(st.ip_addresses(v=6))
def test_no_ipv6_address_outside_2000_3_is_public(address: IPv6Address) -> None:
    verdict = address_verdict(str(address), ())
    assert not verdict.ok or address in V6_PUBLIC
    assert not any(address in network for network in (IPv6Network("2001::/23"), IPv6Network("2002::/16"))) or (
        not verdict.ok
    )


@given(st.ip_addresses())
def test_what_python_calls_private_or_loopback_is_never_public(address: ipaddress.IPv4Address | IPv6Address) -> None:
    """Python's own judgement misses much, but what it does refuse must be refused here."""
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert not address_verdict(str(address), ()).ok


@pytest.mark.parametrize(
    ("address", "port", "allowed", "reason"),
    [
        ("8.8.8.8", 443, (), "public"),
        ("8.8.8.8", 8443, (), "public"),
        ("8.8.8.8", 80, (), "port"),
        ("8.8.8.8", 442, LOOPBACK, "port"),
        ("8.8.8.8", 444, LOOPBACK, "port"),
        ("127.0.0.1", 443, (), "loopback"),
        ("127.0.0.1", 80, (), "loopback"),
        ("127.0.0.1", 80, LOOPBACK, "allowed"),
        ("127.0.0.1", 443, LOOPBACK, "allowed"),
        ("10.0.0.1", 9000, LOOPBACK, "private"),
    ],
)
def test_ports_other_than_those_of_https_are_reached_only_in_opened_networks(
    address: str, port: int, allowed: tuple[ipaddress.IPv4Network, ...], reason: str
) -> None:
    assert peer_verdict(address, port, allowed).reason == reason


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://crm.example.com/hooks", Target("https", "crm.example.com", 443, "/hooks")),
        ("https://crm.example.com", Target("https", "crm.example.com", 443, "/")),
        ("https://crm.example.com?a=1", Target("https", "crm.example.com", 443, "/?a=1")),
        ("https://crm.example.com:8443/?", Target("https", "crm.example.com", 8443, "/?")),
        ("https://a.example.com/a%2Fb/../c?x=%zz&y='", Target("https", "a.example.com", 443, "/a%2Fb/../c?x=%zz&y='")),
        ("HTTPS://CRM.Example.COM/A", Target("https", "crm.example.com", 443, "/A")),
        ("https://bücher.example.com/", Target("https", "xn--bcher-kva.example.com", 443, "/")),
        ("https://xn--bcher-kva.example.com/", Target("https", "xn--bcher-kva.example.com", 443, "/")),
        ("https://b\u00fccher\uff0eexample\u3002com/", Target("https", "xn--bcher-kva.example.com", 443, "/")),
        ("https://exa\u00admple.com/", Target("https", "example.com", 443, "/")),  # a soft hyphen stands for nothing
        ("https://\ufb01nance.example.com/", Target("https", "finance.example.com", 443, "/")),
        ("https://fa\u00df.example.com/", Target("https", "xn--fa-hia.example.com", 443, "/")),
        ("https://r3---sn-4g5e6nz7.example.com/", Target("https", "r3---sn-4g5e6nz7.example.com", 443, "/")),
        ("https://1and1.com/@user", Target("https", "1and1.com", 443, "/@user")),
        ("https://a.b/http://127.0.0.1/", Target("https", "a.b", 443, "/http://127.0.0.1/")),
    ],
)
def test_a_public_https_url_passes_and_is_taken_apart_in_one_way(url: str, expected: Target) -> None:
    assert url_verdict(url, ()).ok
    assert target(url, ()) == expected


HOSTILE = [
    # not a URL of the right shape, or with characters that parsers read differently
    ("", "characters"),
    ("crm.example.com/hooks", "characters"),
    ("//crm.example.com/", "characters"),
    ("https:/crm.example.com/", "characters"),
    ("https:crm.example.com", "characters"),
    (" https://crm.example.com/", "characters"),
    ("https://crm.example.com/ x", "characters"),
    ("https://crm.example.com/\t", "characters"),
    ("https://crm.example.com/\r\nHost: evil", "characters"),
    ("https://crm.example.com/\n", "characters"),
    ("https://crm.example.com/\x00", "characters"),
    ("https://crm.example.com/\x7f", "characters"),
    ("https://crm.example.com\\@127.0.0.1/", "characters"),
    ("https:\\\\crm.example.com/", "characters"),
    ("https://crm.example.com/#fragment", "characters"),
    ("https://127.0.0.1#.example.com/", "characters"),
    ('https://crm.example.com/"', "characters"),
    ("https://crm.example.com/<", "characters"),
    ("https://crm.example.com/{id}", "characters"),
    ("https://crm.example.com/^`", "characters"),
    ("https://crm.example.com/é", "characters"),
    ("https://crm.example.com/?q=é", "characters"),
    # scheme
    ("http://crm.example.com/", "scheme"),
    ("ftp://crm.example.com/", "scheme"),
    ("file:///etc/passwd", "scheme"),
    ("wss://crm.example.com/", "scheme"),
    ("gopher://crm.example.com:6379/_x", "scheme"),
    ("unix://var/run/docker.sock", "scheme"),
    # user and password
    ("https://user:secret@crm.example.com/", "userinfo"),
    ("https://user@crm.example.com/", "userinfo"),
    ("https://@crm.example.com/", "userinfo"),
    ("https://crm.example.com:443@127.0.0.1/", "userinfo"),
    # host and port
    ("https:///path", "host"),
    ("https://", "host"),
    ("https://:443/", "host"),
    ("https://crm.example.com:/", "host"),
    ("https://crm.example.com:0/", "host"),
    ("https://crm.example.com:0443/", "host"),
    ("https://crm.example.com:65536/", "host"),
    ("https://crm.example.com:443443/", "host"),
    ("https://crm.example.com:44a/", "host"),
    ("https://crm.example.com:443:443/", "host"),
    ("https://crm.example.com:-1/", "host"),
    ("https://crm.example.com./", "host"),
    ("https://crm..example.com/", "host"),
    ("https://.example.com/", "host"),
    ("https://-crm.example.com/", "host"),
    ("https://crm-.example.com/", "host"),
    ("https://crm_x.example.com/", "host"),
    ("https://crm.example.com,evil.com/", "host"),
    ("https://ex%61mple.com/", "host"),
    ("https://crm.example.com%00.evil.com/", "host"),
    ("https://*.example.com/", "host"),
    ("https://[::1/", "host"),
    ("https://::1/", "host"),
    ("https://[::1]x/", "host"),
    ("https://[fe80::1%25eth0]/", "host"),
    ("https://\u2488.example.com/", "host"),
    ("https://crm.example.com\uff0e/", "host"),
    ("https://b\u00fccher.example.com\u3002/", "host"),
    ("https://127.0.0.1./", "host"),
    ("https://127.0.0.1\uff0f.example.com/", "host"),
    ("https://127.0.0.1\u2100.example.com/", "host"),
    ("https://127.0.0.1\uff03.example.com/", "host"),
    ("https://127.0.0.1\uff1f.example.com/", "host"),
    ("https://crm.example.com\uff1a443/", "host"),
    ("https://crm.example.com:\uff14\uff14\uff13/", "host"),
    ("https://crm.example.com\uff20127.0.0.1/", "host"),
    ("https://crm.example.com\uff05\uff12\uff12/", "host"),
    ("https://crm\u202e.example.com/", "host"),
    ("https://crm\u200d.example.com/", "host"),
    ("https://crm\ud800.example.com/", "host"),
    ("https://crm\u0080.example.com/", "host"),
    ("https://crm\u2028.example.com/", "host"),
    ("https://" + "\u00fc" * 254 + ".com/", "host"),
    # A-labels that stand for nothing, or for something that is no label
    ("https://xn--.example.com/", "host"),
    ("https://xn--a.example.com/", "host"),
    ("https://xn--0.example.com/", "host"),
    ("https://xn--localhost-.example.com/", "host"),
    ("https://xn--127-0-0-1-.example.com/", "host"),
    ("https://XN--A.example.com/", "host"),
    ("https://xn--b\u00fccher.example.com/", "host"),
    # brackets are for IPv6, zones for one machine
    ("https://[127.0.0.1]/", "host"),
    ("https://[2130706433]/", "host"),
    ("https://[]/", "host"),
    ("https://[fe80::1%eth0]/", "host"),
    ("https://[::1%25]/", "host"),
    ("https://fe80::1%25eth0/", "host"),
    ("https://[::1].example.com/", "host"),
    ("https://[v1.x]/", "host"),
    # ports of other services
    ("https://crm.example.com:80/", "port"),
    ("https://crm.example.com:22/", "port"),
    ("https://crm.example.com:442/", "port"),
    ("https://crm.example.com:444/", "port"),
    ("https://crm.example.com:8442/", "port"),
    ("https://crm.example.com:9092/", "port"),
    ("http://crm.example.com:443/", "port"),
    # addresses, in whatever spelling
    ("https://127.0.0.1/", "loopback"),
    ("https://127.0.0.1:9000/", "loopback"),
    ("http://127.0.0.1/", "loopback"),
    ("https://10.0.0.1/", "private"),
    ("https://169.254.169.254/latest/meta-data/", "cloud"),
    ("https://100.100.100.200/", "cloud"),
    ("https://169.254.1.1/", "link-local"),
    ("https://8.8.8.8/", "ip-literal"),
    ("https://[2606:4700::1111]/", "ip-literal"),
    ("https://[::1]/", "loopback"),
    ("https://[::]/", "this-network"),
    ("https://[::ffff:127.0.0.1]/", "loopback"),
    ("https://[::ffff:7f00:1]/", "loopback"),
    ("https://[64:ff9b::7f00:1]/", "nat64"),
    ("https://[fe80::1]/", "link-local"),
    ("https://[::127.0.0.1]/", "reserved"),
    ("https://[::ffff:127.1]/", "bad-address"),
    ("https://[::ffff:0177.0.0.1]/", "bad-address"),
    ("https://[::ffff:0x7f.0.0.1]/", "host"),
    ("https://[::ffff:8.8.8.8]/", "mapped"),
    ("https://[64:ff9b::127.0.0.1]/", "nat64"),
    ("https://[2001:0:4136:e378:8000:63bf:80ff:fffe]/", "teredo"),
    ("https://[2002:7f00:1::]/", "6to4"),
    ("https://[fec0::1]/", "site-local"),
    ("https://[fd00:ec2::254]/", "cloud"),
    ("https://[1:2:3:4:5:6:7:8:9]/", "bad-address"),
    ("https://[00000::1]/", "bad-address"),
    ("https://[:::]/", "bad-address"),
    ("https://127.1/", "bad-address"),
    ("https://0/", "bad-address"),
    ("https://00/", "bad-address"),
    ("https://0x/", "bad-address"),
    ("https://0X7F.0.0.1/", "bad-address"),
    ("https://127.0.1/", "bad-address"),
    ("https://127.0.0.01/", "bad-address"),
    ("https://127.0.0.1.1/", "bad-address"),
    ("https://4294967296/", "bad-address"),
    ("https://1.2.3.0x4/", "bad-address"),
    ("https://\uff10\uff58\uff17\uff46.1/", "bad-address"),
    ("https://\u0661\u0662\u0667.0.0.1/", "host"),
    ("https://\u00b9\u00b2\u2077.1/", "bad-address"),
    ("https://2130706433/", "bad-address"),
    ("https://0x7f000001/", "bad-address"),
    ("https://0x7f.1/", "bad-address"),
    ("https://0177.0.0.1/", "bad-address"),
    ("https://017700000001/", "bad-address"),
    ("https://127.0.0.0x1/", "bad-address"),
    ("https://127.0.0.256/", "bad-address"),
    ("https://example.123/", "bad-address"),
    ("https://example.0x/", "bad-address"),
    ("https://\uff11\uff12\uff17.0.0.1/", "loopback"),
    ("https://127\u30020\u30020\u30021/", "loopback"),
    ("https://\u2460\u2461\u2466.0.0.1/", "loopback"),
    # names that are not public
    ("https://localhost/", "special-name"),
    ("https://LOCALHOST/", "special-name"),
    ("https://kafka/", "special-name"),
    ("https://foo.localhost/", "special-name"),
    ("https://metadata.google.internal/", "special-name"),
    ("https://printer.local/", "special-name"),
    ("https://1.0.168.192.in-addr.arpa/", "special-name"),
    ("https://router.home.arpa/", "special-name"),
    ("https://127.0.0.1.nip.io/", "special-name"),
    ("https://lvh.me/", "special-name"),
    ("https://169-254-169-254.sslip.io/", "special-name"),
    ("https://7f000001.c0a80001.rbndr.us/", "special-name"),
    ("https://make-1.2.3.4-rebind-127.0.0.1-rr.1u.ms/", "special-name"),
    ("https://metadata.tencentyun.com/", "special-name"),
    ("https://api.metadata.cloud.ibm.com/", "special-name"),
    ("https://kubernetes.default.svc/", "special-name"),
    ("https://kubernetes.default.svc.cluster.local/", "special-name"),
    ("https://vault.service.consul/", "special-name"),
    ("https://crm.example/", "special-name"),
    ("https://\u24c1vh.me/", "special-name"),
    ("https://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/", "special-name"),
]


@pytest.mark.parametrize(("url", "reason"), HOSTILE)
def test_a_hostile_url_is_refused_with_its_reason(url: str, reason: str) -> None:
    assert url_verdict(url, ()).reason == reason


@pytest.mark.parametrize("suffix", SPECIAL_NAMES)
def test_a_special_name_and_all_below_it_are_refused_and_lookalikes_are_not(suffix: str) -> None:
    assert url_verdict(f"https://{suffix}/", ()).reason == "special-name"
    assert url_verdict(f"https://a.b.{suffix}/", ()).reason == "special-name"
    assert url_verdict(f"https://not{suffix}.example.com/", ()).ok


@pytest.mark.parametrize(("extra", "reason"), [(-1, "public"), (0, "public"), (1, "too-long")])
def test_a_url_may_have_2048_characters(extra: int, reason: str) -> None:
    start = "https://crm.example.com/"
    assert url_verdict(start + "a" * (URL_CHARS_MAX - len(start) + extra), ()).reason == reason


def test_a_label_may_have_63_characters_and_a_name_253() -> None:
    assert url_verdict(f"https://{'a' * 63}.com/", ()).ok
    assert url_verdict(f"https://{'a' * 64}.com/", ()).reason == "host"
    name = ".".join(["a" * 49] * 5)
    assert url_verdict(f"https://{name}.co/", ()).ok
    assert url_verdict(f"https://{name}.com/", ()).ok
    assert url_verdict(f"https://{name}.info/", ()).reason == "host"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000/",
        "http://127.9.9.9/",
        "https://127.0.0.1:1/",
        "http://[::1]:9000/",
        "http://[::ffff:127.0.0.1]:9000/",
        "http://localhost:9000/",
        "https://localhost/",
        "http://kafka:65535/",
        "https://crm.example.com/",
        "http://crm.example.com/",
        "https://crm.example.com:9000/",
    ],
)
def test_with_opened_networks_literals_inside_them_and_all_names_pass_the_grammar(url: str) -> None:
    """What a name resolves to is judged when connecting: see `peer_verdict` and `web.guard`."""
    assert url_verdict(url, LOOPBACK).ok


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://10.0.0.1:9000/", "private"),
        ("https://8.8.8.8/", "ip-literal"),
        ("http://8.8.8.8/", "ip-literal"),
        ("http://127.0.0.1:443/", "port"),
        ("http://localhost:8443/", "port"),
        ("http://127.1:9000/", "bad-address"),
        ("http://0x7f.1:9000/", "bad-address"),
        ("ftp://127.0.0.1/", "scheme"),
        ("http://user@127.0.0.1/", "userinfo"),
        ("http://127.0.0.1:9000/#x", "characters"),
        ("http://local_host:9000/", "host"),
        ("http://[127.0.0.1]:9000/", "host"),
        ("http://localhost.:9000/", "host"),
        ("http://[64:ff9b::127.0.0.1]:9000/", "nat64"),
    ],
)
def test_opened_networks_open_nothing_else(url: str, reason: str) -> None:
    assert url_verdict(url, LOOPBACK).reason == reason


PARTS = st.sampled_from(
    [
        *(
            "https://",
            "http://",
            "//",
            "/",
            "\\",
            "@",
            ":",
            "#",
            "?",
            "%",
            "%2e",
            ".",
            "\u3002",
            "[",
            "]",
            "-",
            "_",
            "*",
        ),
        *("crm.example.com", "b\u00fccher", "xn--bcher-kva", "xn--a", "\u00df", "\u0130", "\u017f", "\u212a", "\u2100"),
        *("127.0.0.1", "::1", "::ffff:", "0x7f", "0177", "2130706433", "1", "\uff11", "\u2460", "localhost", "nip.io"),
        *("443", "8443", "80", "\uff14", "\u00ad", "\u200d", "\u202e", "\ufeff", "\uff0f", "\uff20", "\uff1a", "a"),
    ]
)


@given(st.lists(PARTS | st.characters(), max_size=8).map("".join))
def test_what_passes_means_the_same_to_other_parsers_and_never_an_address(text: str) -> None:
    """The host that is judged is the one that Python's parser sees, and the C library reads no number in it."""
    for url in (text, "https://" + text, f"https://crm.example.com{text}/", f"https://{text}.example.com/"):
        found = target(url, ())
        if isinstance(found, Target):
            parts = urlsplit(url)
            host = parts.hostname or ""
            host = host if host.isascii() else idna.encode(host, uts46=True, std3_rules=True).decode()
            assert (found.scheme, found.host, found.port) == (parts.scheme, host, parts.port or 443)
            assert (found.scheme, found.port in (443, 8443), "." in found.host) == ("https", True, True)
            with pytest.raises(OSError, match="illegal IP address"):
                socket.inet_aton(found.host)


@given(st.text(max_size=80), st.booleans())
def test_any_text_has_a_verdict_and_no_verdict_tells_a_path(text: str, opened: bool) -> None:
    allowed = LOOPBACK if opened else ()
    for url in (text, "https://" + text, f"https://crm.example.com/{text}", f"https://a.b:{text}"):
        assert url_verdict(url, allowed).sentence
    assert "hidden" not in url_verdict(f"https://crm.example.com/hidden?hidden{text}", allowed).sentence
