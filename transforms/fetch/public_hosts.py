"""Tell public internet addresses from all others.

A uri may come from a stranger's list, but the worker that fetches it is inside a private network, beside its metadata
server. `ipaddress.is_global` alone accepts addresses that lead inside in another form (6to4, NAT64, Teredo,
IPv4-mapped) and addresses of more than one host (multicast), so those are refused first.
"""

import ipaddress

# RFC 6890 and the IANA special-purpose registries: ranges that embed an IPv4 address, or lead to no public host.
_REFUSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # IETF protocol assignments
        "192.88.99.0/24",  # 6to4 relay anycast
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # local NAT64
        "100::/64",  # discard
        "2001::/23",  # IETF protocol assignments, Teredo among them
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "::/96",  # IPv4-compatible
        "fec0::/10",  # site-local
    )
)


def is_public(address: str) -> bool:
    """Whether a literal IPv4 or IPv6 address belongs to one public host."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if any(ip.version == network.version and ip in network for network in _REFUSED):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback)
