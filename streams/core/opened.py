"""What a network that the operator opens to hooks holds besides the public internet: words for start-up and `doctor`.

Judges nothing that is sent: `egress` does, address by address.
"""

from ipaddress import IPv4Network, IPv6Network, ip_address

from streams.core.address_table import V4_FORBIDDEN, V6_FORBIDDEN

METADATA = tuple(
    map(
        ip_address,
        (
            *("169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200"),
            *("fd00:ec2::254", "fd20:ce::254"),
        ),
    )
)
"""Where clouds hand credentials to whoever asks from inside: all of them by 169.254.169.254, some elsewhere besides."""


def holds(network: IPv4Network | IPv6Network) -> list[str]:
    """Words for what lies in a network: `everything`, `cloud metadata`, then names of the special ranges it touches.

    Empty for a network of public addresses alone, in which http and every port are allowed all the same.
    """
    words = []
    if network.prefixlen == 0:
        words.append("everything")
    if any(address in network for address in METADATA):
        words.append("cloud metadata")
    if isinstance(network, IPv4Network):
        return list(dict.fromkeys([*words, *(reason for range_, reason in V4_FORBIDDEN if range_.overlaps(network))]))
    return list(dict.fromkeys([*words, *(reason for range_, reason in V6_FORBIDDEN if range_.overlaps(network))]))


def is_dangerous(network: IPv4Network | IPv6Network) -> bool:
    """Whether whoever may write a hook could reach credentials there, or anything at all."""
    return not {"everything", "cloud metadata"}.isdisjoint(holds(network))
