"""Single values as they stand in cluster state, checked and in one spelling."""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import Literal

from analyzer.errors import ClusterError

PROTOCOLS = ("tcp", "udp", "sctp")
IP_VERSIONS = frozenset({4, 6})


@functools.lru_cache(maxsize=1 << 16)  # rules name the same ones on every node
def address(text: str) -> str:
    """Write an IP address in canonical form."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ClusterError(f"{text!r} is not an IP address") from None


def ip_version(canonical: str) -> Literal[4, 6]:
    """Tell IPv6 from IPv4 by an address's canonical form."""
    return 6 if ":" in canonical else 4


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


def socket(text: str) -> tuple[str, int | None]:
    """Read an address and a port: ``10.1.79.75:80``, ``[fd00::1]:80``."""
    if text.startswith("["):
        host, _, number = text[1:].partition("]")
        number = number.removeprefix(":")
    elif text.count(":") > 1:
        host, number = text, ""
    else:
        host, _, number = text.partition(":")
    return address(host), port(number) if number else None


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
