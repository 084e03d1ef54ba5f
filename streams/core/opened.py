"""What a network that the operator opens to hooks holds besides the public internet: words for `doctor`.

Judges nothing that is sent: `egress` does, address by address.
"""

from ipaddress import IPv4Network, IPv6Network

from streams.core.address_table import V4_FORBIDDEN, V6_FORBIDDEN

DANGEROUS = frozenset({"everything", "cloud", "link-local"})
"""Clouds hand credentials to whoever asks from inside, at link-local addresses and some of their own."""


def holds(network: IPv4Network | IPv6Network) -> list[str]:
    """Words for what lies in a network: `everything`, then the names of the special ranges that it touches.

    Empty for a network of public addresses alone, in which http and every port are allowed all the same. What a cloud
    serves to its own machines is named only where it is opened by a network no wider than its row in the table.
    """
    rows = V4_FORBIDDEN if isinstance(network, IPv4Network) else V6_FORBIDDEN
    words = [
        reason
        for row, reason in rows
        if row.overlaps(network) and (reason != "cloud" or network.prefixlen >= row.prefixlen)
    ]
    return list(dict.fromkeys(["everything", *words] if network.prefixlen == 0 else words))


def is_dangerous(network: IPv4Network | IPv6Network) -> bool:
    """Whether whoever may write a hook could reach credentials there, or anything at all."""
    return not DANGEROUS.isdisjoint(holds(network))
