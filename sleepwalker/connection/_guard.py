"""Which addresses may be connected to: an opt-in guard against links into a private network.

Rules:

1. What counts is the address that is connected to, never how it is written: a name, a decimal or
   an octal number are all resolved first, once, and the very address that was checked is used.
2. Of a name's addresses, one that is refused refuses the name: who mixes them means no good.
3. An address that stands for another (IPv4 in IPv6: mapped, NAT64, 6to4, ISATAP) is that other one.
4. What the IANA registries of special-purpose addresses say is not global unicast is refused, and
   so are the addresses of cloud metadata services that lie outside of those.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from sleepwalker.exceptions import ConfigurationError, PrivateAddressError

if TYPE_CHECKING:
    from collections.abc import Iterator

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_NETWORKS = IPAddress | ipaddress.IPv4Network | ipaddress.IPv6Network
"""What is taken for a network beside its text."""

_SPECIAL: Final[tuple[tuple[Any, str], ...]] = tuple(
    (ipaddress.ip_network(network), what)
    for network, what in (
        # https://www.iana.org/assignments/iana-ipv4-special-registry, and where else they stand.
        ("0.0.0.0/8", "this network, RFC 791"),
        ("10.0.0.0/8", "private use, RFC 1918"),
        ("100.64.0.0/10", "shared address space, RFC 6598"),
        ("127.0.0.0/8", "loopback, RFC 1122"),
        ("168.63.129.16/32", "the metadata service of Azure"),
        ("169.254.0.0/16", "link-local, RFC 3927, and cloud metadata services"),
        ("172.16.0.0/12", "private use, RFC 1918"),
        ("192.0.0.0/24", "IETF protocol assignments, RFC 6890"),
        ("192.0.2.0/24", "documentation, RFC 5737"),
        ("192.88.99.0/24", "6to4 relays, RFC 7526"),
        ("192.168.0.0/16", "private use, RFC 1918"),
        ("198.18.0.0/15", "benchmarking, RFC 2544"),
        ("198.51.100.0/24", "documentation, RFC 5737"),
        ("203.0.113.0/24", "documentation, RFC 5737"),
        ("224.0.0.0/4", "multicast, RFC 1112"),
        ("240.0.0.0/4", "reserved, RFC 1112"),
        # https://www.iana.org/assignments/iana-ipv6-special-registry
        ("::1/128", "loopback, RFC 4291"),
        ("::/128", "the unspecified address, RFC 4291"),
        ("100::/64", "discard-only, RFC 6666"),
        ("2001::/23", "IETF protocol assignments, RFC 2928"),
        ("2001:db8::/32", "documentation, RFC 3849"),
        ("3fff::/20", "documentation, RFC 9637"),
        ("5f00::/16", "segment routing, RFC 9602"),
        ("64:ff9b:1::/48", "local translation, RFC 8215"),
        ("fc00::/7", "unique local, RFC 4193"),
        ("fe80::/10", "link-local, RFC 4291"),
        ("fec0::/10", "site-local, RFC 3879"),
        ("ff00::/8", "multicast, RFC 4291"),
    )
)
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
"""What IANA has given out as global unicast (RFC 4291): all else is refused."""
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})
"""The first half of an interface identifier of ISATAP (RFC 5214, section 6.1): the second half is
the IPv4 address that the site's router sends to."""
_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""The well-known prefix of NAT64 (RFC 6052): the last 32 bits are the IPv4 address."""


class AddressGuard:
    """Refuses connections to every address that is not global unicast.

    ::

        Connection("https://api.example.com", auth, guard=AddressGuard())
        AddressGuard(allow=["10.20.0.0/16"])  # but for one's own services

    With it a connection resolves its host's name once, connects to the very address that was
    checked, and refuses proxies and mounted adapters, which would connect elsewhere. Names and
    certificates are checked as without it.

    :param allow: networks (or addresses) that may be connected to all the same
    :param nat64: further prefixes, of 96 bits, whose last 32 bits are an IPv4 address (RFC 6052);
        the well-known one is always known
    :raises ConfigurationError: for what is no network
    """

    __slots__ = ("_nat64", "allow")

    def __init__(self, *, allow: Iterable[str] = (), nat64: Iterable[str] = ()) -> None:
        self.allow = _networks("allow", allow)
        self._nat64 = (_TRANSLATED, *_networks("nat64", nat64))
        if any(net.version != 6 or net.prefixlen != 96 for net in self._nat64):
            msg = "nat64 must be IPv6 prefixes of 96 bits, such as '2001:db8:64::/96'"
            raise ConfigurationError(msg)

    def check(self, address: str, host: str | None = None) -> None:
        """Refuse an address that must not be connected to.

        :param address: as the resolver gave it, maybe with its interface (``fe80::1%eth0``)
        :param host: the name that it was found for, as it may be shown
        :raises PrivateAddressError: when it is not global unicast, and not allowed
        """
        what = self._refused(address)
        if what is not None:
            named = "" if host in {None, address} else f"{host} is at "
            msg = (
                f"{named}{address}, which is not global unicast ({what}): the address guard "
                f"refuses it; if it is meant, say AddressGuard(allow=[{address!r}])"
            )
            raise PrivateAddressError(msg)

    def _refused(self, address: str) -> str | None:
        """Why an address is refused, or `None`."""
        try:
            given = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return "it is no IP address"
        if self._allows(given):
            # Whoever allows the address on the wire allows what it stands for.
            return None
        reasons = (_special(each) for each in self._forms(given) if not self._allows(each))
        return next((what for what in reasons if what is not None), None)

    def _allows(self, address: IPAddress) -> bool:
        return any(address in net for net in self.allow if net.version == address.version)

    def _forms(self, address: IPAddress) -> Iterator[IPAddress]:
        """What an address is, as far as it is to be judged."""
        if isinstance(address, ipaddress.IPv4Address):
            yield address
            return
        bits = int(address)
        last = ipaddress.IPv4Address(bits & 0xFFFFFFFF)
        mapped = address.ipv4_mapped or address.sixtofour
        if mapped is None and any(address in net for net in self._nat64):
            mapped = last
        yield address if mapped is None else mapped
        if bits >> 32 & 0xFFFFFFFF in _ISATAP:
            yield last

    def __repr__(self) -> str:
        given = {"allow": self.allow, "nat64": self._nat64[1:]}
        shown = (f"{name}={[str(net) for net in nets]}" for name, nets in given.items() if nets)
        return f"AddressGuard({', '.join(shown)})"


def _special(address: IPAddress) -> str | None:
    """What an address is, other than global unicast; or `None`."""
    for network, what in _SPECIAL:
        if address.version == network.version and address in network:
            return str(what)
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_V6:
        return "not given out by IANA"
    return None


def _networks(setting: str, texts: Any) -> tuple[Any, ...]:
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        msg = f"{setting} must be a list of networks, such as ['10.20.0.0/16']"
        raise ConfigurationError(msg)
    made = []
    for text in texts:
        if not isinstance(text, str | _NETWORKS):
            # `ipaddress` would take a number, or True, for an address.
            msg = f"{setting} must have networks as text, such as '10.20.0.0/16', not {text!r}"
            raise ConfigurationError(msg)
        try:
            made.append(ipaddress.ip_network(text))
        except ValueError as error:
            msg = f"{setting}: {text!r} is no network: {error}"
            raise ConfigurationError(msg) from None
    return tuple(made)


def checked_guard(guard: object) -> AddressGuard | None:
    """A guard as a setting takes it.

    :raises ConfigurationError: when it is neither one nor `None`
    """
    if guard is not None and not isinstance(guard, AddressGuard):
        msg = f"guard must be an AddressGuard or None, not {type(guard).__name__}"
        raise ConfigurationError(msg)
    return guard
