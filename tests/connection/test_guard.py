"""`AddressGuard`: which addresses it refuses, however they are written or wrapped.

The blocks are those of IANA's two registries of special-purpose addresses, each with what the
registry says of it: whether it is globally reachable. Its first and last address are tried, and the
neighbours just outside.
"""

from __future__ import annotations

import ipaddress
import pickle
import socket
from typing import Any, Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sleepwalker import ConfigurationError, Connection, PrivateAddressError, RefusedError
from sleepwalker.connection import AddressGuard

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

REFUSED_V4: Final = (
    "0.0.0.0/8",
    "0.0.0.0/32",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",  # globally reachable, but anycast: what answers is the nearest, maybe inside
    "192.0.0.10/32",  # the same
    "192.0.0.170/32",
    "192.0.0.171/32",
    "192.0.2.0/24",
    "192.88.99.0/24",  # deprecated
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",  # multicast has a registry of its own
    "240.0.0.0/4",
    "255.255.255.255/32",
)
REACHABLE_V4: Final = ("192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24")
"""What stands in the registry and is globally reachable."""
REFUSED_V6: Final = (
    "::/128",
    "::1/128",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",  # Teredo
    "2001:1::1/128",  # these three: as above
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    # What is no block for global unicast at all (RFC 4291, section 2.4).
    "::/96",
    "::ffff:0:0:0/96",
    "4000::/3",
    "1000::/4",
)
REACHABLE_V6: Final = ("2620:4f:8000::/48",)
OUTSIDE: Final = (
    *("1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0"),
    *("126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255"),
    *("172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.1.255", "192.0.3.0"),
    *("192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255"),
    *("198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0"),
    *("223.255.255.255", "168.63.129.15", "168.63.129.17"),
    *("2000::", "2001:200::", "2001:db7:ffff::", "2001:db9::", "3ffe:ffff:ffff::"),
    *("3fff:1000::", "2606:4700:4700::1111", "3fff:ffff::"),
)
METADATA: Final = {
    "AWS, GCP, Azure, and most others": "169.254.169.254",
    "AWS ECS": "169.254.170.2",
    "AWS over IPv6": "fd00:ec2::254",
    "GCP over IPv6": "fd20:ce::254",
    "OpenStack over IPv6": "fe80::a9fe:a9fe%2",
    "Azure": "168.63.129.16",
    "Alibaba": "100.100.100.200",
    "Oracle": "192.0.0.192",
    "Tencent": "169.254.0.23",
    "Scaleway over IPv6": "fd00:42::42",
}
STANDING_FOR_ANOTHER: Final = tuple(
    ipaddress.IPv6Network(text) for text in ("::ffff:0:0/96", "64:ff9b::/96", "2002::/16")
)
OWN_NAT64: Final = "2001:470:64::/96"

GUARD: Final = AddressGuard()


def refuses(address: str, guard: AddressGuard = GUARD) -> bool:
    """Whether a guard refuses an address."""
    try:
        guard.check(address)
    except PrivateAddressError:
        return True
    return False


def ends(network: str) -> list[str]:
    """The first and the last address of a network."""
    net = ipaddress.ip_network(network)
    return [str(net[0]), str(net[-1])]


def wrapped(address: str) -> dict[str, str]:
    """An IPv4 address in each form in which IPv6 carries one."""
    number = int(ipaddress.IPv4Address(address))
    high, low = f"{number >> 16:x}", f"{number & 0xFFFF:x}"
    return {
        "mapped": f"::ffff:{address}",
        "mapped, in full": f"0:0:0:0:0:ffff:{high}:{low}",
        "mapped, in capitals": f"::FFFF:{high}:{low}".upper(),
        "NAT64": f"64:ff9b::{high}:{low}",
        "6to4": f"2002:{high}:{low}::1",
        "ISATAP": f"2606:4700::5efe:{address}",
        "ISATAP, of a universal identifier": f"2606:4700::200:5efe:{address}",
        "ISATAP in 6to4": f"2002:808:808::5efe:{address}",
        "NAT64 under a prefix of one's own": f"2001:470:64::{high}:{low}",
    }


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("network", [*REFUSED_V4, *REFUSED_V6])
def test_every_block_that_is_not_global_unicast_is_refused_from_end_to_end(network: str) -> None:
    assert [refuses(address) for address in ends(network)] == [True, True]


def test_what_is_globally_reachable_or_outside_of_the_blocks_is_let_through() -> None:
    reachable = [end for network in (*REACHABLE_V4, *REACHABLE_V6) for end in ends(network)]

    assert [address for address in (*reachable, *OUTSIDE) if refuses(address)] == []


@settings(max_examples=50)
@given(st.ip_addresses())
def test_python_knows_no_special_address_that_is_let_through(address: IPAddress) -> None:
    stands_for_another = address.version == 6 and any(
        address in net for net in STANDING_FOR_ANOTHER
    )
    assume(not address.is_global and not stands_for_another)

    assert refuses(str(address))


@pytest.mark.parametrize("cloud", METADATA)
def test_the_metadata_service_of_a_cloud_is_refused(cloud: str) -> None:
    assert refuses(METADATA[cloud])


@pytest.mark.parametrize("how", wrapped("1.2.3.4"))
def test_an_address_in_another_is_judged_as_what_it_stands_for(how: str) -> None:
    guard = AddressGuard(nat64=[OWN_NAT64])
    inside = ["127.0.0.1", "10.1.2.3", *(a for a in METADATA.values() if ":" not in a)]

    assert [address for address in inside if not refuses(wrapped(address)[how], guard)] == []
    assert not refuses(wrapped("8.8.8.8")[how], guard)


