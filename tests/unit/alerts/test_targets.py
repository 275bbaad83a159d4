from __future__ import annotations

import pytest

from detector.alerts.targets import TargetNotAllowedError, allowed_address, networks

INSIDE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fd00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "2002:7f00:1::",
    "::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::10.0.0.1",
    "fec0::1",
]
OUTSIDE = ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::93.184.216.34"]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_that_is_not_on_the_public_internet_is_refused(address: str) -> None:
    with pytest.raises(TargetNotAllowedError, match=r"hook leads to .*allow_networks"):
        allowed_address("hook", [address], [])


@pytest.mark.parametrize("address", OUTSIDE)
def test_a_public_address_may_be_connected_to(address: str) -> None:
    assert allowed_address("hook", [address], []) == address


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.0.0.1", "127.0.0.0/8"),
        ("10.1.2.3", "10.1.0.0/16"),
        ("fd00::1", "fd00::/8"),
        ("::ffff:10.1.2.3", "10.0.0.0/8"),
    ],
)
def test_a_network_that_is_allowed_may_be_connected_to(address: str, network: str) -> None:
    assert allowed_address("hook", [address], networks([network])) == address
    with pytest.raises(TargetNotAllowedError):
        allowed_address("hook", [address], networks(["192.0.2.0/24", "2001:db8::/32"]))


def test_of_several_addresses_the_first_that_may_be_is_taken() -> None:
    assert allowed_address("hook", ["10.0.0.1", "93.184.216.34"], []) == "93.184.216.34"
