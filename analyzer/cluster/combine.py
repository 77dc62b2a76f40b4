"""Several observations of one object, made into one.

The result does not depend on their order: JSON and YAML go before text, and what was
seen later before what was seen earlier. The first that tells something counts, except
for addresses and ports, which add up.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeVar

from analyzer.cluster.model import Endpoint, Interface, Node, Pod, Service, ServicePort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Thing = TypeVar("Thing", Node, Pod, Service, Endpoint, Interface)

_ADDED_UP = frozenset(
    {
        "addresses",
        "cluster_ips",
        "external_ips",
        "internal_ips",
        "ips",
        "named_ports",
        "pod_cidrs",
        "tunnel_ips",
    }
)


def each_once(
    things: Iterable[tuple[bool, Thing]],
    key: Callable[[Thing], Any],
    progress: Callable[[Thing], int] = lambda _: 0,
) -> tuple[Thing, ...]:
    """Combine observations that have the same key.

    Parameters
    ----------
    things : iterable of (bool, object)
        Whether it came as JSON or YAML, and what was seen.
    key : callable
        What tells objects apart; gives the order of the result.
    progress : callable, optional
        How far the object had come when it was seen: the farthest goes first.

    Returns
    -------
    tuple
        One object for each key.
    """
    groups = defaultdict(list)
    for structured, thing in things:
        groups[key(thing)].append((structured, thing))
    result = []
    for name in sorted(groups):
        group = groups[name]
        if len(group) > 1:
            group.sort(key=lambda seen: (not seen[0], -progress(seen[1]), repr(seen)))
        combined = group[0][1]
        for _, other in group[1:]:
            combined = _combined(combined, other)
        result.append(combined)
    return tuple(result)


def _combined(first: Any, other: Any) -> Any:
    """Fill in what the first observation does not tell."""
    filled = {}
    for field in dataclasses.fields(first):
        own, its = getattr(first, field.name), getattr(other, field.name)
        if field.name in _ADDED_UP:
            filled[field.name] = tuple(dict.fromkeys(own + its))
        elif field.name == "ports":
            filled[field.name] = _combined_ports(own, its)
        elif field.name == "host_network":
            filled[field.name] = own or its
        elif its is not None and own in (None, ()):
            filled[field.name] = its
    return dataclasses.replace(first, **filled)


def _combined_ports(
    first: tuple[ServicePort, ...], other: tuple[ServicePort, ...]
) -> tuple[ServicePort, ...]:
    ports = list(first)
    for port in other:
        for at, own in enumerate(ports):
            node_ports = {own.node_port, port.node_port} - {None}
            is_same = (own.protocol, own.port) == (port.protocol, port.port)
            if is_same and len(node_ports) < 2:  # a changed nodePort: both were used
                ports[at] = _combined(own, port)
                break
        else:
            ports.append(port)
    return tuple(ports)
