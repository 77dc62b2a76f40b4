"""The cluster's tables, for joins; their columns are described at ``Cluster``."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import polars as pl

    from analyzer.cluster.lookup import Address, AddressIndex
    from analyzer.cluster.model import Endpoint, ProxyRule, Service, ServicePort

_PORTS = ("port", "backend_port")
_BOOLEANS = ("affinity", "is_ready")

_ADDRESS = ("address", "kind", "name", "namespace", "node", "workload")
_SERVICE_PORT = ("service_namespace", "service_name", "service_port_name")
_SERVICE = ("address", "port", "protocol", "kind", *_SERVICE_PORT)
_RULE = (
    *("node", "proxy", "address", "port", "protocol", "kind", *_SERVICE_PORT),
    *("scope", "affinity", "scheduler", "backend_ip", "backend_port", "probability"),
)
_ENDPOINT = (
    *(*_SERVICE_PORT, "protocol", "port", "backend_ip", "backend_port"),
    *("backend_node", "backend_pod", "is_ready"),
)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> pl.DataFrame:
    import polars as pl

    def dtype(name: str) -> type[pl.DataType]:
        if name == "probability":
            return pl.Float64
        if name in _BOOLEANS:
            return pl.Boolean
        return pl.UInt16 if name in _PORTS else pl.String

    schema = {name: dtype(name) for name in columns}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def address_table(addresses: Iterable[Address]) -> pl.DataFrame:
    """Tabulate addresses, in their order."""
    rows = ([getattr(item, name) for name in _ADDRESS] for item in addresses)
    return _table(_ADDRESS, rows)


def service_table(index: AddressIndex) -> pl.DataFrame:
    """Tabulate where services answer, sorted."""
    import polars as pl

    rows = (
        (ip, port, protocol, kind, service.namespace, service.name, port_name)
        for ip, port, protocol, service, kind, port_name in index.fronts()
    )
    return _table(_SERVICE, rows).sort(pl.all(), nulls_last=True)


def rule_table(rules: Iterable[ProxyRule]) -> pl.DataFrame:
    """Tabulate rules and their backends, in their order."""
    return _table(_RULE, _rule_rows(rules))


def _rule_rows(rules: Iterable[ProxyRule]) -> Iterator[tuple[object, ...]]:
    for rule in rules:
        front = (
            rule.node,
            rule.proxy,
            rule.address,
            rule.port,
            rule.protocol,
            rule.kind,
            rule.namespace,
            rule.service,
            rule.port_name,
            rule.scope,
            rule.affinity,
            rule.scheduler,
        )
        if rule.backends == ():
            yield (*front, None, None, None)
        for backend in rule.backends or ():
            yield (*front, backend.address, backend.port, backend.probability)


def endpoint_table(
    endpoints: Iterable[Endpoint], services: Iterable[Service]
) -> pl.DataFrame:
    """Tabulate endpoints with the ports of their services, sorted."""
    import polars as pl

    ports: dict[tuple[str, str], list[ServicePort]] = defaultdict(list)
    for service in services:
        ports[service.namespace, service.name] += service.ports
    rows = dict.fromkeys(
        (
            item.namespace,
            item.service,
            port.name if port and port.name else item.port_name,
            port.protocol if port else item.protocol,
            port.port if port else None,
            item.address,
            number,
            item.node,
            item.pod,
            item.ready,
        )
        for item in endpoints
        for port, number in _ports_of(item, ports[item.namespace, item.service])
    )
    return _table(_ENDPOINT, rows).sort(pl.all(), nulls_last=True)


def _ports_of(
    item: Endpoint, ports: Sequence[ServicePort]
) -> list[tuple[ServicePort | None, int | None]]:
    """Give the service's ports that an endpoint is behind, each with its own."""
    of_protocol = [
        port for port in ports if item.protocol in (None, port.protocol)
    ] or list(ports)
    if item.port is None:  # it stands for all of them
        targets = [
            (port, port.target_port if isinstance(port.target_port, int) else None)
            for port in of_protocol
        ]
        return [*targets] or [(None, None)]
    by_name = [
        port for port in of_protocol if port.name and port.name == item.port_name
    ]
    by_target = [
        port for port in of_protocol if item.port == (port.target_port or port.port)
    ]
    for found in (by_name, by_target, of_protocol):
        if len({port.port for port in found}) == 1:
            return [(found[0], item.port)]
    return [(None, item.port)]
