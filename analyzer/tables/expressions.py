"""What tables say of addresses and points, as expressions over their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def is_v6(address: str | pl.Expr) -> pl.Expr:
    """Tell whether an address is one of IPv6."""
    import polars as pl

    column = pl.col(address) if isinstance(address, str) else address
    return column.cast(pl.String).str.contains(":", literal=True)


def ip_and_port(ip: str, port: str | pl.Expr) -> pl.Expr:
    """Write ``10.1.0.2:80``, ``[fd00::2]:80`` (RFC 3986), without a port the address.

    Parameters
    ----------
    ip : str
        A column of texts.
    port : str or pl.Expr
    """
    import polars as pl

    number = pl.col(port) if isinstance(port, str) else port
    return (
        pl.when(number.is_null())
        .then(pl.col(ip))
        .when(is_v6(ip))
        .then(pl.format("[{}]:{}", ip, number))
        .otherwise(pl.format("{}:{}", ip, number))
    )


def host_of(point: str) -> pl.Expr:
    """Take the host from a column of observation points: what is before the slash."""
    import polars as pl

    return pl.col(point).cast(pl.String).str.split("/").list.first()


def device_of(point: str) -> pl.Expr:
    """Take the interface from a column of observation points; null if there is none."""
    import polars as pl

    parts = pl.col(point).cast(pl.String).str.split("/")
    return parts.list.get(1, null_on_oob=True)
