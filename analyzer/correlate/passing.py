"""When a packet of the client passed each sighting of its connection."""

from __future__ import annotations

import polars as pl

from analyzer._cext.groups import mark_unequal
from analyzer.correlate.filled import Marks, arrays


def passing(seen: pl.DataFrame, samples: pl.LazyFrame) -> pl.Series:
    """Tell when the same packet of the client passed each sighting.

    Parameters
    ----------
    seen : pl.DataFrame
        Sightings by side, with ``group``.
    samples : pl.LazyFrame
        See :func:`analyzer.correlate.sightings.samples`.

    Returns
    -------
    pl.Series
        Microseconds (i64), in the order of the sightings.

    Notes
    -----
    It is the first packet, unless a connection was open before some capture began, or
    the first packet is the server's; then it is how much later the client's sampled
    packets passed, and how much sooner the server's, than at the sighting that has the
    most packets in common with others. Without a packet in common it is null.
    """
    start = seen["start"].fill_null(0)
    is_late = Marks(seen.height)
    # A flow is like no other one.
    first = pl.when("opens_with_answer").then("flow").otherwise("client_seq_start")
    if mark_unequal(arrays(seen.select("group", first)), is_late.view):
        late = is_late.series()
        start = start.scatter(late.arg_true(), _by_samples(seen.filter(late), samples))
    return start // 1000


def _by_samples(late: pl.DataFrame, samples: pl.LazyFrame) -> pl.Series:
    """Tell the same of connections that were open before, by sampled packets."""
    sampled = (
        late.lazy()
        .select("group", "flow", "flips", "raw_start", "start")
        .join(samples, on="flow")
    )
    times = (
        pl.concat(
            [
                sampled.select(
                    "group",
                    "flow",
                    shift=pl.col("raw_start") - pl.col("start"),
                    sign=pl.when(pl.col("flips") == (side == "responder"))
                    .then(1)
                    .otherwise(-1),
                    id=f"{side}_packet_ids",
                    time=f"{side}_packet_times",
                )
                for side in ("originator", "responder")
            ]
        )
        .explode("id", "time")
        .drop_nulls()
        .with_columns(
            time=pl.col("time").to_physical() - pl.col("shift"),
            in_common=pl.len().over("group", "sign", "id") - 1,
        )
        .with_columns(in_common=pl.col("in_common").sum().over("flow"))
    )
    most = pl.col("in_common").max().over("group")
    least_flow = pl.col("flow").min().over("group")
    compared = times.filter(pl.col("in_common") == most).filter(
        pl.col("flow") == least_flow
    )
    delays = (
        times.join(compared, on=["group", "sign", "id"], suffix="_compared")
        .with_columns(time=pl.col("sign") * (pl.col("time") - pl.col("time_compared")))
        .group_by("flow")
        .agg(delay=pl.col("time").median().cast(pl.Int64))
    )
    begin = pl.col("start").fill_null(0).min().over("group")
    return (
        late.lazy()
        .select("group", "flow", "start")
        .join(delays, on="flow", how="left", maintain_order="left")
        .select(begin + pl.col("delay"))
        .collect()
        .to_series()
    )
