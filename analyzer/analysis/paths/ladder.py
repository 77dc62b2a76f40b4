"""One connection, packet by packet, at each place where it was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from analyzer.errors import QueryError
from analyzer.tables.expressions import device_of, host_of

if TYPE_CHECKING:
    from analyzer.tables import Tables

_SYN, _FIN = 0x02, 0x01
_WRAP = 1 << 32
#: A frame again so soon, in another capture or on any device, is a copy.
_COPY = 1_000_000  # ns
#: Captures have times in whole microseconds.
_RESOLUTION = 1000  # ns
_ENDS = ("src_ip", "src_port", "dst_ip", "dst_port")
_OUTER = ("tunnel", "vni", "outer_src", "outer_dst")
_UNKNOWN = -1  # in place of null, which joins do not match
_EVER = (1 << 63) - 1


class Ladder(NamedTuple):
    """One connection's packets.

    Parameters
    ----------
    connection : dict
        The row of the connections table.
    places : pl.DataFrame
        One row per observation point, tuple and encapsulation, in the order of the
        client's path: ``place`` (u32, from 0), ``point``, ``host`` (str), ``src_ip``,
        ``src_port``, ``dst_ip``, ``dst_port`` (of packets towards the backend there),
        ``tunnel``, ``vni``, ``outer_src``, ``outer_dst``, ``ttl_to_backend``,
        ``ttl_to_client`` (u8, of the first packet), ``is_seen`` (bool: false for the
        place to which other connections of the backend went on, but not this one,
        which got no answer).
    packets : pl.DataFrame
        One row per packet and place, in the order of packets (by when they were first
        seen) and of places: ``packet`` (u32, from 0), ``place``, ``direction``
        (``to_backend``, ``to_client``), ``time`` (i64, ns since the epoch, on the
        clock of the reference), ``since`` (i64, ns since the connection's first
        packet), ``frame``, ``capture``, ``tcp_flags``, ``seq``, ``ack`` (i64, from
        the first number of either side), ``payload_length``, ``ttl``,
        ``is_retransmission`` (bool: its octets passed this place before),
        ``vanished`` (bool: the last place that saw it, although the next one was
        captured then and should have).
    hops : pl.DataFrame
        One row per pair of successive places and direction: ``place`` (the first, in
        the order of the path), ``direction``, ``packets`` (u32, seen by both),
        ``latency`` (i64, ns, median), ``clock_bound`` (i64, ns, null if the clocks
        could not be compared).
    """

    connection: dict[str, object]
    places: pl.DataFrame
    packets: pl.DataFrame
    hops: pl.DataFrame


def ladder(tables: Tables, packets: pl.LazyFrame, connection_id: int) -> Ladder:
    """Follow one connection's packets through its observation points.

    Parameters
    ----------
    tables : Tables
        With ``connections``, ``flows`` and ``clocks``.
    packets : pl.LazyFrame
        The packets table of the same captures.
    connection_id : int

    Returns
    -------
    Ladder

    Raises
    ------
    QueryError
        If there is no such connection, or the packets are not those of its captures.

    Notes
    -----
    Packets are told to be the same by what NAT and encapsulation leave alone:
    direction, sequence and acknowledgement numbers, flags, length and IP
    identification, and by their time if they look the same. Where a host joined
    segments to one frame or cut a frame into segments, both stand there, and neither
    has vanished unless some of its octets did not go on.

    A capture of ``any`` is left out where its host's devices were captured as well.
    Fragments behind the first have no ports and are left out.
    """
    found = (
        tables.connections.filter(pl.col("connection_id") == connection_id)
        .with_columns(pl.selectors.categorical().cast(pl.String))
        .collect()
    )
    if found.is_empty():
        many = tables.connections.select(pl.len()).collect().item()
        raise QueryError(
            f"there is no connection {connection_id}",
            hint=f"they are numbered 0 to {many - 1}: `analyze flows --connections`"
            " prints them"
            if many
            else "there is none at all",
        )
    connection = found.row(0, named=True)
    flows = _flows(tables, connection)
    places = _places(flows)
    if not connection["backend_packets"]:
        places = pl.concat([places, _next_place(places, tables, connection)])
    seen = _seen(packets, places, flows, tables)
    if seen.is_empty():
        raise QueryError(
            f"none of the packets is of connection {connection_id}",
            hint="give the captures that the tables were made of",
        )
    told = _numbered(seen, places)
    told = _with_losses(told, places, tables)
    ttl = told.group_by("place", "direction").agg(
        pl.col("ttl").sort_by("packet").first()
    )
    for direction in ("to_backend", "to_client"):
        places = places.join(
            ttl.filter(pl.col("direction") == direction).select(
                "place", pl.col("ttl").alias(f"ttl_{direction}")
            ),
            on="place",
            how="left",
            maintain_order="left",
        )
    is_seen = pl.col("place").is_in(told["place"].unique().implode())
    places = places.with_columns(is_seen=is_seen)
    return Ladder(connection, places, told, _hops(told, places, tables))


def _flows(tables: Tables, connection: dict[str, object]) -> pl.DataFrame:
    """Give the connection's flows in the order of its path, as the client sees them."""
    client = (connection["client_ip"], connection["client_port"])
    backend = (connection["backend_ip"], connection["backend_port"])

    def is_end(side: str, end: tuple[object, object]) -> pl.Expr:
        if end[0] is None:
            return pl.lit(value=False)
        return (pl.col(f"{side}_ip") == pl.lit(end[0])) & pl.col(
            f"{side}_port"
        ).eq_missing(pl.lit(end[1], pl.UInt16))

    turned = is_end("originator", backend) | is_end("responder", client)
    ids = pl.DataFrame({"flow_id": connection["flow_ids"]}, {"flow_id": pl.UInt64})
    return (
        tables.flows.with_columns(pl.selectors.categorical().cast(pl.String))
        .join(ids.with_row_index("order").lazy(), on="flow_id")
        .with_columns(turned=turned)
        .select(
            "order",
            "point",
            "capture",
            "start_time",
            "end_time",
            "protocol",
            host=host_of("point"),
            tunnel="tunnel",
            vni="vni",
            **{
                name.format(end): pl.when("turned")
                .then(column.format(other))
                .otherwise(column.format(same))
                for end, same, other in (
                    ("src", "originator", "responder"),
                    ("dst", "responder", "originator"),
                )
                for name, column in (
                    ("{}_ip", "{}_ip"),
                    ("{}_port", "{}_port"),
                    ("outer_{}", "outer_{}_ip"),
                )
            },
        )
        .sort("order")
        .collect()
    )


