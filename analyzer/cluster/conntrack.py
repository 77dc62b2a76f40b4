"""Connection tracking entries, as ``conntrack -L`` and ``conntrack -E`` list them.

``/proc/net/nf_conntrack`` looks alike. There may be hundreds of thousands of lines, so
they are read as columns:

    [1795450271.397641]  [NEW] ipv4 2 tcp 6 120 SYN_SENT
        src=10.1.79.80 dst=10.152.183.130 sport=40001 dport=8080 [UNREPLIED]
        src=10.1.39.199 dst=10.1.79.80 sport=80 dport=40001 id=2060986768

For ICMP, ``type=8 code=0 id=27560`` stands in the place of the ports. ``-o ktimestamp``
adds ``[start=Mon Nov 23 16:11:36 2026]`` and ``[stop=...]`` in the node's local time.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from analyzer.cluster.found import Found
from analyzer.cluster.split import SUMMARY

if TYPE_CHECKING:
    import polars as pl

    from analyzer.cluster.split import TextPart

_HEAD = (
    r"^\s*(?:\[(?P<seconds>\d{1,10})\.(?P<microseconds>\d{6})\]\s*)?"
    r"(?:\[(?P<event>NEW|UPDATE|DESTROY)\]\s*)?"
    r"(?:ipv[46]\s+\d+\s+)?(?P<protocol>[a-z][\w-]*)\s+(?P<number>\d{1,3})\s"
)
_ADDRESS = r"[\da-fA-F.:]+"
_DIRECTION = (
    rf"^(?P<src_ip>{_ADDRESS}) dst=(?P<dst_ip>{_ADDRESS})"
    r"(?: sport=(?P<src_port>\d+) dport=(?P<dst_port>\d+)"
    r"| type=\d+ code=\d+ id=(?P<icmp_id>\d+))?"
    r"(?P<rest>.*)$"
)
_IPV4 = r"^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.|$)){4}$"
_CTIME = "%a %b %d %H:%M:%S %Y"
_VXLAN_PORTS = (4789, 8472)
_ADDRESSES = ("src_ip", "dst_ip", "reply_src_ip", "reply_dst_ip")


def read(part: TextPart, path: str) -> Found:
    """Read the lines of a part.

    Parameters
    ----------
    part : TextPart
        A part of the kind ``conntrack``.
    path : str
        The file, for the report.

    Returns
    -------
    Found
        With ``conntrack``: one row per line that was understood, in their order.
    """
    found = Found(path, part.line, "conntrack", host=part.host)
    lines, misread = read_lines(part.lines)
    found.conntrack = lines
    found.used = lines.height > 0
    found.others = lines.height
    found.own_addresses = _ends_of_all_tunnels(lines)
    for index in misread[:1]:
        reason = "no connection tracking entry"
        if len(misread) > 1:
            reason += f", as {len(misread) - 1} more of these lines"
        found.remark(part.line + index, part.lines[index].strip(), reason)
    return found


def read_lines(lines: list[str]) -> tuple[pl.DataFrame, list[int]]:
    """Read lines as columns.

    Returns
    -------
    pl.DataFrame
        One row per line that was understood: ``time`` (of the event), ``event`` (str),
        ``protocol``, the addresses, ports and ICMP ids of both directions, ``id``
        (u32), ``is_replied`` (bool), ``start``, ``stop`` (as told, in the node's
        time zone).
    list of int
        Indices of the lines that were not understood; blank ones are not counted.
    """
    import polars as pl

    parts = ("head", "original", "reply")
    table = (
        pl.LazyFrame({"line": lines}, schema={"line": pl.String})
        .with_row_index("index")
        .filter(pl.col("line") != "")
        .filter(~pl.col("line").str.starts_with(SUMMARY))
        .with_columns(pl.col("line").str.splitn("src=", 3).struct.rename_fields(parts))
        .unnest("line")
        .select(
            "index",
            pl.col("head").str.extract_groups(_HEAD),
            pl.col("original").str.extract_groups(_DIRECTION),
            pl.col("reply")
            .str.extract_groups(_DIRECTION)
            .name.map_fields(lambda name: f"reply_{name}"),
        )
        .unnest("head", "original", "reply")
        .select(
            "index",
            (
                pl.col("seconds").cast(pl.Int64) * 1_000_000_000
                + pl.col("microseconds").cast(pl.Int64) * 1000
            )
            .cast(pl.Datetime("ns", "UTC"))
            .alias("time"),
            "event",
            _protocol(),
            *_ADDRESSES,
            _number("src_port"),
            _number("dst_port"),
            _number("reply_src_port"),
            _number("reply_dst_port"),
            _number("icmp_id"),
            _number("reply_icmp_id"),
            pl.col("reply_rest")
            .str.extract(r" id=(\d+)")
            .cast(pl.UInt32, strict=False)
            .alias("id"),
            ~pl.col("rest")
            .str.contains("[UNREPLIED]", literal=True)
            .alias("is_replied"),
            _local_time("start"),
            _local_time("stop"),
        )
        .collect()
    )
    table = _with_canonical_addresses(table)
    is_understood = pl.all_horizontal(pl.col("protocol", *_ADDRESSES).is_not_null())
    misread = table.filter(~is_understood)["index"].to_list()
    return table.filter(is_understood).drop("index"), misread


def _ends_of_all_tunnels(lines: pl.DataFrame) -> set[str]:
    """Tell a node by what all of its tunnels have in common, if that is one address."""
    import polars as pl

    tunnels = lines.lazy().filter(
        pl.col("protocol") == "udp", pl.col("dst_port").is_in(_VXLAN_PORTS)
    )
    ends = tunnels.select("src_ip", "dst_ip").unique().collect().rows()
    common = set.intersection(*map(set, ends)) if ends else set()
    return common if len(common) == 1 else set()


def _protocol() -> pl.Expr:
    import polars as pl

    name = pl.col("protocol")
    return (
        pl.when(name == "icmpv6")
        .then(pl.lit("icmp6"))
        .when(name == "unknown")
        .then("number")
        .otherwise(name)
        .alias("protocol")
    )


def _number(name: str) -> pl.Expr:
    import polars as pl

    return pl.col(name).cast(pl.UInt16, strict=False)


def _local_time(name: str) -> pl.Expr:
    import polars as pl

    return (
        pl.col("reply_rest")
        .str.extract(rf"\[{name}=([^\]]+)\]")
        .str.replace("  ", " ", literal=True)  # the blank before a one-digit day
        .str.to_datetime(_CTIME, time_unit="ns", time_zone="UTC", strict=False)
        .alias(name)
    )


def _with_canonical_addresses(table: pl.DataFrame) -> pl.DataFrame:
    """Write IPv6 addresses in one spelling; what is no address becomes null."""
    import polars as pl

    columns = pl.col(*_ADDRESSES)
    is_ipv4 = columns.str.contains(_IPV4)
    others = pl.concat(
        [
            table.select(pl.col(name).alias("told"))
            .filter(~pl.col("told").str.contains(_IPV4))
            .unique()
            for name in _ADDRESSES
        ]
    )["told"].unique()
    spelling = {told: _canonical(told) for told in others}
    return table.with_columns(
        pl.when(is_ipv4)
        .then(columns)
        .otherwise(
            columns.replace_strict(spelling, default=None, return_dtype=pl.String)
        )
    )


def _canonical(told: str) -> str | None:
    try:
        return str(ipaddress.ip_address(told))
    except ValueError:
        return None
