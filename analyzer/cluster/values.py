"""Single values as they stand in cluster state, checked and in one spelling."""

from __future__ import annotations

import ipaddress
import re

from analyzer.errors import ClusterError

PROTOCOLS = ("tcp", "udp", "sctp")


def address(text: str) -> str:
    """Write an IP address in canonical form."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ClusterError(f"{text!r} is not an IP address") from None


def cidr(text: str) -> str:
    """Write an address block in canonical form."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ClusterError(f"{text!r} is not an address block") from None


def port(value: object) -> int:
    """Give a port number, from 1 to 65535."""
    if isinstance(value, str) and re.fullmatch("[0-9]{1,5}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ClusterError(f"{value!r} is not a port number")
    if not 1 <= value <= 65535:
        raise ClusterError(f"{value} is not a port number (1 to 65535)")
    return value


def protocol(text: str) -> str:
    """Write a transport protocol as the tables do."""
    name = text.lower()
    if name not in PROTOCOLS:
        raise ClusterError(f"{text!r} is not TCP, UDP or SCTP")
    return name


def pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Read ``name=nginx,tier=web``, sorted; ``<none>`` is empty."""
    if text == "<none>":
        return ()
    found = []
    for item in text.split(","):
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise ClusterError(f"{text!r} is not a list of KEY=VALUE")
        found.append((key, value))
    return tuple(sorted(found))