def _places(flows: pl.DataFrame) -> pl.DataFrame:
    device = device_of("point")
    is_any = (device == "any").fill_null(value=False)
    what = ["host", *_ENDS, *_OUTER]
    return (
        flows.unique(["point", *_ENDS, *_OUTER], keep="first", maintain_order=True)
        .with_columns(is_any=is_any)
        .filter(~pl.col("is_any") | pl.col("is_any").all().over(what))
        .with_row_index("place")
        .select("place", "point", "host", *_ENDS, *_OUTER)
    )


def _next_place(
    places: pl.DataFrame, tables: Tables, connection: dict[str, object]
) -> pl.DataFrame:
    """Give the place behind the last one, as far as other connections tell it.

    Those that the same backend answered, and that passed the last place, all went on
    to one point. The tuple there is that of the last place: NAT would come before.
    """
    last = places.row(-1, named=True)
    points = pl.col("points").cast(pl.List(pl.String))
    went_on = (
        tables.connections.filter(
            pl.col("backend_ip").cast(pl.String) == pl.lit(connection["backend_ip"]),
            pl.col("backend_packets") > 0,
            points.list.contains(last["point"]),
        )
        .select("connection_id", point=points, then=points.list.shift(-1))
        .explode("point", "then", empty_as_null=False)
        .filter(
            pl.col("point") == last["point"],
            ~pl.col("then").is_in(places["point"].implode()),
        )
        .collect()
    )
    if went_on["then"].n_unique() != 1:
        return places.clear()
    point, other = went_on["then"][0], went_on["connection_id"][0]
    example = (
        tables.connections.filter(pl.col("connection_id") == other)
        .with_columns(pl.selectors.categorical().cast(pl.String))
        .collect()
        .row(0, named=True)
    )
    there = _places(_flows(tables, example)).filter(pl.col("point") == point).tail(1)
    return there.with_columns(
        place=pl.lit(places.height, pl.UInt32),
        **{end: pl.lit(last[end], places.schema[end]) for end in _ENDS},
    )


