"""Where a webhook may go: a name that leads inside must not turn the daemon into somebody's errand boy (SSRF).

Loopback, link-local, private and other addresses that are not for the public internet are refused unless a network in
`allow_networks` holds them. The address that was judged is the one to connect to: a name may resolve anew in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")
_INSIDE = (IPv6Network("::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("fec0::/10"))
"""What Python may call global and is not: IPv4-compatible addresses, a site's own NAT64, and site-local ones."""


class TargetNotAllowedError(Exception):
    """Every address of a target is refused; the text says which, and what to do."""


def networks(given: Iterable[str]) -> list[Network]:
    """Read networks such as 10.0.0.0/8 or fd00::/8; ValueError where one is none."""
    return [ip_network(one) for one in given]


def allowed_address(host: str, addresses: Sequence[str], allowed: Sequence[Network]) -> str:
    """Return the first address of `host` that may be connected to; TargetNotAllowedError where none may."""
    for address in addresses:
        if _allowed(address, allowed):
            return address
    message = (
        f"{host} leads to {', '.join(dict.fromkeys(addresses))}, which is not on the public internet: where that is "
        f"meant, name its network in the sink's allow_networks"
    )
    raise TargetNotAllowedError(message)


def _allowed(text: str, allowed: Sequence[Network]) -> bool:
    address = _plain(ip_address(text.partition("%")[0]))
    if address.is_global and not address.is_multicast and not any(address in network for network in _INSIDE):
        return True
    return any(address.version == network.version and address in network for network in allowed)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 one stands for (mapped, 6to4, NAT64), as that is where it leads."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address
