"""What the nodes themselves say: kube-proxy's rules and tracked connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.cli.format import plural
from analyzer.cli.sparse import print_known
from analyzer.cli.table import Column, Forms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from analyzer.cli.output import Output
    from analyzer.cluster import Cluster, ProxyRule


def print_rules(state: Cluster, output: Output) -> None:
    """Count each node's rules by what they are for."""
    by_node: dict[tuple[str | None, str], list[ProxyRule]] = {}
    for rule in state.rules:
        by_node.setdefault((rule.node, rule.proxy), []).append(rule)
    print_known(
        output,
        f"{plural(len(state.rules), 'rule')} of kube-proxy",
        [
            Column("node", is_essential=True),
            Column("mode", is_essential=True),
            *(
                Column(name, align_right=True)
                for name in (
                    "cluster_ips",
                    "node_ports",
                    "external_ips",
                    "others",
                    "backends",
                    "refused",
                )
            ),
        ],
        [
            (
                node,
                proxy,
                _count(rules, "ClusterIP"),
                _count(rules, "NodePort"),
                _count(rules, "LoadBalancer"),
                _count(rules, None),
                len({item.address for rule in rules for item in rule.backends or ()}),
                sum(rule.backends == () for rule in rules) or None,
            )
            for (node, proxy), rules in by_node.items()
        ],
        narrowing=("others", "refused", "backends", "external_ips"),
    )


def _count(rules: list[ProxyRule], kind: str | None) -> int | None:
    """Count addresses and ports, of which a rule for each scope may be there."""
    fronts = {
        (rule.address, rule.port, rule.protocol) for rule in rules if rule.kind == kind
    }
    return len(fronts) or None


def print_conntrack(state: Cluster, output: Output) -> None:
    """Count each node's entries, and say from when to when they are."""
    rows = list(_conntrack_by_node(state))
    total = sum(row["entries"] for row in rows)
    print_known(
        output,
        f"{plural(total, 'tracked connection')}",
        [
            Column("node", is_essential=True),
            Column("entries", align_right=True),
            Column("translated", align_right=True),
            Column("first", _time_forms),
            Column("last", _time_forms),
        ],
        [tuple(row.values()) for row in rows],
        narrowing=("first", "last", "last", "first"),
    )


def _time_forms(time: datetime | None) -> Forms:
    if time is None:
        return "-"
    return f"{time:%Y-%m-%d %H:%M:%S} UTC", f"{time:%H:%M:%S}"


def conntrack_records(state: Cluster) -> Iterator[dict[str, Any]]:
    """Give a record for each node; the entries themselves may be a million."""
    for row in _conntrack_by_node(state):
        yield {"kind": "conntrack", **row}


def _conntrack_by_node(state: Cluster) -> Iterator[dict[str, Any]]:
    if state.conntrack is None:
        return
    import polars as pl

    def differs(one: str, other: str) -> pl.Expr:
        return pl.col(one).ne_missing(pl.col(other))

    is_translated = (
        differs("src_ip", "reply_dst_ip")
        | differs("src_port", "reply_dst_port")
        | differs("dst_ip", "reply_src_ip")
        | differs("dst_port", "reply_src_port")
        | differs("icmp_id", "reply_icmp_id")
    )
    by_node = (
        state.conntrack_table()
        .group_by("node")
        .agg(
            entries=pl.len(),
            translated=is_translated.sum(),
            first=pl.col("start_time").min(),
            last=pl.col("start_time").max(),
        )
    )
    yield from by_node.sort("node", nulls_last=True).iter_rows(named=True)