def _known(names: tuple[str, ...] | list[str]) -> list[pl.Expr]:
    """Make columns that null is a value of, for joins."""
    numbers = ("src_port", "dst_port", "vni", "ip_id", "seq", "ack", "tcp_flags")
    return [
        pl.col(name).cast(pl.Int64).fill_null(_UNKNOWN)
        if name in numbers
        else pl.col(name).cast(pl.String).fill_null("")
        for name in names
    ]


def _seen(
    packets: pl.LazyFrame, places: pl.DataFrame, flows: pl.DataFrame, tables: Tables
) -> pl.DataFrame:
    """Give the connection's frames at each place, times on the reference's clock."""
    keys = ["point", *_ENDS, *_OUTER]
    there = places.select("place", *_known(keys), direction=pl.lit("to_backend"))
    other = {"src": "dst", "dst": "src"}
    back = places.select(
        "place",
        "point",
        "tunnel",
        "vni",
        direction=pl.lit("to_client"),
        **{
            f"{prefix}{side}{part}": f"{prefix}{other[side]}{part}"
            for prefix, part in (("", "_ip"), ("", "_port"), ("outer_", ""))
            for side in ("src", "dst")
        },
    ).select("place", *_known(keys), "direction")
    wanted = pl.concat([there, back])
    protocol = flows["protocol"][0]
    clock = tables.clocks.select(
        pl.col("host").cast(pl.String),
        offset=pl.col("offset").dt.total_nanoseconds(),
        drift=pl.col("drift_ppm") / 1e6,
        at=pl.col("time").to_physical(),
    ).collect()
    raw = pl.col("raw")
    since = (raw - pl.col("at").fill_null(0)).cast(pl.Float64)
    shift = pl.col("offset").fill_null(0) + (
        pl.col("drift").fill_null(0)
        * pl.when(pl.col("at") > 0).then(since).otherwise(0)
    ).round().cast(pl.Int64)
    addresses = wanted["src_ip"].unique()
    return (
        packets.filter(
            pl.col("protocol").cast(pl.String) == protocol,
            pl.col("src_ip").cast(pl.String).is_in(addresses.implode()),
            pl.col("dst_ip").cast(pl.String).is_in(addresses.implode()),
            pl.col("time") >= flows["start_time"].min(),
            pl.col("time") <= flows["end_time"].max(),
        )
        .select(
            *_known(keys),
            *_known(["ip_id", "seq", "ack", "tcp_flags"]),
            "frame",
            "payload_length",
            "ttl",
            pl.col("capture").cast(pl.String),
            raw=pl.col("time").to_physical(),
        )
        .join(wanted.lazy(), on=keys)
        .with_columns(host=host_of("point"))
        .join(clock.lazy(), on="host", how="left")
        .with_columns(time=raw - shift)
        .drop("raw", "offset", "drift", "at", *keys)
        .sort("time", "place", "frame")
        .collect()
    )


