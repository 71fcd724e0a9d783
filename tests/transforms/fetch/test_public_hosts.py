"""Which addresses are public: none that reaches inside, by whatever name."""

import pytest

from transforms.fetch.public_hosts import is_public


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "93.184.216.34",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "2606:4700:4700::1111",
        "2a00:1450:4001:830::200e",
        "::ffff:8.8.8.8",
    ],
)
def test_a_host_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
    ],
)
def test_an_ipv4_address_with_a_special_purpose_is_not_public(address: str) -> None:
    assert not is_public(address)
    assert not is_public(f"::ffff:{address}")


@pytest.mark.parametrize(
    "address",
    [
        "::",
        "::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "100::1",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "4000::1",
    ],
)
def test_an_ipv6_address_with_a_special_purpose_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "::8.8.8.8",
        "::169.254.169.254",
        "64:ff9b::8.8.8.8",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::10.0.0.1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2002:a9fe:a9fe::1",
        "2002:808:808::1",
    ],
    ids=[
        "compatible",
        "compatible metadata",
        "nat64",
        "nat64 metadata",
        "local nat64",
        "teredo",
        "6to4 metadata",
        "6to4",
    ],
)
def test_an_address_that_leads_on_to_another_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("name", ["localhost", "", "0x7f000001", "127.1", "2130706433", "010.0.0.1", "8.8.8.8:80"])
def test_what_is_no_literal_address_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        is_public(name)
