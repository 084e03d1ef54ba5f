"""May a request go to this address, or this URL? A verdict with a named reason (CONTRACT 5, "Where it may go").

Decides by our own `address_table`: Python's `is_global` and `is_private` are wrong for multicast, NAT64, 6to4 and a
dozen other ranges, and they change between versions. Knows nothing of DNS: whoever connects asks `peer_verdict`
again for every resolved address, and once more for the socket itself.

Two rules hold it together. Public addresses are reached by https on ports 443 and 8443 only. Everything else
(http, other ports, other addresses) is reached only inside the networks that the operator opened. Because http is
refused on 443 and 8443, a port alone tells the connecting side which of the two rules applies.
"""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import idna
from msgspec import Struct

from streams.core.address_table import SPECIAL_NAMES, V4_FORBIDDEN, V6_FORBIDDEN, V6_PUBLIC, Reason

Networks = tuple[IPv4Network | IPv6Network, ...]

HTTPS_PORTS = frozenset({443, 8443})
"""Ports on which public addresses may be reached."""

URL_CHARS_MAX = 2048
"""Longest URL; what common servers and proxies accept."""

NAME_CHARS_MAX = 253
"""Longest name that DNS has room for, as it is written and as it is sent."""

TARGETS_MAX = 4096
"""URLs whose parts are remembered; at most 8 MiB."""


class Verdict(Struct, frozen=True):
    """A fixed word, and one plain sentence that names the host at most, never a path or a query."""

    reason: Reason
    sentence: str

    @property
    def ok(self) -> bool:
        """Whether a request may go there."""
        return self.reason in ("public", "allowed")


class Target(Struct, frozen=True):
    """A URL that passed the grammar, in one spelling: host as A-labels or bare literal, path with its query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_literal(self) -> bool:
        """Whether the host is an address, for which nobody has to be asked."""
        return ":" in self.host or _NUMERIC.match(self.host.rsplit(".", 1)[-1]) is not None


ALL_V4, ALL_V6 = IPv4Network("0.0.0.0/0"), IPv6Network("::/0")

CARRYING = (IPv6Network("64:ff9b::/96"), IPv6Network("::ffff:0:0:0/96"), IPv6Network("::/96"))
"""Networks whose addresses end in the IPv4 address that is meant: NAT64 and its older relatives."""

LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
"""NAT64 by a network's own rules: where the IPv4 address stands in it only that network knows. Opened by name alone."""

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?]*)(?P<path>[^?]*)(?P<query>\?.*)?\Z")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]*\]|[^:\[\]]*)(?::(?P<port>[1-9][0-9]{0,4}))?\Z")
_FORBIDDEN_CHARS = re.compile(r"[\x00-\x20\x7f\\\"<>^`{}#]")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_NUMERIC = re.compile(r"([0-9]+|0x[0-9a-f]*)\Z")


def networks(cidrs: Iterable[str]) -> Networks:
    """The networks of `HOOKLINE_ALLOW_NETWORKS`; raises ValueError for a text that is none."""
    return tuple(ipaddress.ip_network(cidr) for cidr in cidrs)


