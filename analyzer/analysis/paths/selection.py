"""Which connections a picture is about."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import polars as pl

from analyzer.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Selection:
    """What to keep: connections for which each given condition holds.

    Parameters
    ----------
    services : tuple of str
        ``NAME`` or ``NAMESPACE/NAME``; the connection called one of them.
    pods : tuple of str
        ``NAME`` or ``NAMESPACE/NAME``; one of them called or was meant to answer.
    clients : tuple of str
        Address, network (``192.168.2.0/24``), pod or node; the caller.
    """

    services: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything is left out."""
        return bool(self.services or self.pods or self.clients)


def select(connections: pl.LazyFrame, selection: Selection) -> pl.LazyFrame:
    """Keep the connections that a picture is about.

    Parameters
    ----------
    connections : pl.LazyFrame
        The connections table, names and addresses as strings.

    Raises
    ------
    QueryError
        If no connection has what a condition names; the hint has the nearest names.
    """
    pods = ("client_pod", "backend_pod")
    for what, values, columns, extra in (
        ("service", selection.services, ("service_name",), None),
        ("pod", selection.pods, pods, None),
        ("client", selection.clients, ("client_pod", "client_node"), "client_ip"),
    ):
        if not values:
            continue
        conditions = []
        for value in values:
            condition = _names(value, columns)
            if extra is not None:
                condition = condition | _is_within(value, extra, connections)
            found = connections.filter(condition).head(1).collect()
            if found.is_empty():
                raise QueryError(
                    f"no connection has the {what} {value!r}",
                    hint=_like(
                        value, connections, (*columns, *([extra] if extra else []))
                    ),
                )
            conditions.append(condition)
        connections = connections.filter(pl.any_horizontal(conditions))
    return connections


def _names(value: str, columns: Iterable[str]) -> pl.Expr:
    namespace, slash, name = value.rpartition("/")
    conditions = []
    for column in columns:
        condition = pl.col(column) == (name if slash else value)
        if slash:
            whose = column.rsplit("_", 1)[0] + "_namespace"
            condition = condition & (pl.col(whose) == namespace)
        conditions.append(condition)
    return pl.any_horizontal(conditions).fill_null(value=False)


def _is_within(value: str, column: str, connections: pl.LazyFrame) -> pl.Expr:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return pl.lit(value=False)
    known = connections.select(pl.col(column).unique()).collect()[column].drop_nulls()
    within = [each for each in known if ipaddress.ip_address(each) in network]
    return pl.col(column).is_in(within)


def _like(value: str, connections: pl.LazyFrame, columns: Iterable[str]) -> str:
    known = (
        pl.concat([connections.select(name=column) for column in columns])
        .drop_nulls()
        .unique()
        .sort("name")
        .collect()["name"]
        .to_list()
    )
    like = get_close_matches(value.rpartition("/")[2], known, n=3, cutoff=0.4)
    if like:
        return f"did you mean {' or '.join(like)}?"
    return f"there are: {', '.join(known[:8])}" if known else "there is none at all"
