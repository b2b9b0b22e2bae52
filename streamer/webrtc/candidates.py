"""Says which ICE candidates of a peer are used: the server sends checks to each of them."""

from __future__ import annotations

import ipaddress

LEAST_PORT = 1024
"""Lower ports are of services that a peer could have the server knock at; no ICE agent gathers them. Behind a NAT that
maps to one, the peer's own checks show it (RFC 8445, 7.3.1.3)."""

_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


def is_usable(address: str, port: int) -> bool:
    """Says whether checks may go there.

    Names are not looked up: browsers hide their address behind ``.local`` names, and their own checks arrive before
    such a name is resolved.

    >>> [is_usable(address, 5000) for address in ("192.168.1.7", "127.0.0.1", "169.254.169.254", "a.local", "FE80::1")]
    [True, False, False, False, False]
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    no_peer = ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip == _BROADCAST
    return LEAST_PORT <= port < 1 << 16 and not no_peer
