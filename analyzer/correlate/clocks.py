"""The clocks of capture hosts against each other, from packets that both saw.

A packet from A to B shows ``t_B - t_A = offset + delay`` with a delay above zero, one
from B to A ``t_B - t_A = offset - delay``. All packets of the one kind bound the offset
from above, all of the other from below; what lies between is known, and no more
(V. Paxson, "On calibrating measurements of packet transit times", SIGMETRICS 1998).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from analyzer._cext.groups import ranges
from analyzer.correlate.filled import Numbers, arrays, by_number, in_code_order
from analyzer.correlate.sightings import ON_ITS_WAY, SAMPLE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

#: Connections that are looked at for each pair of hosts.
_MOST_CONNECTIONS = 2000
#: Windows of time in each of which the tightest bounds are kept.
_WINDOWS = 128
#: Sampled packets have times in whole microseconds.
RESOLUTION = 1000
#: Quartz is not worse than this.
_MOST_DRIFT = 300e-6


class Clock(NamedTuple):
    """What one host's clock shows, against that of the host ``reference``.

    ``offset`` (ns) is what it showed more when it showed ``at`` (ns), ``drift`` how
    much faster it runs (seconds per second), ``bound`` (ns) how far the offset may be
    off then, and ``drift_bound`` how far the drift may.
    """

    reference: int
    offset: float = 0
    drift: float = 0
    bound: float = 0
    at: float = 0
    drift_bound: float = 0

    def through(self, other: Clock) -> Clock:
        """Give the clock against the reference of the clock it was compared with."""
        later = self.at - self.offset - other.at
        return Clock(
            other.reference,
            self.offset + other.offset + other.drift * later,
            self.drift + other.drift,
            self.bound + other.bound + other.drift_bound * abs(later),
            self.at,
            self.drift_bound + other.drift_bound,
        )


def clock_table(times: dict[int, Clock]) -> pl.DataFrame:
    """Tabulate clocks: one row per ``host`` (u32), with the fields of its clock."""
    return pl.DataFrame(
        [(host, *clock) for host, clock in times.items()],
        schema={
            "host": pl.UInt32,
            "reference": pl.UInt32,
            "offset": pl.Float64,
            "drift": pl.Float64,
            "bound": pl.Float64,
            "at": pl.Float64,
            "drift_bound": pl.Float64,
        },
        orient="row",
    )


def clocks_by_host(times: dict[int, Clock]) -> pl.DataFrame:
    """Tabulate the fields of clocks, so that a host is a row's number."""
    table = clock_table(times).rename({"host": "code"})
    return in_code_order(table).drop("code")


def are_one(times: dict[int, Clock]) -> bool:
    """Tell whether all clocks show the same time."""
    return not any(clock.offset or clock.drift for clock in times.values())


def clocks_table(times: dict[int, Clock], names: pl.DataFrame) -> pl.DataFrame:
    """Give the clocks table, see :data:`analyzer.tables.schema.CLOCKS`."""
    names = names.select("name", "host").unique()
    ns = pl.Duration("ns")
    return (
        clock_table(times)
        .join(names, on="host")
        .join(names, left_on="reference", right_on="host", suffix="_reference")
        .select(
            host="name",
            reference="name_reference",
            offset=pl.col("offset").round().cast(pl.Int64).cast(ns),
            drift_ppm=pl.col("drift") * 1e6,
            bound=pl.col("bound").round().cast(pl.Int64).cast(ns),
            time=pl.when(pl.col("at") > 0)
            .then(pl.col("at"))
            .cast(pl.Int64)
            .cast(pl.Datetime("ns", "UTC")),
        )
        .sort("reference", "host")
    )


def clocks(
    hosts: list[int], seen: pl.DataFrame, groups: pl.DataFrame, samples: pl.LazyFrame
) -> dict[int, Clock]:
    """Compare the clocks of all hosts that saw the same packets.

    Parameters
    ----------
    hosts : list of int
        Those that captured, who saw the most flows first.
    seen : pl.DataFrame
        Sightings.
    groups : pl.DataFrame
        ``flow``, ``group``: sightings that are certain to be of one connection.
    samples : pl.LazyFrame
        One row per flow: ``flow``, and for both directions the ids of sampled packets
        (list of u64) and their times (list of time).

    Returns
    -------
    dict of int to Clock
        Each host's clock against that of the reference of its kind: the host, of those
        that saw packets in common, with the most flows. Hosts that share no
        packet with another are each their own reference.
    """
    if len(hosts) < 2:
        return {host: Clock(host) for host in hosts}
    edges = _edges(_differences(seen, groups, samples))
    found: dict[int, Clock] = {}
    for reference in hosts:
        if reference in found:
            continue
        found[reference] = Clock(reference)
        # Prim's tree: each host through the pair that knows it best.
        while near := [
            (_error(edge) + _error(found[a]), a, b)
            for (a, b), edge in edges.items()
            if a in found and b not in found
        ]:
            _, a, b = min(near)
            found[b] = edges[a, b].through(found[a])
    return found


