"""Sightings with the same initial numbers are grouped as a plain model says."""

import random
from collections import defaultdict

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.correlate.tcp import TIME_SLACK, by_both_numbers

SECOND = 1_000_000_000
SMALL = 1 << 16
SCHEMA = {
    "flow": pl.UInt32,
    "lane": pl.UInt64,
    "ends": pl.UInt64,
    "client_isn": pl.UInt32,
    "server_isn": pl.UInt32,
    "originator_syn_tsval": pl.UInt32,
    "originator_ttl": pl.UInt8,
    "responder_ttl": pl.UInt8,
    "copies": pl.UInt64,
    "is_tunneled": pl.Boolean,
    "start": pl.Int64,
    "end": pl.Int64,
    "originator_payload_bytes": pl.UInt64,
    "responder_payload_bytes": pl.UInt64,
}


def _sightings(draw: random.Random) -> list[dict]:
    """Make sightings of which many share numbers, tuples and places."""
    rows = []
    lanes = draw.choice([5, 2**64])
    tuples = draw.choice([1, 2, 8])
    for flow in range(draw.choice([1, 10, 60])):
        start = draw.choice([0, SECOND // 2, SECOND, 20 * SECOND])
        ttl = draw.choice([62, 63])
        rows.append(
            {
                "flow": flow * 3,
                "lane": draw.randrange(lanes),
                "ends": draw.randrange(tuples),
                "client_isn": draw.choice([None, 7, 1_000_000, 2_000_000]),
                "server_isn": draw.choice([None, 9, 3_000_000]),
                "originator_syn_tsval": draw.choice([None, 5, 5, 6]),
                "originator_ttl": ttl,
                "responder_ttl": draw.choice([None, 125 - ttl, 60]),
                "copies": draw.choice([0, 0, 1]),
                "is_tunneled": draw.random() < 0.3,
                "start": start,
                "end": start + draw.choice([0, SECOND]),
                "originator_payload_bytes": draw.choice([0, 0, 9]),
                "responder_payload_bytes": 1,
            }
        )
    return rows


def _expected(rows: list[dict]) -> dict[int, int]:
    """Give the group of each flow, by the rules."""
    numbered = defaultdict(list)
    for row in rows:
        if row["client_isn"] is not None and row["server_isn"] is not None:
            numbered[row["client_isn"], row["server_isn"]].append(row)
    found = {}
    for numbers, group in numbered.items():
        tuples = defaultdict(list)
        for row in group:
            tuples[row["ends"]].append(row)
        shows_twice = len({row["lane"] for row in group}) < len(group)
        is_small = min(numbers) < SMALL and not _holds_together(group, tuples)
        if not (shows_twice or len(tuples) > 4 or is_small):
            found |= {row["flow"]: group[0]["flow"] for row in group}
            continue
        for of_tuple in tuples.values():
            for run in _runs(of_tuple):
                found |= dict.fromkeys(run, min(run))
    return found


def _holds_together(group, tuples):
    """Tell whether small numbers are one connection's all the same."""
    if len(tuples) == 1:
        return True
    if len({row["originator_syn_tsval"] for row in group} - {None}) == 1:
        return True
    places = {
        (
            max(row["originator_ttl"] for row in of_tuple),
            any(row["is_tunneled"] for row in of_tuple),
        )
        for of_tuple in tuples.values()
    }
    ttls = {
        row["originator_ttl"] + row["responder_ttl"]
        for row in group
        if row["copies"] == 0 and row["responder_ttl"] is not None
    }
    starts, payloads = (
        [max(row[name] for row in of_tuple) for of_tuple in tuples.values()]
        for name in ("start", "originator_payload_bytes")
    )
    return (
        len(places) == len(tuples)
        and len(ttls) <= 1
        and max(starts) - min(starts) < SECOND
        and len(set(payloads)) == 1
    )


def _runs(rows):
    """Part flows where nothing was seen for too long."""
    runs, until = [], None
    for row in sorted(rows, key=lambda row: (row["start"], row["flow"])):
        if until is None or row["start"] > until + TIME_SLACK:
            runs.append([])
        runs[-1].append(row["flow"])
        until = row["end"] if until is None else max(until, row["end"])
    return runs


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_groups_are_those_of_the_rules(seed):
    rows = _sightings(random.Random(seed))
    found = by_both_numbers(pl.DataFrame(rows, schema=SCHEMA))
    assert dict(found.select("flow", "group").iter_rows()) == _expected(rows)
    assert found["flow"].is_unique().all()


def test_many_numbers_are_told_apart():
    draw = random.Random(3)
    count = 200_000
    numbers = [draw.randrange(SMALL, 2**32) for _ in range(count // 2)]
    seen = pl.DataFrame(
        [
            {
                **dict.fromkeys(SCHEMA, 0),
                "flow": flow,
                "lane": flow,
                "ends": flow // (count // 2),
                "client_isn": numbers[flow % len(numbers)],
                "server_isn": SMALL + flow % len(numbers),
                "is_tunneled": False,
            }
            for flow in range(count)
        ],
        schema=SCHEMA,
    )
    found = by_both_numbers(seen).sort("flow")
    assert found["group"].to_list() == [n % len(numbers) for n in range(count)]
