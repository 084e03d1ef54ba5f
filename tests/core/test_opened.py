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
        ("192.168.0.0/15", ["private"]),
        ("8.8.8.0/24", []),
        ("168.63.129.16/32", ["cloud"]),
        ("168.63.128.0/17", []),  # a wider network does not open what a cloud serves
        ("::1/128", ["loopback"]),
        ("fd00::/8", ["private"]),
        ("2606:4700::/32", []),
    ],
)
def test_a_network_holds_the_special_ranges_that_it_touches(cidr: str, words: list[str]) -> None:
    assert holds(ip_network(cidr)) == words


@pytest.mark.parametrize(("cidr", "words"), [("0.0.0.0/0", {"loopback", "private"}), ("::/0", {"loopback", "private"})])
def test_a_network_of_all_addresses_holds_everything(cidr: str, words: set[str]) -> None:
    first, *others = holds(ip_network(cidr))
    assert first == "everything"
    assert words <= set(others)


@pytest.mark.parametrize(
    "cidr", ["169.254.169.254/32", "169.254.0.0/16", "168.63.129.16/32", "0.0.0.0/0", "::/0", "fe80::/10"]
)
def test_everything_and_places_of_credentials_are_dangerous(cidr: str) -> None:
    assert is_dangerous(ip_network(cidr))


@pytest.mark.parametrize("cidr", ["169.253.0.0/16", "169.255.0.0/16", "127.0.0.0/8", "10.0.0.0/8", "8.0.0.0/8"])
def test_a_network_without_them_is_not(cidr: str) -> None:
    assert not is_dangerous(ip_network(cidr))