def _error(clock: Clock) -> float:
    """Say how far a clock may be off a second later."""
    return clock.bound + clock.drift_bound * 1e9


def _differences(
    seen: pl.DataFrame, groups: pl.DataFrame, samples: pl.LazyFrame
) -> pl.DataFrame:
    """Subtract times of the same packet at two hosts.

    Returns
    -------
    pl.DataFrame
        One row per pair of hosts, connection, direction and packet: ``a``, ``b``
        (hosts), ``time`` (ns), ``is_upper`` (bool), ``difference`` (``b`` minus ``a``).
    """
    group = by_number(groups["flow"], groups["group"])
    placed = _between_hosts(
        seen.lazy()
        .select(
            "flow",
            "host",
            "protocol",
            "flips",
            "originator_ttl",
            "responder_ttl",
            "originator_packets",
            "responder_packets",
            group=group.gather(seen["flow"], null_on_oob=True),
        )
        .filter(pl.col("group").is_not_null())
        .collect()
    ).lazy()
    there = pl.when("flips").then("responder_ttl").otherwise("originator_ttl")
    back = pl.when("flips").then("originator_ttl").otherwise("responder_ttl")
    hosts = (
        placed.group_by("group", "host")
        .agg(
            there_min=there.min(),
            there_max=there.max(),
            back_min=back.min(),
            back_max=back.max(),
        )
        .collect()
    )
    pairs = (
        hosts.join(hosts, on="group", suffix="_b")
        .filter(
            pl.col("host") < pl.col("host_b"),
            ~(_returns("there") | _returns("back")),
        )
        .select("group", a="host", b="host_b")
        .sort("a", "b", "group")
    )
    flows = placed.select(pl.col("flow").implode()).collect().to_series()
    chosen = placed.drop("originator_ttl", "responder_ttl").join(
        samples.filter(pl.col("flow").is_in(flows)), on="flow"
    )

    def is_each_another(side: str) -> pl.Expr:
        # A heartbeat is told from none of its like, that another capture has first.
        ids = pl.col(f"{side}_packet_ids").list.len()
        packets = pl.col(f"{side}_packets").clip(0, SAMPLE_SIZE)
        return (pl.col("protocol") == "tcp") | (ids >= packets)

    times = (
        pl.concat(
            [
                chosen.filter(is_each_another(side)).select(
                    "group",
                    "host",
                    from_client=pl.lit(side == "originator") != pl.col("flips"),
                    id=f"{side}_packet_ids",
                    time=pl.col(f"{side}_packet_times"),
                )
                for side in ("originator", "responder")
            ]
        )
        .explode("id", "time")
        .drop_nulls()
    )
    # Longer on one host is not the same packet: one place missed it, and saw what was
    # sent again, which may look the same.
    at_host = (
        times.group_by("group", "from_client", "id", "host")
        .agg(
            first=pl.col("time").min().to_physical(),
            last=pl.col("time").max().to_physical(),
        )
        .filter(pl.col("last") - pl.col("first") <= ON_ITS_WAY)
    )
    keys = ["group", "from_client", "id"]
    both = (
        pairs.lazy()
        .join(at_host, left_on=["group", "a"], right_on=["group", "host"])
        .join(
            at_host,
            left_on=[*keys[:1], "b", *keys[1:]],
            right_on=["group", "host", "from_client", "id"],
            suffix="_b",
        )
    )
    middle = pl.col("first_b") + pl.col("last_b") - pl.col("first") - pl.col("last")
    pair = ["group", "a", "b"]

    def earliest(name: str, *, from_client: bool) -> pl.Expr:
        of_way = pl.col("from_client") == from_client
        return (
            pl.col(name)
            .filter(of_way)
            .sort_by(pl.col("first").filter(of_way), pl.col("id").filter(of_way))
            .first()
            .over(pair)
        )

    went, came = (earliest("_middle", from_client=way) for way in (True, False))
    asked, answered = (earliest("first", from_client=way) for way in (True, False))
    return (
        both.with_columns(_middle=middle / 2)
        # In the direction in which `b` comes later by the clocks, it is later: the
        # other way round the connection would have a negative round trip. Between
        # its request and its answer, drift must not have turned that round.
        .with_columns(_round_trip=went - came, _apart=(answered - asked).abs())
        .filter(pl.col("_round_trip").abs() > 2 * _MOST_DRIFT * pl.col("_apart"))
        .with_columns(is_upper=pl.col("from_client") == (pl.col("_round_trip") > 0))
        .select(
            "a",
            "b",
            "is_upper",
            time=pl.col("first"),
            difference=pl.when("is_upper")
            .then(pl.col("first_b") - pl.col("last"))
            .otherwise(pl.col("last_b") - pl.col("first")),
        )
        .collect()
    )


