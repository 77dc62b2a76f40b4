"""Who answered where the packets behind DNAT were not seen.

A NIC shows what leaves its node for another one. A connection that was answered, and of
which nothing left the node that took it in, was answered on that node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analyzer.correlate.naming import EVIDENCE
from analyzer.correlate.services import SERVICE
from analyzer.correlate.sightings import ON_ITS_WAY, is_unread_tunnel
from analyzer.tables.expressions import ip_and_port, is_v6

if TYPE_CHECKING:
    from analyzer.correlate.services import Services

#: Candidates that are listed; more of them tell nothing.
_MOST_CANDIDATES = 32


def cut_short(flows: pl.LazyFrame) -> pl.DataFrame:
    """Find points whose snapshot length hides what is in their tunnels.

    Parameters
    ----------
    flows : pl.LazyFrame
        The flows table.

    Returns
    -------
    pl.DataFrame
        One row per ``point`` and IP version (``is_v6``, bool) of what may be hidden.

    Notes
    -----
    Of headers that were cut, TCP's numbers are the first to be missed. Where none of
    the inside is left, it may be of any version, but for one that was read here in
    tunnels of the other version only.
    """
    is_numberless = (
        pl.col("tunnel").is_not_null()
        & (pl.col("protocol") == "tcp")
        & pl.col("originator_seq_start").is_null()
        & pl.col("responder_seq_start").is_null()
    )
    cut = (
        flows.filter(is_unread_tunnel() | is_numberless)
        .select("point", "tunnel", is_v6=is_v6("originator_ip"))
        .unique()
        .collect()
    )
    numberless = cut.filter(pl.col("tunnel").is_not_null()).select("point", "is_v6")
    unread = cut.filter(pl.col("tunnel").is_null()).select("point", outer="is_v6")
    if unread.is_empty():
        return numberless
    versions = pl.DataFrame({"is_v6": [False, True]})
    elsewhere = (
        flows.filter(pl.col("tunnel").is_not_null() & ~is_numberless)
        .select(
            "point", is_v6=is_v6("originator_ip"), outer=~is_v6("outer_originator_ip")
        )
        .unique()
        .filter(pl.len().over("point", "is_v6") == 1)
        .collect()
    )
    hidden = unread.join(versions, how="cross").join(
        elsewhere, on=["point", "outer", "is_v6"], how="anti"
    )
    return pl.concat([numberless, hidden.select("point", "is_v6")]).unique()


def watched(
    pairs: pl.DataFrame, spans: pl.DataFrame, roles: pl.DataFrame, cut: pl.DataFrame
) -> pl.DataFrame:
    """Find the nodes on whose NIC a capture would have shown what leaves them.

    Parameters
    ----------
    pairs : pl.DataFrame
        ``passing`` of :class:`analyzer.correlate.survey.Survey`.
    spans : pl.DataFrame
        One row per ``point``: ``start`` and ``end`` of what was seen there (i64, ns).
    roles : pl.DataFrame
        See :func:`analyzer.correlate.addresses.address_roles`.
    cut : pl.DataFrame
        See :func:`cut_short`.

    Returns
    -------
    pl.DataFrame
        One row per node and IP version: ``node`` (str), ``is_v6`` (bool), ``since`` and
        ``until`` (i64, ns, the time that its captures span).

    Notes
    -----
    Only a point that shows tunnels is believed to show all of them: a capture that was
    filtered for a service's port would make every backend look local.
    """
    names = roles.lazy().filter(pl.col("role") == "node").select("code", "node")
    numbered = pairs.lazy().with_row_index("pair")
    ends = pl.concat(
        [
            numbered.select("point", "pair", "flows", code=f"outer_{side}")
            for side in ("originator", "responder")
        ]
    )
    # A point with one peer only does not tell which of the two it is at, unless its
    # name does.
    is_named = pl.col("point").cast(pl.String).str.starts_with(pl.col("node") + "/")
    return (
        ends.join(names, on="code")
        .unique(["pair", "node"])
        .group_by("point", "node")
        .agg(ending=pl.col("flows").sum())
        .join(numbered.group_by("point").agg(pl.col("flows").sum()), on="point")
        .filter(pl.col("ending") == pl.col("flows"))
        .filter((pl.len().over("point") == 1) | is_named)
        .select("point", "node")
        .join(pl.LazyFrame({"is_v6": [False, True]}), how="cross")
        .join(cut.lazy(), on=["point", "is_v6"], how="anti")
        .join(spans.lazy().select("point", since="start", until="end"), on="point")
        .group_by("node", "is_v6")
        .agg(pl.col("since").min(), pl.col("until").max())
        .drop_nulls()
        .collect()
    )


def with_backends(
    connections: pl.DataFrame, known: Services, watched_nodes: pl.DataFrame
) -> pl.DataFrame:
    """Name backends by elimination, and list the candidates where several are left.

    Parameters
    ----------
    connections : pl.DataFrame
        With services, ``entry_node`` and ``is_backend_known``.
    known : Services
    watched_nodes : pl.DataFrame
        See :func:`watched`.

    Returns
    -------
    pl.DataFrame
        The same, with ``backend_ip``, ``backend_port``, ``endpoint_pod``,
        ``endpoint_node`` and ``backend_evidence``.
    """
    # One that is not ready now may have been, and one that served may be no more.
    endpoints = (
        known.endpoints.lazy()
        .filter("is_complete")
        .unique([*SERVICE, "protocol", "backend_ip", "backend_port"])
        .with_columns(is_v6=is_v6("backend_ip"))
        .sort("backend_ip", "backend_port")
    )
    open_ = connections.lazy().filter(
        ~pl.col("is_backend_known")
        & pl.col("is_answered")
        & (pl.col("service_evidence") == "observed")
    )
    # A leg in a tunnel would have the numbers of the one outside. What has none to tell
    # it by might be there and not be recognised.
    local = (
        open_.with_columns(is_v6=is_v6("destination_ip"))
        .join(
            watched_nodes.lazy(),
            left_on=["entry_node", "is_v6"],
            right_on=["node", "is_v6"],
            how="left",
        )
        .select(
            "group",
            pl.col("protocol").cast(pl.String),
            *SERVICE,
            "entry_node",
            "is_v6",
            is_local=(
                pl.col("is_numbered")
                & (pl.col("since") <= pl.col("start") + ON_ITS_WAY)
                & (pl.col("start") <= pl.col("until"))
            ).fill_null(value=False),
        )
    )
    matches = (
        local.join(endpoints, on=[*SERVICE, "protocol", "is_v6"], nulls_equal=True)
        .filter(
            ~pl.col("is_local")
            | (pl.col("backend_node") == pl.col("entry_node")).fill_null(value=True)
        )
        .sort("group", "backend_ip", "backend_port")
    )
    found = (
        matches.group_by("group", maintain_order=True)
        .agg(
            pl.len().alias("left"),
            pl.col("is_local").first(),
            pl.col("backend_ip", "backend_port", "backend_pod", "backend_node").first(),
            ip_and_port("backend_ip", "backend_port").alias("backend_candidates"),
        )
        .with_columns(
            pl.when(pl.col("left") == 1).then(name).alias(f"found_{name}")
            for name in ("backend_ip", "backend_port", "backend_pod", "backend_node")
        )
        .select(
            "group",
            "is_local",
            "left",
            "^found_.*$",
            backend_candidates=pl.when(
                (pl.col("left") > 1) & (pl.col("left") <= _MOST_CANDIDATES)
            ).then("backend_candidates"),
        )
        .collect()
    )
    is_seen = pl.col("is_backend_known")
    return (
        connections.join(found, on="group", how="left", maintain_order="left")
        .with_columns(
            backend_ip=pl.when(is_seen)
            .then("backend_ip")
            .otherwise("found_backend_ip"),
            backend_port=pl.when(is_seen)
            .then((pl.col("backend") % 65536).cast(pl.UInt16))
            .otherwise("found_backend_port"),
            found_backend_pod=pl.when(~is_seen).then("found_backend_pod"),
            found_backend_node=pl.when(~is_seen).then("found_backend_node"),
            backend_evidence=pl.when(is_seen & pl.col("backend_told"))
            .then(pl.lit("conntrack", EVIDENCE))
            .when(is_seen)
            .then(pl.lit("observed", EVIDENCE))
            .when((pl.col("left") == 1) & pl.col("is_local"))
            .then(pl.lit("eliminated", EVIDENCE))
            .when(pl.col("left") == 1)
            .then(pl.lit("unique", EVIDENCE))
            .when(pl.col("left") > 1)
            .then(pl.lit("ambiguous", EVIDENCE))
            .otherwise(pl.lit("none", EVIDENCE)),
            candidates=pl.coalesce("candidates", "backend_candidates"),
        )
        .drop("left", "is_local", "backend_candidates")
    )
