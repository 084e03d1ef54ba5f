"""The ranges of addresses and the names that are not the public internet, each with its reason.

Pure data, ours to change: the registries for special purposes (RFC 6890 and its successors) and one cloud's address.
`egress` reads it; nothing else should.
"""

from ipaddress import IPv4Network, IPv6Network
from typing import Literal

Reason = Literal[
    "public",
    "allowed",
    "bad-address",
    "this-network",
    "private",
    "shared",
    "loopback",
    "link-local",
    "protocol",
    "documentation",
    "as112",
    "amt",
    "6to4",
    "nat64",
    "mapped",
    "benchmarking",
    "multicast",
    "reserved",
    "cloud",
    "too-long",
    "characters",
    "scheme",
    "userinfo",
    "port",
    "host",
    "special-name",
    "ip-literal",
]
"""Why an address or a URL passes (`public`, `allowed`) or not: fixed words that log, metric and tests share."""

V4_FORBIDDEN: tuple[tuple[IPv4Network, Reason], ...] = (
    (IPv4Network("0.0.0.0/8"), "this-network"),
    (IPv4Network("10.0.0.0/8"), "private"),
    (IPv4Network("100.64.0.0/10"), "shared"),
    (IPv4Network("127.0.0.0/8"), "loopback"),
    (IPv4Network("168.63.129.16/32"), "cloud"),  # a public number, but Azure's host agent answers there
    (IPv4Network("169.254.0.0/16"), "link-local"),  # cloud metadata lives here
    (IPv4Network("172.16.0.0/12"), "private"),
    (IPv4Network("192.0.0.0/24"), "protocol"),
    (IPv4Network("192.0.2.0/24"), "documentation"),
    (IPv4Network("192.31.196.0/24"), "as112"),
    (IPv4Network("192.52.193.0/24"), "amt"),
    (IPv4Network("192.88.99.0/24"), "6to4"),
    (IPv4Network("192.168.0.0/16"), "private"),
    (IPv4Network("192.175.48.0/24"), "as112"),
    (IPv4Network("198.18.0.0/15"), "benchmarking"),
    (IPv4Network("198.51.100.0/24"), "documentation"),
    (IPv4Network("203.0.113.0/24"), "documentation"),
    (IPv4Network("224.0.0.0/4"), "multicast"),
    (IPv4Network("240.0.0.0/4"), "reserved"),
)
"""Every IPv4 range that is not the public internet; the rest is public."""

V6_PUBLIC = IPv6Network("2000::/3")
"""The only part of IPv6 that is handed out; all else is refused, named or not."""

V6_FORBIDDEN: tuple[tuple[IPv6Network, Reason], ...] = (
    (IPv6Network("2001::/23"), "protocol"),  # Teredo and other ways through
    (IPv6Network("2001:db8::/32"), "documentation"),
    (IPv6Network("2002::/16"), "6to4"),
    (IPv6Network("2620:4f:8000::/48"), "as112"),
    (IPv6Network("3fff::/20"), "documentation"),
    # Outside 2000::/3 these rows only give the refusal a better name.
    (IPv6Network("::/128"), "this-network"),
    (IPv6Network("::1/128"), "loopback"),
    (IPv6Network("64:ff9b::/96"), "nat64"),
    (IPv6Network("64:ff9b:1::/48"), "nat64"),
    (IPv6Network("fc00::/7"), "private"),
    (IPv6Network("fe80::/10"), "link-local"),
    (IPv6Network("ff00::/8"), "multicast"),
)
"""IPv6 ranges that are refused by name; whatever lies outside `V6_PUBLIC` is refused as `reserved`."""

SPECIAL_NAMES = (
    *("localhost", "localdomain", "local", "internal", "intranet", "private", "lan", "home", "corp"),
    *("arpa", "onion", "alt", "test", "invalid"),
    *("nip.io", "sslip.io", "xip.io", "localtest.me", "lvh.me", "vcap.me"),
)
"""Suffixes that never name a public host, and public ones that resolve to whatever address the name spells.

Not a wall: the address decides at connect time. It is an early, clear answer for whoever writes the hook.
"""
