"""A connection has what a plain model takes from its sightings."""

import random
from itertools import groupby
from unittest.mock import patch

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.correlate import legs
from analyzer.correlate.chains import COLUMNS, chains
from analyzer.correlate.legs import Paths

COUNTERS = [
    f"{side}_{name}"
    for side in ("client", "server")
    for name in ("packets", "bytes", "payload_bytes")
]
SCHEMA = {
    "group": pl.UInt32,
    "leg": pl.UInt32,
    "flow_id": pl.UInt64,
    "point": pl.Categorical,
    "lane": pl.UInt64,
    "copies": pl.UInt64,
    "protocol": pl.Categorical,
    "client": pl.UInt64,
    "server": pl.UInt64,
    "client_ttl": pl.UInt8,
    "client_outer": pl.UInt32,
    "is_tunneled": pl.Boolean,
    "is_overlay": pl.Boolean,
    "is_pod_side": pl.Boolean,
    "node": pl.Categorical,
    "raw_start": pl.Int64,
    "start": pl.Int64,
    "end": pl.Int64,
    "is_answered": pl.Boolean,
    "is_numbered": pl.Boolean,
    "handshake_rtt": pl.Duration("ns"),
    "tcp_state": pl.Categorical,
    "retransmits": pl.UInt64,
    "requests": pl.UInt64,
    **dict.fromkeys(COUNTERS, pl.UInt64),
}


def _sightings(draw: random.Random) -> pl.DataFrame:
    """Make sightings, sorted by group and leg, that agree often and miss anything."""

    def maybe(*values):
        return draw.choice([None, *values])

    rows = []
    leg = 0
    for group in sorted(draw.sample(range(1000), draw.randrange(30))):
        begins_with = draw.random() < 0.5
        for _ in range(draw.choice([1, 2, 5, 40])):
            leg += draw.random() < 0.3
            is_overlay = draw.random() < 0.2
            rows.append(
                {
                    "group": group,
                    "leg": leg,
                    "flow_id": draw.randrange(2**40),
                    "point": draw.choice("abc"),
                    "lane": draw.randrange(2**64 - 40, 2**64),
                    "copies": draw.choice([0, 0, 0, 3]),
                    "protocol": draw.choice(["tcp", "udp"]),
                    "client": draw.randrange(2**48),
                    "server": draw.randrange(2**48),
                    "client_ttl": maybe(62, 63),
                    "client_outer": maybe(0, 1),
                    "is_tunneled": draw.random() < 0.3,
                    "is_overlay": is_overlay,
                    "is_pod_side": not is_overlay and draw.random() < 0.2,
                    "node": maybe("node-a", "node-b"),
                    "raw_start": maybe(*range(5)),
                    "start": maybe(-1, *range(5)),
                    "end": maybe(*range(5, 9)),
                    "is_answered": draw.random() < 0.2,
                    "is_numbered": draw.random() < 0.2,
                    "handshake_rtt": maybe(1, 2, 3),
                    "tcp_state": maybe("SF", "S0") if begins_with else None,
                    "retransmits": maybe(0, 1),
                    "requests": maybe(0, 1, 2),
                    "client_packets": draw.choice([0, 1, 2]),
                    "server_packets": draw.choice([0, 1, 2, 2**20]),
                    "client_bytes": maybe(0, 100, 200),
                    "server_bytes": maybe(0, 100, 200),
                    "client_payload_bytes": maybe(0, 100, 2**41),
                    "server_payload_bytes": maybe(0, 100),
                }
            )
        leg += 1
    return pl.DataFrame(rows, schema=SCHEMA)


def _added(values):
    """Add what is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _extreme(choose, values):
    return choose((value for value in values if value is not None), default=None)


def _expected(group: list[dict]) -> dict:
    """Make a connection of sightings in path order, by the rules."""
    whole = [
        row
        | {
            name: _added(other[name] for other in group if other["lane"] == row["lane"])
            for name in (*COUNTERS, "retransmits", "requests")
        }
        for row in group
    ]
    first, last = whole[0], whole[-1]
    best = max(whole, key=_worth)
    found = {
        name: first[name]
        for name in (
            "group",
            "protocol",
            "client",
            "client_ttl",
            "client_outer",
            "is_tunneled",
            "is_overlay",
            "is_pod_side",
            "raw_start",
        )
    }
    found |= {
        "destination": first["server"],
        "source": last["client"],
        "backend": last["server"],
        "retransmits": best["retransmits"],
        "start": _extreme(min, (row["start"] for row in whole)),
        "flow_ids": [row["flow_id"] for row in whole],
        "points": [point for point, *_ in _once([_place(row) for row in whole])],
        "node": _node(whole),
        "tcp_state": next(
            (row["tcp_state"] for row in [best, *whole] if row["tcp_state"]), None
        ),
    }
    for name in ("end", "is_answered", "is_numbered", "requests", "handshake_rtt"):
        found[name] = _extreme(max, (row[name] for row in whole))
    for name in COUNTERS:
        # Where the best has none of a side's packets, others may have.
        is_missed = best[f"{name.partition('_')[0]}_packets"] == 0
        found[name] = (
            _extreme(max, (row[name] for row in whole)) if is_missed else best[name]
        )
    return found


def _worth(row):
    payload = (row["client_payload_bytes"] or 0) + (row["server_payload_bytes"] or 0)
    return (
        row["copies"] == 0,
        min(payload, 2**40),
        row["tcp_state"] is not None,
        min(row["client_packets"] + row["server_packets"], 2**19 - 1),
    )


def _place(row):
    return row["point"], row["leg"], row["is_tunneled"], row["client_outer"]


def _once(values):
    return [value for value, _ in groupby(values)]


def _node(whole):
    first = whole[0]
    if first["is_pod_side"] or first["is_overlay"]:
        return first["node"]
    of_first = (row["node"] for row in whole if row["leg"] == first["leg"])
    return next((node for node in of_first if node), None)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_connections_are_those_of_the_rules(seed):
    draw = random.Random(seed)
    ordered = _sightings(draw)
    rows = pl.Series(
        draw.sample(range(ordered.height), ordered.height), dtype=pl.UInt32
    )
    paths = Paths(ordered[rows].drop("leg"), rows.arg_sort(), ordered["leg"])
    with patch.object(legs, "BATCH_ROWS", 30):
        found = chains(paths)
    codes = ordered.select(pl.col("point").unique()).with_columns(
        code=pl.col("point").to_physical()
    )
    names = dict(codes.select("code", pl.col("point").cast(pl.String)).iter_rows())
    seen = ordered.with_columns(pl.col(pl.Duration).to_physical()).to_dicts()
    expected = [
        _expected(list(group))
        for _, group in groupby(seen, key=lambda row: row["group"])
    ]
    made = found.with_columns(pl.col(pl.Duration).to_physical()).to_dicts()
    for row in made:
        row["points"] = [names[code] for code in row["points"]]
    assert tuple(found.columns) == COLUMNS
    assert made == expected
