"""What a network that the operator opens holds, in words."""

from ipaddress import ip_network

import pytest

from streams.core.opened import holds, is_dangerous


@pytest.mark.parametrize(
    ("cidr", "words"),
    [
        ("127.0.0.0/8", ["loopback"]),
        ("127.0.0.1/32", ["loopback"]),
        ("126.0.0.0/8", []),
        ("10.1.0.0/16", ["private"]),
        ("192.0.0.0/8", ["protocol", "documentation", "as112", "amt", "6to4", "private"]),
        ("8.8.8.0/24", []),
        ("::1/128", ["loopback"]),
        ("fd00::/8", ["cloud metadata", "private"]),
        ("2606:4700::/32", []),
    ],
)
def test_a_network_holds_the_special_ranges_that_it_touches(cidr: str, words: list[str]) -> None:
    assert holds(ip_network(cidr)) == words


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "::/0"])
def test_a_network_of_all_addresses_holds_everything(cidr: str) -> None:
    assert holds(ip_network(cidr))[:2] == ["everything", "cloud metadata"]


@pytest.mark.parametrize("cidr", ["169.254.169.254/32", "169.254.0.0/16", "168.63.129.16/32", "0.0.0.0/0", "fd00::/8"])
def test_a_network_with_credentials_in_it_is_dangerous(cidr: str) -> None:
    assert is_dangerous(ip_network(cidr))


@pytest.mark.parametrize("cidr", ["169.254.169.253/32", "169.254.169.255/32", "127.0.0.0/8", "10.0.0.0/8", "8.0.0.0/8"])
def test_a_network_without_them_is_not(cidr: str) -> None:
    assert not is_dangerous(ip_network(cidr))
