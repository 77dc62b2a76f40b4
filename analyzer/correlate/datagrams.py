"""Which sightings of UDP, SCTP and ICMP echo carry the same exchange.

Sightings of one tuple are one exchange until it pauses. Across NAT the digest of the
first datagram each way is what stays; a DNS query has little in it that is random, so
time, number and size must agree as well, and who comes later must have been forwarded
more often.
"""

from __future__ import annotations

import polars as pl

from analyzer.correlate.tcp import in_runs

_SECOND = 1_000_000_000
#: An exchange that pauses for so long is over: conntrack forgets UDP in 30 s (120 s for
#: streams), see nf_conntrack_udp_timeout.
PAUSE = 60 * _SECOND
#: A datagram crosses the cluster within this time, after clocks were corrected.
_CROSSING = _SECOND // 50
#: Before and after one NAT, and after a second one.
_MOST_LEGS = 3

#: What both sides sent, by which datagrams are told apart.
SIZES = (
    "client_packets",
    "server_packets",
    "client_payload_bytes",
    "server_payload_bytes",
)


def exchanges(seen: pl.DataFrame) -> pl.DataFrame:
    """Group sightings into exchanges, across NAT.

    Parameters
    ----------
    seen : pl.DataFrame
        Sightings with details, ``start`` and ``end`` on one clock.

    Returns
    -------
    pl.DataFrame
        One row per sighting: ``flow``, ``group`` (u32).
    """
    runs = in_runs(seen.lazy(), "ends", gap=PAUSE).collect()
    of_runs = seen.lazy().join(runs.lazy(), on="flow")
    is_alone = ~pl.col("group").is_duplicated()
    columns = ["protocol", "client", "server", "client_ttl", *SIZES]
    digests = ["client_digest", "server_digest"]
    several = (
        of_runs.filter(~is_alone)
        .sort("group", "start", "flow")
        .group_by("group", maintain_order=True)
        .agg(
            pl.col(columns[:3]).first(),
            pl.col(columns[3:]).max(),
            pl.col(digests).drop_nulls().first(),
            pl.col("start").min(),
        )
    )
    is_echo = (pl.col("protocol") == "icmp") | (pl.col("protocol") == "icmp6")
    legs = (
        pl.concat(
            [
                several,
                of_runs.filter(is_alone).select("group", *columns, *digests, "start"),
            ]
        )
        .with_columns(echo_server=pl.when(is_echo).then(pl.col("server") // 65536))
        .rename({"group": "flow"})
        .collect()
    )
    joined = runs
    for keys, certain in (
        # DNAT alone leaves the client as it is.
        (("protocol", "client", "client_digest"), ["client_digest"]),
        # An echo is never sent elsewhere, but its identifier may change.
        (("echo_server", "client_digest", *SIZES), ["echo_server", "client_digest"]),
        (
            ("protocol", "client_digest", "server_digest", *SIZES),
            ["client_digest", "server_digest"],
        ),
        # A snapshot length may have cut the digests, not the same way everywhere.
        (("protocol", "client", *SIZES), ["client"]),
    ):
        chains = _chains(legs, keys, certain)
        if chains.is_empty():
            continue
        legs = legs.join(chains, on="flow", how="anti")
        joined = (
            joined.lazy()
            .join(chains.lazy(), left_on="group", right_on="flow", how="left")
            .select("flow", group=pl.coalesce("group_right", "group"))
            .collect()
        )
    return joined


def _chains(
    legs: pl.DataFrame, keys: tuple[str, ...], certain: list[str]
) -> pl.DataFrame:
    """Chain legs that agree in `keys` and in time, if nothing else could be meant.

    Those of the keys that must be `certain` are known for all of them.
    """
    agreeing = (
        legs.lazy()
        .drop_nulls(certain)
        .with_columns(_key=pl.struct(keys).hash())
        .filter(pl.col("_key").is_duplicated())
    )
    runs = in_runs(agreeing.with_columns(end="start"), "_key", gap=_CROSSING)
    ttl = pl.col("client_ttl")
    return (
        agreeing.join(runs, on="flow")
        .filter(
            (pl.len().over("group") > 1)
            & (pl.len().over("group") <= _MOST_LEGS)
            # Forwarding takes one from it: legs with the same are siblings.
            & (ttl.n_unique().over("group") == pl.len().over("group"))
        )
        .select("flow", "group")
        .collect()
    )