def _returns(way: str) -> pl.Expr:
    """Tell whether packets pass one of two hosts before the other and again behind it.

    Then it has no side of it. TTLs fall on the way: those at the host that is passed
    first are at least those at the other.
    """
    is_first = pl.col(f"{way}_min") >= pl.col(f"{way}_max_b")
    is_second = pl.col(f"{way}_min_b") >= pl.col(f"{way}_max")
    return ~(is_first | is_second).fill_null(value=True)


def _between_hosts(seen: pl.DataFrame) -> pl.DataFrame:
    """Take some connections that several hosts saw, of sightings with ``group``.

    Of each set of hosts, told by its least and greatest, some suffice.
    """
    count: int = (
        seen["group"].to_frame().select(pl.max("group").fill_null(0)).item() + 1
    )
    least, most = Numbers(count), Numbers(count)
    ranges(arrays([seen["group"], seen["host"]]), least.view, most.view)
    kind = ["a", "b"]
    number = pl.int_range(pl.len()).over(kind)
    step = pl.len().over(kind) // _MOST_CONNECTIONS + 1
    some = (
        pl.LazyFrame({"a": least.series(), "b": most.series()})
        .with_row_index("group")
        .filter(pl.col("a") < pl.col("b"))
        .filter(number % step == 0)
        .select("group")
        .collect()
        .to_series()
    )
    is_one = pl.repeat(value=False, n=count, eager=True).scatter(some, values=True)
    return seen.filter(is_one[seen["group"]])


def _edges(differences: pl.DataFrame) -> dict[tuple[int, int], Clock]:
    """Compare two hosts at a time; each pair both ways."""
    edges: dict[tuple[int, int], Clock] = {}
    begin, end = (
        pl.col("time").min().over("a", "b"),
        pl.col("time").max().over("a", "b"),
    )
    window = ((pl.col("time") - begin) * _WINDOWS // (end - begin + 1)).alias("window")
    tightness = pl.when("is_upper").then("difference").otherwise(-pl.col("difference"))
    tightest = (
        differences.with_columns(window, _tightness=tightness)
        .sort("a", "b", "is_upper", "window", "_tightness", "time")
        .unique(["a", "b", "is_upper", "window"], keep="first", maintain_order=True)
    )
    for (a, b), of_pair in tightest.group_by("a", "b", maintain_order=True):
        upper = of_pair.filter("is_upper")
        lower = of_pair.filter(~pl.col("is_upper"))
        if upper.height and lower.height:
            offset, drift, bound, at, drift_bound = _between(
                list(upper.select("time", "difference").iter_rows()),
                list(lower.select("time", "difference").iter_rows()),
            )
            edges[a, b] = Clock(a, offset, drift, bound, at + offset, drift_bound)
            edges[b, a] = Clock(b, -offset, -drift, bound, at, drift_bound)
    return edges


def _between(
    upper: list[tuple[int, int]], lower: list[tuple[int, int]]
) -> tuple[float, float, float, float, float]:
    """Fit the line that keeps the largest distance from all bounds.

    Returns
    -------
    tuple of float
        Offset, drift and bound, the time in the middle, and the bound of the drift.
    """
    times = [time for time, _ in upper + lower]
    middle = (min(times) + max(times)) / 2

    def room(drift: float) -> tuple[float, float]:
        most = min(value - drift * (time - middle) for time, value in upper)
        least = max(value - drift * (time - middle) for time, value in lower)
        return least, most

    def margin(drift: float) -> float:
        least, most = room(drift)
        return most - least

    # The margin is a concave function of the drift.
    best = _highest(margin, -_MOST_DRIFT, _MOST_DRIFT)
    # Drift that the bounds hardly ask for is none.
    drift = 0.0 if margin(0) > max(0, 0.9 * margin(best)) else best
    least, most = room(drift)
    offset = (least + most) / 2
    # Every line between the bounds might be the true one: the highest of them in the
    # middle is where a concave function is highest, the lowest where a convex one is
    # lowest.
    slowest = _crossing(margin, drift, -_MOST_DRIFT)
    fastest = _crossing(margin, drift, _MOST_DRIFT)
    above = _highest(lambda drift: room(drift)[1], slowest, fastest)
    below = _highest(lambda drift: -room(drift)[0], slowest, fastest)
    # Of bounds that contradict each other, no line is between: then it is how far.
    bound = max(abs(room(above)[1] - offset), abs(room(below)[0] - offset))
    drift_bound = max(fastest - drift, drift - slowest)
    return offset, drift, bound + RESOLUTION, middle, drift_bound


def _highest(function: Callable[[float], float], low: float, high: float) -> float:
    """Find where a concave function is highest."""
    for _ in range(60):
        third = (high - low) / 3
        if function(low + third) < function(high - third):
            low += third
        else:
            high -= third
    return (low + high) / 2


def _crossing(
    function: Callable[[float], float], inside: float, outside: float
) -> float:
    """Find where a concave function, not below 0 inside, falls below it."""
    for _ in range(50):
        middle = (inside + outside) / 2
        if function(middle) < 0:
            outside = middle
        else:
            inside = middle
    return inside
