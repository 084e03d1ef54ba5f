"""The ranges of addresses and the names that are not the public internet, each with its reason.

Pure data, ours to change: IANA's registries for special purposes (RFC 6890 and its successors), and the addresses at
which clouds serve credentials or their own services. `egress` reads it; nothing else should.
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
    "teredo",
    "nat64",
    "mapped",
    "translated",
    "site-local",
    "discard",
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
    (IPv4Network("100.100.100.200/32"), "cloud"),  # Alibaba's metadata
    (IPv4Network("161.26.0.0/16"), "cloud"),  # public numbers, but IBM's services for its own machines
    (IPv4Network("166.8.0.0/14"), "cloud"),  # likewise
    (IPv4Network("168.63.129.16/32"), "cloud"),  # a public number, but Azure's host agent answers there
    (IPv4Network("169.254.0.23/32"), "cloud"),  # Tencent's metadata
    (IPv4Network("169.254.169.254/32"), "cloud"),  # everybody's metadata: AWS, Azure, Google, Oracle and others
    (IPv4Network("169.254.170.2/32"), "cloud"),  # credentials of AWS containers
    (IPv4Network("169.254.170.23/32"), "cloud"),  # credentials of AWS pods
    (IPv4Network("192.0.0.192/32"), "cloud"),  # Oracle's older metadata
    (IPv4Network("0.0.0.0/8"), "this-network"),
    (IPv4Network("10.0.0.0/8"), "private"),
    (IPv4Network("100.64.0.0/10"), "shared"),
    (IPv4Network("127.0.0.0/8"), "loopback"),
    (IPv4Network("169.254.0.0/16"), "link-local"),
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
"""Every IPv4 range that is not the public internet, the first that fits decides; the rest is public."""

V6_PUBLIC = IPv6Network("2000::/3")
"""The only part of IPv6 that is handed out; all else is refused, named or not."""

V6_FORBIDDEN: tuple[tuple[IPv6Network, Reason], ...] = (
    (IPv6Network("2001::/32"), "teredo"),
    (IPv6Network("2001:2::/48"), "benchmarking"),
    (IPv6Network("2001:3::/32"), "amt"),
    (IPv6Network("2001:4:112::/48"), "as112"),
    (IPv6Network("2001::/23"), "protocol"),
    (IPv6Network("2001:db8::/32"), "documentation"),
    (IPv6Network("2002::/16"), "6to4"),
    (IPv6Network("2620:4f:8000::/48"), "as112"),
    (IPv6Network("3fff::/20"), "documentation"),
    # Outside 2000::/3 these rows only give the refusal a better name.
    (IPv6Network("::/128"), "this-network"),
    (IPv6Network("::1/128"), "loopback"),
    (IPv6Network("::ffff:0:0:0/96"), "translated"),
    (IPv6Network("64:ff9b::/96"), "nat64"),
    (IPv6Network("64:ff9b:1::/48"), "nat64"),
    (IPv6Network("100::/64"), "discard"),
    (IPv6Network("fd00:42::42/128"), "cloud"),  # Scaleway's metadata
    (IPv6Network("fd00:c1::a9fe:a9fe/128"), "cloud"),  # Oracle's
    (IPv6Network("fd00:ec2::/64"), "cloud"),  # AWS: metadata at ::254, credentials of pods at ::23, names and time
    (IPv6Network("fd20:ce::254/128"), "cloud"),  # Google's
    (IPv6Network("fc00::/7"), "private"),
    (IPv6Network("fe80::/10"), "link-local"),
    (IPv6Network("fec0::/10"), "site-local"),
    (IPv6Network("ff00::/8"), "multicast"),
)
"""IPv6 ranges that are refused by name, the first that fits decides; all outside `V6_PUBLIC` is `reserved` at least."""

SPECIAL_NAMES = (
    # IANA's special-use names. Of the examples only the top one: example.com and its siblings are real hosts.
    *("alt", "arpa", "example", "invalid", "local", "localhost", "onion", "test"),
    # Set aside for private networks, by ICANN (internal), by RFC 6762 and by habit.
    *("internal", "localdomain", "intranet", "private", "lan", "home", "corp", "mail", "svc", "consul"),
    # Metadata services of clouds, where they have a public name.
    *("metadata.tencentyun.com", "metadata.cloud.ibm.com", "metadata.packet.net", "metadata.platformequinix.com"),
    # Public names that answer with whatever address the name spells, or with a first and a second answer in turn.
    *("nip.io", "sslip.io", "xip.io", "ip.es.io", "traefik.me", "backname.io", "ip6.name", "xip.name", "local-ip.co"),
    *("local-ip.sh", "rbndr.us", "1u.ms", "rebind.it", "rebind.network"),
    # Public names, and all below them, that answer with loopback.
    *("localtest.me", "lvh.me", "vcap.me", "fuf.me", "local.gd", "localho.st", "lacolhost.com", "lcl.host"),
    *("lndo.site", "ddev.site", "docksal.site", "42foo.com", "smackaho.st", "ulh.us", "ratchetlocal.com"),
    "127-0-0-1.org.uk",
)
"""Suffixes that never name a public host, and public ones that resolve to whatever their owner's guest likes.

Not a wall: the address decides at connect time. It is an early, clear answer for whoever writes the hook.
"""