def address_verdict(address: str, allowed: Networks) -> Verdict:
    """May a request go to this address? What the operator opened passes, with two exceptions.

    An IPv6 address that carries an IPv4 address leads there, so it passes only if that one does: opening `::/0` opens
    no IPv4 address. And what a cloud serves to its own machines is opened by name only, by a network no wider than
    its row in the table: whoever opens all private addresses did not mean the credentials of this machine.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return Verdict("bad-address", "an address is not written as one")
    if isinstance(ip, IPv6Address) and ip.scope_id is not None:
        return Verdict("bad-address", "an address with a zone belongs to one machine's interface")
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    if _opened(mapped or ip, allowed):
        return Verdict("allowed", f"{ip} lies in a network that the operator opened")
    reason = _row(mapped or ip)[1]
    if reason == "public" and mapped:
        reason = "mapped"  # no honest DNS answer spells a public IPv4 address this way
    if reason == "public":
        return Verdict("public", f"{ip} is a public address")
    return Verdict(reason, f"{ip} is not a public address ({reason}); HOOKLINE_ALLOW_NETWORKS can open its network")


def peer_verdict(address: str, port: int, allowed: Networks) -> Verdict:
    """May a connection be opened to this address and port? Ports other than those of https only inside `allowed`."""
    verdict = address_verdict(address, allowed)
    if verdict.reason == "public" and port not in HTTPS_PORTS:
        return Verdict("port", f"port {port} may be reached only in networks that HOOKLINE_ALLOW_NETWORKS opens")
    return verdict


def url_verdict(url: str, allowed: Networks) -> Verdict:
    """May a hook have this URL? A literal address is judged here, those of a name when connecting.

    With `allowed` empty a name must be public-looking and reached by https on 443 or 8443. With networks opened,
    `http`, other ports and local names pass here, and `peer_verdict` then insists on an address inside them.
    """
    found = target(url, allowed)
    if isinstance(found, Verdict):
        return found
    return Verdict("allowed" if allowed else "public", f"{found.host} may be tried; its addresses are judged then")


@lru_cache(maxsize=TARGETS_MAX)
def target(url: str, allowed: Networks) -> Target | Verdict:
    """The parts of a URL by our own strict grammar, or the verdict that refuses it.

    Remembered per URL, for a sender asks before every attempt: 35 microseconds of about 300.
    """
    if len(url) > URL_CHARS_MAX:
        return Verdict("too-long", f"the URL has {len(url)} characters: at most {URL_CHARS_MAX}")
    parts = _URL.match(url)
    if _FORBIDDEN_CHARS.search(url) or parts is None:
        return Verdict("characters", "the URL must look like https://host/path, without fragment, spaces or quotes")
    if not (parts["path"] + (parts["query"] or "")).isascii():
        return Verdict("characters", "the URL's path and query must be ASCII: percent-encode the rest")
    scheme = parts["scheme"].lower()
    if scheme not in ("https", "http"):
        return Verdict("scheme", "the URL must begin with https://")
    if "@" in parts["authority"]:
        return Verdict("userinfo", "the URL must hold no user or password: use a custom header")
    authority = _AUTHORITY.match(parts["authority"])
    if authority is None or int(authority["port"] or 443) > 65535:
        return Verdict("host", "the URL's host and port are not written as host or host:port")
    host = _host(authority["host"], allowed)
    if isinstance(host, Verdict):
        return host
    port = int(authority["port"] or (443 if scheme == "https" else 80))
    path = ("" if parts["path"] else "/") + parts["path"] + (parts["query"] or "")
    return _placed(scheme, port, allowed) or Target(scheme, host, port, path)


def _placed(scheme: str, port: int, allowed: Networks) -> Verdict | None:
    """The refusal that scheme and port earn, if any: without opened networks only https on its ports."""
    if scheme == "https" and port in HTTPS_PORTS:
        return None
    if scheme == "http" and port in HTTPS_PORTS:
        return Verdict("port", f"port {port} speaks https: write https://, or another port")
    if not allowed and scheme == "http":
        return Verdict("scheme", "the URL must begin with https://; http is for networks in HOOKLINE_ALLOW_NETWORKS")
    if not allowed:
        return Verdict("port", f"port {port} is for networks in HOOKLINE_ALLOW_NETWORKS: use 443 or 8443")
    return None


def _host(text: str, allowed: Networks) -> str | Verdict:
    """The host in its one spelling (lower case, A-labels, canonical literal), or the refusal."""
    if text.startswith("["):
        return _literal(text[1:-1], allowed) if ":" in text else Verdict("host", "only an IPv6 address has brackets")
    name = _name(text)
    if name is None:
        return Verdict("host", "the URL's host is no valid international domain name")
    labels = name.split(".")
    if len(name) > NAME_CHARS_MAX or not all(_LABEL.match(label) for label in labels):
        return Verdict("host", "the URL's host must be made of labels of letters, digits and hyphens")
    if _NUMERIC.match(labels[-1]):
        return _literal(name, allowed)
    if allowed or (len(labels) > 1 and not _is_special(name)):
        return name
    return Verdict("special-name", f"{name} is no public name; HOOKLINE_ALLOW_NETWORKS can open a local network")


def _name(text: str) -> str | None:
    """A name in lower case and A-labels; None when it is none, or when an A-label stands for something else.

    `xn--` may be followed by anything: what decodes to an ASCII name, to a dot, or to letters that no label may have
    would be one name to us and another one to whoever reads it.
    """
    if len(text) > NAME_CHARS_MAX:  # before the costly part, which is not for whole books
        return None
    try:
        name = text.lower() if text.isascii() else idna.encode(text, uts46=True, std3_rules=True).decode()
        for label in name.split("."):
            if label.startswith("xn--"):
                idna.ulabel(label)
    except UnicodeError:
        return None
    return name


def _literal(text: str, allowed: Networks) -> str | Verdict:
    """An address written in place of a name: passes only inside the opened networks, and only in canonical form.

    `127.1`, `0x7f.1`, `0177.0.0.1` and `2130706433` all mean loopback to one parser or another; `ipaddress` reads none.
    """
    verdict = address_verdict(text, allowed)
    if verdict.reason == "allowed":
        return str(ipaddress.ip_address(text))
    if verdict.reason == "public":
        return Verdict("ip-literal", "the URL's host must be a name, not an address")
    return verdict


def _is_special(name: str) -> bool:
    return any(name == suffix or name.endswith("." + suffix) for suffix in SPECIAL_NAMES)


def _opened(ip: IPv4Address | IPv6Address, allowed: Networks) -> bool:
    """Whether the operator opened this address, and any IPv4 address inside it."""
    around = [network for network in allowed if ip in network]
    row, reason = _row(ip)
    if reason == "cloud" or row == LOCAL_NAT64:
        around = [network for network in around if network.prefixlen >= row.prefixlen]
    carried = _carried(ip)
    return bool(around) and (carried is None or _row(carried)[1] == "public" or _opened(carried, allowed))


def _carried(ip: IPv4Address | IPv6Address) -> IPv4Address | None:
    """The IPv4 address at which a gateway or a tunnel would deliver what is sent to this IPv6 address."""
    if isinstance(ip, IPv4Address):
        return None
    if int(ip) > 1 and any(ip in network for network in CARRYING):  # not `::` and `::1`, which are themselves
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def _row(ip: IPv4Address | IPv6Address) -> tuple[IPv4Network | IPv6Network, Reason]:
    """The row of the table that the address is in, `public` and `reserved` being rows too."""
    if isinstance(ip, IPv4Address):
        return next((row for row in V4_FORBIDDEN if ip in row[0]), (ALL_V4, "public"))
    rest: Reason = "public" if ip in V6_PUBLIC else "reserved"
    return next((row for row in V6_FORBIDDEN if ip in row[0]), (ALL_V6, rest))
