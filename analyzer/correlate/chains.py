"""One row per connection: where its path begins and ends, and what stands for it."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from analyzer.correlate.legs import PLACE

_AT_FIRST = (
    "protocol",
    "client",
    "client_ttl",
    "client_outer",
    "is_tunneled",
    "is_overlay",
    "is_pod_side",
    "raw_start",
)
_WHOLE = (
    "start",
    "end",
    "is_answered",
    "is_numbered",
    "requests",
    "handshake_rtt",
    "node",
)
_COUNTERS = tuple(
    f"{side}_{name}"
    for side in ("client", "server")
    for name in ("packets", "bytes", "payload_bytes")
)
#: What is known of a connection.
COLUMNS = (
    "group",
    *_AT_FIRST,
    "destination",
    "source",
    "backend",
    "tcp_state",
    *_COUNTERS,
    "retransmits",
    "flow_ids",
    "points",
    *_WHOLE,
)


def chains(ordered: pl.DataFrame) -> pl.DataFrame:
    """Reduce sightings to connections.

    Parameters
    ----------
    ordered : pl.DataFrame
        Sightings, sorted by ``group``: see
        :func:`analyzer.correlate.legs.in_path_order`.

    Returns
    -------
    pl.DataFrame
        One row per connection, sorted by ``group``: ``protocol``, ``client`` and
        ``destination`` (u64, the ends of the first tuple), ``source`` and ``backend``
        (those of the last), ``client_ttl``, ``client_outer``, ``is_tunneled``,
        ``is_overlay`` and ``raw_start`` (where its path begins), ``node`` (the first on
        the way), ``start``, ``end``, ``is_answered`` (bool), the counters of the
        sighting with the most payload, ``flow_ids`` and ``points`` (lists, in the order
        of the path; points as codes).
    """
    group = pl.col("group")
    ordered = _with_whole_lanes(ordered)
    begins = ordered.select((group != group.shift()).fill_null(value=True)).to_series()
    starts = begins.arg_true()
    ends = starts.shift(-1, fill_value=ordered.height) - 1
    first = ordered.select("group", *_AT_FIRST, destination="server")[starts]
    last = ordered.select(source="client", backend="server")[ends]
    best = ordered.select("tcp_state", *_COUNTERS, "retransmits")[_best(ordered)]
    found = pl.concat([first, last, best], how="horizontal").with_columns(
        flow_ids=_lists(ordered["flow_id"], starts),
        points=_points(ordered, begins, starts),
    )
    return _with_whole_groups(found, ordered)


def _with_whole_lanes(ordered: pl.DataFrame) -> pl.DataFrame:
    """Add up what timeouts have cut: pieces of one flow count as one."""
    lane = pl.struct("group", "lane").hash()
    if not ordered.select(lane.is_duplicated().any()).item():
        return ordered
    return ordered.with_columns(
        pl.col(*_COUNTERS, "retransmits", "requests").sum().over(lane)
    )


def _best(ordered: pl.DataFrame) -> pl.Series:
    """Find in each group the view with the most payload, then with flags, then packets.

    One that counts copies of other interfaces is worse than any that does not.
    """
    score = (
        (pl.col("copies") == 0).cast(pl.UInt64) * 2**62
        + pl.sum_horizontal("client_payload_bytes", "server_payload_bytes")
        .fill_null(0)
        .clip(0, 2**40)
        .cast(pl.UInt64)
        * 2**20
        + pl.col("tcp_state").is_not_null().cast(pl.UInt64) * 2**19
        + (pl.col("client_packets") + pl.col("server_packets")).clip(0, 2**19 - 1)
    )
    scored = ordered.select("group", score=score).with_row_index("row")
    is_best = pl.col("score") == pl.col("score").max().over("group")
    return scored.filter(is_best).filter(pl.col("group").is_first_distinct())["row"]


def _lists(values: pl.Series, starts: pl.Series) -> pl.Series:
    """Cut a column into lists that begin at `starts`."""
    offsets = pl.concat([starts, pl.Series([len(values)], dtype=pl.UInt32)])
    return pl.Series(
        pa.LargeListArray.from_arrays(
            offsets.cast(pl.Int64).to_arrow(), values.to_arrow()
        )
    )


def _points(ordered: pl.DataFrame, begins: pl.Series, starts: pl.Series) -> pl.Series:
    """List the points of each group, a place of several captures once."""
    is_new = ordered.select((PLACE.shift() != PLACE).fill_null(value=True)).to_series()
    is_new |= begins
    at = is_new.cum_sum().cast(pl.UInt32)[starts] - 1
    return _lists(ordered["point"].to_physical().filter(is_new), at)


def _with_whole_groups(found: pl.DataFrame, ordered: pl.DataFrame) -> pl.DataFrame:
    """Add what all sightings of a group tell together."""
    whole = (
        ordered.lazy()
        .group_by("group")
        .agg(
            pl.col("start").min(),
            pl.col("end").max(),
            pl.col("is_answered", "is_numbered").max(),
            pl.col("requests").max(),
            # The client's own is the longest.
            pl.col("handshake_rtt").max(),
        )
        .collect()
    )
    # On `lo`, no sighting has both ways.
    one_way = found.filter(pl.min_horizontal("client_packets", "server_packets") == 0)
    both_ways = (
        ordered.lazy()
        .join(one_way.lazy().select("group"), on="group", how="semi")
        .group_by("group")
        .agg(pl.col(name).max().alias(f"most_{name}") for name in _COUNTERS)
        .collect()
    )
    # The others may have got it from the node that translated it.
    is_first_tuple = pl.col("leg") == pl.col("leg").min().over("group")
    on_nodes = ordered.filter(pl.col("node").is_not_null() & is_first_tuple)
    # A pod's or a tunnel's device is on a node, of which only the name is not known.
    on_unknown_nodes = ordered.filter(
        pl.col("group").is_first_distinct()
        & pl.col("node").is_null()
        & (pl.col("is_pod_side") | pl.col("is_overlay"))
    )
    nodes = (
        on_nodes.filter(pl.col("group").is_first_distinct())
        .select("group", "node")
        .join(on_unknown_nodes.select("group"), on="group", how="anti")
    )
    states = (
        ordered.join(
            found.filter(pl.col("tcp_state").is_null()).select("group"),
            on="group",
            how="semi",
        )
        .filter(pl.col("tcp_state").is_not_null())
        .unique("group", keep="first", maintain_order=True)
        .select("group", other_state="tcp_state")
    )
    return (
        found.lazy()
        .join(whole.lazy(), on="group", maintain_order="left")
        .join(nodes.lazy(), on="group", how="left", maintain_order="left")
        .join(states.lazy(), on="group", how="left", maintain_order="left")
        .join(both_ways.lazy(), on="group", how="left", maintain_order="left")
        .with_columns(
            *(
                pl.when(pl.col(f"{name.partition('_')[0]}_packets") > 0)
                .then(name)
                .otherwise(pl.coalesce(f"most_{name}", name))
                .alias(name)
                for name in _COUNTERS
            ),
            tcp_state=pl.coalesce("tcp_state", "other_state"),
        )
        .select(COLUMNS)
        .collect()
    )
