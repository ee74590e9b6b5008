"""Whose request it is, when proxies stand in between.

`X-Forwarded-For` is what anybody cares to write, except for the entries that our own proxies
appended at its end. So it is read from the end, and only as far as the addresses are those of
proxies that we trust; without any, the other end of the connection is the client.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from toka.rate_limiter._errors import InvalidLimitError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_HOPS: Final = 32
UNKNOWN: Final = "unknown"
"""The one bucket of all whose address is not known, such as clients of a Unix socket."""

_IPV6_BITS: Final = 128


class ClientAddress:
    """Finds the address to count by."""

    __slots__ = ("_ipv6_prefix", "_trusted")

    def __init__(self, trusted: Iterable[str] = (), *, ipv6_prefix: int = 64) -> None:
        """Prepare to read addresses.

        Args:
            trusted: Networks of our own proxies, as in `10.0.0.0/8`.
            ipv6_prefix: How many bits of an IPv6 address count: a subscriber is given at least a
                /64 and may change the rest with every request.

        Raises:
            InvalidLimitError: A network is malformed, or the prefix is not from 1 to 128.
        """
        if not 1 <= ipv6_prefix <= _IPV6_BITS:
            raise InvalidLimitError("An IPv6 prefix is 1 to 128 bits.")
        try:
            self._trusted = tuple([ip_network(network) for network in trusted])
        except ValueError as error:
            raise InvalidLimitError(f"A trusted proxy is no network: {error}.") from error
        self._ipv6_prefix = ipv6_prefix

    def of(self, peer: str | None, forwarded: Iterable[str] = ()) -> str:
        """Return the client's address in its one spelling, an IPv6 one as its network.

        Args:
            peer: The other end of the connection; None where it has no address.
            forwarded: Every `X-Forwarded-For` field of the request, in order.
        """
        address = _parse(peer or "")
        if address is None:
            return UNKNOWN
        hops = ",".join(forwarded).split(",")
        for hop in reversed(hops[-MAX_HOPS:]):
            if not self._is_trusted(address):
                break
            before = _parse(hop)
            if before is None:
                break  # What stands before something malformed was written by nobody we trust.
            address = before
        return self._spell(address)

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._trusted)

    def _spell(self, address: IPv4Address | IPv6Address) -> str:
        if isinstance(address, IPv4Address) or self._ipv6_prefix == _IPV6_BITS:
            return str(address)
        return str(IPv6Network((int(address), self._ipv6_prefix), strict=False))


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    text = text.strip()
    if text.startswith("["):  # [2001:db8::1]:443, as some proxies write it
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
