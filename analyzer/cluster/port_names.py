"""Names of service ports, as kube-proxy writes them into its rules' comments.

``kube-system/kube-dns:dns`` is a ``ServicePortName``; without a port name it is
``default/web``, and was ``default/web:`` before Kubernetes 1.16.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_NAME = re.compile(
    r"(?P<namespace>[a-z0-9][a-z0-9.-]*)/(?P<service>[a-z0-9][a-z0-9.-]*)"
    r"(?::(?P<port>[a-z0-9-]*))?(?: (?P<rest>.*))?$"
)


class PortName(NamedTuple):
    """A service's namespace and name, the name of its port, what follows."""

    namespace: str | None = None
    service: str | None = None
    port_name: str | None = None
    rest: str = ""


def port_name(comment: str) -> PortName:
    """Read a comment; all is None if it is none of kube-proxy's about a service."""
    match = _NAME.match(comment)
    if match is None:
        return PortName()
    return PortName(
        match["namespace"],
        match["service"],
        match["port"] or None,
        match["rest"] or "",
    )