def test_without_being_told_of_it_a_nat64_prefix_is_any_prefix() -> None:
    assert not refuses(wrapped("10.1.2.3")["NAT64 under a prefix of one's own"])


def test_a_compatible_address_is_refused_whatever_it_carries() -> None:
    assert refuses("::8.8.8.8")


def test_teredo_is_refused_whatever_it_carries() -> None:
    # Server 8.8.8.8, client 8.8.4.4 (RFC 4380, section 4: its bits are inverted).
    assert refuses("2001:0:808:808::f7f7:fbfb")


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "1.2.3"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(PrivateAddressError, match="it is no IP address"):
        GUARD.check(text)


@pytest.mark.parametrize(
    "text", ["2130706433", "0177.0.0.1", "0x7f.1", "0x7f000001", "127.1", "127.0.1", "017700000001"]
)
def test_an_address_in_another_notation_is_a_loopback_address_to_the_resolver(text: str) -> None:
    """Why the guard sees what the resolver makes of a host, and not the host."""
    found = {sockaddr[0] for *_, sockaddr in socket.getaddrinfo(text, 80, 0, socket.SOCK_STREAM)}

    assert found == {"127.0.0.1"}
    assert refuses("127.0.0.1")


# --- what is said -------------------------------------------------------------------------------


def test_the_error_says_which_rule_it_is_and_how_to_allow_it() -> None:
    with pytest.raises(PrivateAddressError) as caught:
        GUARD.check("10.1.2.3", "inside.example")

    assert str(caught.value) == (
        "inside.example is at 10.1.2.3, which is not global unicast (private use, RFC 1918): "
        "the address guard refuses it; if it is meant, say AddressGuard(allow=['10.1.2.3'])"
    )
    assert isinstance(caught.value, RefusedError)
    assert caught.value.error_type == "private_address"
    assert not caught.value.transient
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - our own


@pytest.mark.parametrize("host", [None, "10.1.2.3"])
def test_an_address_that_was_given_as_such_is_named_once(host: str | None) -> None:
    with pytest.raises(PrivateAddressError, match=r"^10\.1\.2\.3, which is not"):
        GUARD.check("10.1.2.3", host)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "fe80::1%2", "fe80::1%eth0", *wrapped("10.1.2.3").values()],
)
def test_what_the_error_says_to_say_allows_it(address: str) -> None:
    guard = AddressGuard(allow=[address], nat64=[OWN_NAT64])

    assert not refuses(address, guard)
    assert refuses("192.168.0.1", guard)


# --- what is allowed ----------------------------------------------------------------------------


def test_what_is_allowed_is_let_through_in_every_form_and_nothing_else_is() -> None:
    guard = AddressGuard(allow=["10.20.0.0/16", "fd00:1::/32"])

    assert not refuses("10.20.0.1", guard)
    assert not refuses("10.20.255.255", guard)
    assert refuses("10.21.0.0", guard)
    assert not refuses("fd00:1::1", guard)
    assert refuses("fd00:2::1", guard)
    assert not refuses(wrapped("10.20.0.1")["mapped"], guard)
    assert not refuses(wrapped("10.20.0.1")["NAT64"], guard)
    assert refuses(wrapped("10.21.0.0")["mapped"], guard)


def test_an_allowed_address_within_one_that_is_not_allows_only_itself() -> None:
    guard = AddressGuard(allow=["10.20.0.0/16"])

    assert refuses("fe80::5efe:10.20.0.1", guard)


def test_objects_of_ipaddress_are_networks_too() -> None:
    network = ipaddress.ip_network("10.20.0.0/16")

    guard = AddressGuard(allow=[network, ipaddress.ip_address("::1")])  # type: ignore[list-item]

    assert repr(guard) == "AddressGuard(allow=['10.20.0.0/16', '::1/128'])"


@pytest.mark.parametrize("setting", ["allow", "nat64"])
@pytest.mark.parametrize(
    "value",
    [
        "10.0.0.0/8",
        b"10.0.0.0/8",
        5,
        None,
        [None],
        [True],
        [2130706433],
        [b"\x7f\x00\x00\x01"],
        ["10.0.0.1/8"],
        ["localhost"],
        [""],
    ],
)
def test_what_is_no_list_of_networks_is_refused(setting: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        AddressGuard(**{setting: value})


@pytest.mark.parametrize("prefix", ["10.0.0.0/8", "2001:470:64::/64", "2001:470:64::1"])
def test_a_nat64_prefix_has_96_bits(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="96 bits"):
        AddressGuard(nat64=[prefix])


def test_a_guard_tells_what_it_was_given_and_pickles() -> None:
    guard = AddressGuard(allow=["10.20.0.0/16"], nat64=[OWN_NAT64])

    copy = pickle.loads(pickle.dumps(guard))  # noqa: S301 - our own

    assert repr(copy) == repr(guard)
    assert repr(guard) == f"AddressGuard(allow=['10.20.0.0/16'], nat64=['{OWN_NAT64}'])"
    assert repr(GUARD) == "AddressGuard()"
    assert not refuses("10.20.0.1", copy)


@pytest.mark.parametrize("guard", [True, AddressGuard, "10.0.0.0/8"])
def test_a_connection_takes_a_guard_and_nothing_else(guard: Any) -> None:
    with pytest.raises(ConfigurationError, match="guard must be an AddressGuard or None"):
        Connection("https://host.example", ("reader", "pw"), guard=guard)
