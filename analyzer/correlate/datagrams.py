"""Which sightings of UDP, SCTP and ICMP echo carry the same exchange.

Sightings of one tuple are one exchange until it pauses. Across NAT the digest of the
first datagram each way is what stays. A DNS query has little in it that is random, and
a health check nothing: another client may ask and be told the same at the same time. So
time, number and size must agree as well, and the tuples must be able to lie on one way,
see :func:`_is_one_way`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analyzer.cluster.inferred import INITIAL_TTLS
from analyzer.correlate.addresses import OVERLAY
from analyzer.correlate.clocks import RESOLUTION, clock_table
from analyzer.correlate.tcp import both_ttls, in_runs

if TYPE_CHECKING:
    from analyzer.correlate.clocks import Clock

_SECOND = 1_000_000_000
#: An exchange that pauses for so long is over: conntrack forgets UDP in 30 s (120 s for
#: streams), see nf_conntrack_udp_timeout.
PAUSE = 60 * _SECOND
#: A datagram crosses the cluster within this time, after clocks were corrected.
_CROSSING = _SECOND // 50
#: A digest's half of what a snapshot length of 96 octets leaves, and the bit that says
#: that some of the rest was cut off; see ``digest_of`` in ``cext/decode.pyx``.
_HEAD = 32
_IS_CUT = 1
#: Before and after one NAT, and after a second one.
_MOST_LEGS = 3

#: What both sides sent, by which datagrams are told apart.
SIZES = (
    "client_packets",
    "server_packets",
    "client_payload_bytes",
    "server_payload_bytes",
)


def exchanges(seen: pl.DataFrame, times: dict[int, Clock]) -> pl.DataFrame:
    """Group sightings into exchanges, across NAT.

    Parameters
    ----------
    seen : pl.DataFrame
        Sightings by side, ``start`` and ``end`` on one clock.
    times : dict of int to Clock
        Each host's clock.

    Returns
    -------
    pl.DataFrame
        One row per sighting: ``flow``, ``group`` (u32).
    """
    runs = in_runs(seen.lazy(), "ends", gap=PAUSE).collect()
    of_runs = _with_places(seen, times).join(runs.lazy(), on="flow")
    is_alone = ~pl.col("group").is_duplicated()
    firsts = ["protocol", "client", "server"]
    digests = ["client_digest", "server_digest"]
    least = ["start", "first_host", "first_reference", "least_ttls"]
    most = [
        "client_ttl",
        "server_ttl",
        *SIZES,
        "end",
        "last_host",
        "last_reference",
        "bound",
        "most_ttls",
        "is_encapsulated",
    ]
    several = (
        of_runs.filter(~is_alone)
        .sort("group", "start", "flow")
        .group_by("group", maintain_order=True)
        .agg(
            pl.col(firsts).first(),
            pl.col(digests).drop_nulls().first(),
            pl.col(least).min(),
            pl.col(most).max(),
        )
    )
    is_echo = (pl.col("protocol") == "icmp") | (pl.col("protocol") == "icmp6")
    legs = (
        pl.concat(
            [
                several,
                of_runs.filter(is_alone).select(
                    "group", *firsts, *digests, *least, *most
                ),
            ]
        )
        .with_columns(
            *(
                (pl.col(f"{side}_digest") // 2**_HEAD).alias(f"{side}_head")
                for side in ("client", "server")
            ),
            echo_server=pl.when(is_echo).then(pl.col("server") // 65536),
        )
        .rename({"group": "flow"})
        .collect()
    )
    joined = runs
    heads = ["client_head", "server_head"]
    for keys, certain in (
        # DNAT alone leaves the client as it is.
        (("protocol", "client", "client_digest"), ["client_digest"]),
        # An echo is never sent elsewhere, but its identifier may change.
        (("echo_server", "client_digest", *SIZES), ["echo_server", "client_digest"]),
        (
            ("protocol", "client_digest", "server_digest", *SIZES),
            ["client_digest", "server_digest"],
        ),
        # A snapshot length may have cut the rest, not the same way everywhere.
        (("protocol", *heads, *SIZES), heads),
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
    return (
        agreeing.join(runs, on="flow")
        .filter((pl.len().over("group") > 1) & (pl.len().over("group") <= _MOST_LEGS))
        .sort("group", "client_ttl", "flow", descending=[False, True, False])
        .filter(
            _is_one_way(are_of_one_size=set(SIZES) <= set(keys)).all().over("group"),
            *(
                _agree(side).over("group")
                for side in ("client_digest", "server_digest")
            ),
        )
        .select("flow", "group")
        .collect()
    )


def _agree(digest: str) -> pl.Expr:
    """Tell whether digests are the same, as far as they are whole."""
    is_whole = pl.col(digest) & _IS_CUT == 0
    return pl.when(is_whole).then(digest).drop_nulls().n_unique() <= 1


def _is_one_way(*, are_of_one_size: bool) -> pl.Expr:
    """Tell of each leg, by falling TTL in its group, whether it can follow the last.

    Every leg was forwarded more often than the one before: only the first can have the
    TTL that its client sent, and only the last the one that its server answered with.
    Replies go the same way back: what both have lost together is the same everywhere. A
    tunnel takes packets to where they go, no NAT behind it. And who is passed first is
    passed last by the answer.
    """
    group = "group"
    ttl = pl.col("client_ttl")
    is_first = pl.col(group).is_first_distinct()
    is_last = pl.col(group).is_last_distinct()
    is_one_host = _is_one("host")
    slack = (
        pl.when(is_one_host)
        .then(RESOLUTION)
        .when(_is_one("reference"))
        .then(pl.col("bound") + pl.col("bound").shift())
        .otherwise(_CROSSING)
    )
    claims = [
        is_first | (ttl < ttl.shift()),
        is_first | ~ttl.is_in(INITIAL_TTLS),
        is_last | ~pl.col("server_ttl").is_in(INITIAL_TTLS),
        pl.col("most_ttls").max().over(group) == pl.col("least_ttls").min().over(group),
        pl.col("is_encapsulated").sum().over(group) <= 1,
        is_first | (pl.col("start") >= pl.col("start").shift() - slack),
    ]
    if are_of_one_size:
        claims.append(is_first | (pl.col("end") <= pl.col("end").shift() + slack))
    # What was not seen speaks against nothing, but for TTLs of clients.
    return claims[0].fill_null(value=False) & pl.all_horizontal(
        claim.fill_null(value=True) for claim in claims[1:]
    )


def _is_one(what: str) -> pl.Expr:
    """Tell whether a leg and the one before were seen by one host or reference."""
    first, last = pl.col(f"first_{what}"), pl.col(f"last_{what}")
    return (first == last) & (first.shift() == last) & (last.shift() == last)


def _with_places(seen: pl.DataFrame, times: dict[int, Clock]) -> pl.LazyFrame:
    """Add where sightings were, how sure their times are, and both sides' TTL."""
    ttls = both_ttls("client", "server")
    bound = (
        pl.col("bound")
        + pl.col("drift_bound") * (pl.col("start") - pl.col("at")).abs()
        + RESOLUTION
    )
    is_overlay = pl.col("point").cast(pl.String).str.contains(OVERLAY)
    overlays = seen.select(pl.col("point").unique()).filter(is_overlay)["point"]
    return (
        seen.lazy()
        .join(clock_table(times).lazy(), on="host", how="left")
        .with_columns(
            is_encapsulated=pl.col("is_tunneled")
            | pl.col("point").to_physical().is_in(overlays.to_physical().implode()),
            first_host="host",
            last_host="host",
            first_reference="reference",
            last_reference="reference",
            bound=bound,
            least_ttls=ttls,
            most_ttls=ttls,
        )
    )