def _numbered(seen: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Tell which frames are one packet, and number packets by their first time."""
    same = [
        "direction",
        "seq",
        "ack",
        "tcp_flags",
        "payload_length",
        "ip_id",
    ]
    is_any = (device_of("point") == "any").fill_null(value=True)
    on_any = places.filter(is_any)["place"]
    is_copy = ((pl.col("time") - pl.col("time").shift(1)) < _COPY) & (
        (pl.col("capture") != pl.col("capture").shift(1))
        | pl.col("place").is_in(on_any.implode())
    )
    frames = (
        seen.with_columns(_copy=is_copy.over("place", *same, order_by="time"))
        .filter(~pl.col("_copy").fill_null(value=False))
        .pipe(_with_occurrences, same)
    )
    firsts = (
        frames.group_by(*same, "_again")
        .agg(first=pl.col("time").min(), _place=pl.col("place").min())
        .sort("first", "direction", "_place", "seq")
        .with_row_index("packet")
    )
    # A side's first number: its SYN's, else what it sent first.
    base = (
        frames.filter(pl.col("seq") >= 0)
        .sort((pl.col("tcp_flags") & _SYN) == 0, "time")
        .group_by("direction", maintain_order=True)
        .agg(pl.col("seq").first())
    )
    bases = dict(base.iter_rows())
    own = pl.col("direction").replace_strict(bases, default=None, return_dtype=pl.Int64)
    other = {
        "to_backend": bases.get("to_client"),
        "to_client": bases.get("to_backend"),
    }
    theirs = pl.col("direction").replace_strict(
        other, default=None, return_dtype=pl.Int64
    )
    is_tcp = pl.col("seq") >= 0
    start = pl.min_horizontal("first").min()
    length = pl.col("payload_length").cast(pl.Int64).fill_null(0)
    takes = (
        length
        + ((pl.col("tcp_flags") & _SYN) > 0).cast(pl.Int64)
        + ((pl.col("tcp_flags") & _FIN) > 0).cast(pl.Int64)
    )
    return (
        frames.join(firsts, on=[*same, "_again"], nulls_equal=True)
        .with_columns(
            since=pl.col("time") - start,
            seq=pl.when(is_tcp).then((pl.col("seq") - own) % _WRAP),
            ack=pl.when(is_tcp & ((pl.col("tcp_flags") & 0x10) > 0)).then(
                (pl.col("ack") - theirs) % _WRAP
            ),
            tcp_flags=pl.when(is_tcp).then("tcp_flags"),
            takes=pl.when(is_tcp).then(takes).otherwise(0),
        )
        .sort("place", "direction", "time")
        .with_columns(
            _reached=(pl.col("seq") + pl.col("takes"))
            .cum_max()
            .shift(1)
            .over("place", "direction"),
        )
        .with_columns(
            is_retransmission=(
                (pl.col("takes") > 0)
                & (pl.col("seq") + pl.col("takes") <= pl.col("_reached"))
            ).fill_null(value=False)
        )
        .sort("packet", "place")
        .select(
            "packet",
            "place",
            "direction",
            "time",
            "since",
            "frame",
            "capture",
            "tcp_flags",
            "seq",
            "ack",
            "payload_length",
            "ttl",
            "takes",
            "is_retransmission",
        )
    )


def _with_occurrences(frames: pl.DataFrame, same: list[str]) -> pl.DataFrame:
    """Tell which of several equal frames is which, in ``_again`` (i64, from 0).

    Where places saw them several times, but not as often as each other, one of them
    was lost, or was part of a larger frame: those go together that passed at about the
    same time.
    """
    order = pl.int_range(pl.len()).over("place", *same)
    numbered = frames.sort("time", maintain_order=True).with_columns(_order=order)
    most = (
        numbered.filter(pl.len().over("place", *same) > 1)
        .sort("place")
        .group_by(same, maintain_order=True)
        .agg(pl.col("place").mode(maintain_order=True).first())
    )
    whole = numbered.join(most, on=[*same, "place"]).select(
        *same, "time", _again="_order"
    )
    nearest = numbered.join_asof(
        whole.sort("time"),
        on="time",
        by=same,
        strategy="nearest",
        check_sortedness=False,
    )
    is_twice = pl.struct("place", *same, "_again").is_duplicated()
    is_clear = ~is_twice.any().over("place", *same)
    return nearest.with_columns(
        _again=pl.when(is_clear).then("_again").fill_null(pl.col("_order"))
    ).drop("_order")


def _with_losses(
    told: pl.DataFrame, places: pl.DataFrame, tables: Tables
) -> pl.DataFrame:
    """Mark where a packet was seen last, although the next place should have it."""
    ends = (
        tables.flows.group_by(pl.col("point").cast(pl.String))
        .agg(
            since=pl.col("start_time").min().to_physical(),
            until=pl.col("end_time").max().to_physical(),
        )
        .collect()
    )
    spans = {
        place: (since, until)
        for place, since, until in places.join(ends, on="point", how="left")
        .select("place", "since", "until")
        .iter_rows()
    }
    last_place = places.height - 1
    forward = pl.col("direction") == "to_backend"
    last = (
        pl.when(forward)
        .then(pl.col("place").max())
        .otherwise(pl.col("place").min().cast(pl.Int64))
    )
    candidates = (
        told.with_columns(_last=last.over("packet"))
        .filter(pl.col("place") == pl.col("_last"))
        .with_columns(
            _next=pl.when(forward)
            .then(pl.col("place").cast(pl.Int64) + 1)
            .otherwise(pl.col("place").cast(pl.Int64) - 1)
        )
        .filter(pl.col("_next").is_between(0, last_place))
    )
    gone = [
        (row["packet"], row["place"])
        for row in candidates.iter_rows(named=True)
        if spans[row["_next"]][0] <= row["time"] < spans[row["_next"]][1]
        and not _is_covered(told, row)
    ]
    marks = pl.DataFrame(
        gone, {"packet": pl.UInt32, "place": pl.UInt32}, orient="row"
    ).with_columns(vanished=pl.lit(value=True))
    return (
        told.join(marks, on=["packet", "place"], how="left", maintain_order="left")
        .with_columns(pl.col("vanished").fill_null(value=False))
        .drop("takes")
    )


def _is_covered(told: pl.DataFrame, row: dict[str, int]) -> bool:
    """Tell whether the next place saw all of a segment's octets, in other frames.

    Those that both places saw as they were are not this segment, but sent again; nor
    are those that the next place saw at about the time when octets of it passed here
    again.
    """
    if not row["takes"]:
        return False
    begin, end = row["seq"], row["seq"] + row["takes"]
    of_direction = told.filter(pl.col("direction") == row["direction"])
    here = of_direction.filter(pl.col("place") == row["place"])
    again = here.filter(
        pl.col("time") > row["time"],
        pl.col("seq") < end,
        pl.col("seq") + pl.col("takes") > begin,
    )["time"].to_list()
    middle = (row["time"] + min(again, default=_EVER)) // 2
    behind = of_direction.filter(
        pl.col("place") == row["_next"],
        ~pl.col("packet").is_in(here["packet"].implode()),
        pl.col("time") < middle,
    ).sort("seq")
    reached = begin
    for seq, takes in behind.select("seq", "takes").iter_rows():
        if seq <= reached:
            reached = max(reached, seq + takes)
    return reached >= end


def _hops(told: pl.DataFrame, places: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """Measure the time between successive places."""
    clocks = tables.clocks.select(
        pl.col("host").cast(pl.String),
        pl.col("reference").cast(pl.String),
        bound=pl.col("bound").dt.total_nanoseconds(),
    ).collect()
    of_place = places.join(clocks, on="host", how="left", maintain_order="left")
    is_same = pl.col("host") == pl.col("host").shift(-1)
    is_comparable = pl.col("reference") == pl.col("reference").shift(-1)
    bounds = of_place.select(
        "place",
        clock_bound=pl.when(is_same)
        .then(_RESOLUTION)
        .when(is_comparable)
        .then(pl.col("bound") + pl.col("bound").shift(-1) + _RESOLUTION),
    )
    here = told.select("packet", "place", "direction", "time")
    behind = here.select(
        "packet",
        pl.col("place").cast(pl.Int64) - 1,
        later="time",
    )
    forward = pl.col("direction") == "to_backend"
    passed = pl.when(forward).then(pl.col("later") - pl.col("time"))
    return (
        here.with_columns(pl.col("place").cast(pl.Int64))
        .join(behind, on=["packet", "place"])
        .with_columns(
            latency=passed.otherwise(pl.col("time") - pl.col("later")),
            place=pl.col("place").cast(pl.UInt32),
        )
        .group_by("place", "direction")
        .agg(
            packets=pl.len().cast(pl.UInt32),
            latency=pl.col("latency").median().round().cast(pl.Int64),
        )
        .join(bounds, on="place", how="left")
        .sort("place", "direction")
    )
