"""Sightings are ordered as a plain model of the rules orders them."""

import random
from functools import partial
from itertools import groupby
from math import inf
from unittest.mock import patch

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.correlate import legs
from analyzer.correlate.legs import connections_of, in_path_order

POINTS = {"b/eth0": 1, "a/vxlan.calico": 0, "a/eth0": 0, "c/cali1": 2, "b/cali2": 1}
OVERLAYS = {"a/vxlan.calico"}
INITIAL_TTLS = {64, 128, 255}
SCHEMA = {
    "group": pl.UInt32,
    "flow": pl.UInt32,
    "ends": pl.UInt64,
    "host": pl.UInt32,
    "point": pl.Categorical,
    "is_tunneled": pl.Boolean,
    "is_overlay": pl.Boolean,
    "client": pl.UInt64,
    "server": pl.UInt64,
    "client_ttl": pl.UInt8,
    "server_ttl": pl.UInt8,
    "client_outer": pl.UInt32,
    "server_outer": pl.UInt32,
    "client_seq_start": pl.UInt32,
    "start": pl.Int64,
    "raw_start": pl.Int64,
    "flips": pl.Boolean,
    "opens_with_answer": pl.Boolean,
}
OWN = pl.Series([1, 2, 3, 9], dtype=pl.UInt64)
NODES = pl.DataFrame(
    {"host": [0, 1, 1], "outer": [1, 2, 3]},
    schema={"host": pl.UInt32, "outer": pl.UInt32},
)


def _sightings(draw: random.Random) -> pl.DataFrame:
    """Make sightings that have much in common, and miss anything."""

    def maybe(*values):
        return draw.choice([None, *values])

    rows = []
    most = draw.choice([1, 6, 60])
    for _ in range(draw.choice([1, 20, 120])):
        point = draw.choice(list(POINTS))
        is_tunneled = draw.random() < 0.4
        outer = (maybe(1, 2, 3), maybe(1, 2, 3)) if is_tunneled else (None, None)
        start = maybe(0, 999, 1000, 5000, -1)
        rows.append(
            {
                "group": draw.randrange(0, 200, most),
                "ends": draw.randrange(3),
                "host": POINTS[point],
                "point": point,
                "is_tunneled": is_tunneled,
                "is_overlay": point in OVERLAYS,
                "client": draw.choice([1, 2, 8, 9]) * 65536 + 80,
                "server": draw.choice([1, 2, 9]) * 65536 + 80,
                "client_ttl": maybe(62, 63, 64),
                "server_ttl": maybe(62, 63),
                "client_outer": outer[0],
                "server_outer": outer[1],
                "start": start,
                "raw_start": start,
                "flips": False,
            }
        )
    # Without packets in common, of those whose beginning is missed nothing is known.
    late = {row["group"] for row in rows if draw.random() < 0.05}
    for flow, row in enumerate(rows):
        row["flow"] = flow
        row["client_seq_start"] = flow if row["group"] in late else maybe(7)
        row["opens_with_answer"] = draw.random() < 0.01
    draw.shuffle(rows)
    return pl.DataFrame(rows, schema=SCHEMA)


def _samples(flows: int) -> pl.LazyFrame:
    ways = ("originator", "responder")
    return pl.LazyFrame(
        {
            "flow": range(flows),
            **{f"{way}_packet_ids": [[]] * flows for way in ways},
            **{f"{way}_packet_times": [[]] * flows for way in ways},
        },
        schema={
            "flow": pl.UInt32,
            **{f"{way}_packet_ids": pl.List(pl.UInt64) for way in ways},
            **{
                f"{way}_packet_times": pl.List(pl.Datetime("ns", "UTC")) for way in ways
            },
        },
    )


def _known(values):
    return [value for value in values if value is not None]


def _expected(rows: list[dict], nodes: pl.DataFrame) -> list[tuple[int, int]]:
    """Give leg and flow of each, by the rules."""
    addresses = set(nodes.iter_rows())
    hosts = {row["host"] for row in rows if row["is_tunneled"] or row["is_overlay"]}
    hosts |= {host for host, _ in addresses}
    found, legs = [], 0
    for _, of_group in groupby(sorted(rows, key=_group), key=_group):
        group = list(of_group)
        firsts = set(
            _known(
                row["flow"] if row["opens_with_answer"] else row["client_seq_start"]
                for row in group
            )
        )
        for row in group:
            row["passed"] = inf if len(firsts) > 1 else (row["start"] or 0) // 1000
        tuples: dict[int, list[dict]] = {}
        for row in group:
            tuples.setdefault(row["ends"], []).append(row)
        for leg in sorted(tuples.values(), key=_of_leg):
            for row in leg:
                _place(row, leg, addresses, hosts)
            in_order = sorted(leg, key=partial(_of_path, leg))
            found += [(legs, row["flow"]) for row in in_order]
            legs += 1
    return found


def _group(row):
    return row["group"]


def _most_ttl(leg):
    return max(_known(row["client_ttl"] for row in leg), default=256)


def _of_leg(leg):
    return (
        -_most_ttl(leg),
        -min(_known(row["server_ttl"] for row in leg), default=256),
        min(row["passed"] for row in leg),
        min(row["flow"] for row in leg),
    )


def _place(row, leg, addresses, hosts):
    """Say with which TTL, and at which side of the tunnel, a sighting is."""
    ttl = row["client_ttl"]
    row["inside"] = _most_ttl(leg) if ttl is None else ttl

    def outside(end):
        outer = row[f"{end}_outer"]
        if outer is None:
            outer = max(_known(other[f"{end}_outer"] for other in leg), default=None)
        return row[end] // 65536 if outer is None else outer

    def is_at(end):
        return (row["host"], outside(end)) in addresses

    if not addresses:
        row["side"] = "none"
    elif row["host"] in hosts:
        row["side"] = (
            "client" if is_at("client") else "server" if is_at("server") else "none"
        )
    else:
        is_client = ttl in INITIAL_TTLS and outside("client") not in list(OWN)
        row["side"] = "client itself" if is_client else "server itself"


def _of_path(leg, row):
    sides = ["client itself", "client", "none", "server", "server itself"]

    def first_at(*names):
        return min(
            other["passed"]
            for other in leg
            if all(other[name] == row[name] for name in names)
        )

    return (
        -row["inside"],
        sides.index(row["side"]),
        first_at("inside", "host"),
        row["host"],
        first_at("inside", "point", "is_tunneled", "client_outer"),
        row["is_tunneled"] == (row["side"] == "client"),
        row["point"],
        row["flow"],
    )


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_the_order_is_that_of_the_rules(seed, has_nodes):
    seen = _sightings(random.Random(seed))
    nodes = NODES if has_nodes else NODES.clear()
    with patch.object(legs, "BATCH_ROWS", 7):
        parts = [
            *in_path_order(seen, _samples(seen.height), nodes, OWN).parts(
                "leg", *SCHEMA
            )
        ]
    ordered = pl.concat(parts)
    assert sum(map(connections_of, parts)) == seen["group"].n_unique()
    expected = _expected(list(seen.iter_rows(named=True)), nodes)
    assert list(ordered.select("leg", "flow").iter_rows()) == expected
    assert ordered.drop("leg").sort("flow").equals(seen.sort("flow"))


def test_nothing_has_no_order():
    seen = _sightings(random.Random(1)).clear()
    (part,) = in_path_order(seen, _samples(0), NODES, OWN).parts("leg", *SCHEMA)
    assert part.is_empty()
    assert connections_of(part) == 0
