"""Connections are of one kind if all that their names depend on is alike."""

import polars as pl
import pytest

from analyzer._cext.arrays import Arrays
from analyzer._cext.kinds import Kinds

PORT = 1 << 16
#: Codes 0 and 1 are alike, but for their names.
ADDRESSES = pl.DataFrame(
    {"whose": [7, 7, 8], "who": [100, 101, 8]},
    schema_overrides={"whose": pl.UInt64, "who": pl.UInt64},
)


def arrays(frame):
    return Arrays([column.to_arrow() for column in frame])


def numbers(rows, told=(), edges=(), kinds=None):
    """Give kinds of connections: client, destination, start and one thing more."""
    kinds = kinds or Kinds(
        arrays(ADDRESSES),
        arrays(pl.DataFrame({"told": told}, schema={"told": pl.UInt64})),
        arrays(pl.DataFrame({"edges": edges}, schema={"edges": pl.Int64})),
    )
    clients, destinations, starts, others = zip(*rows, strict=True)
    ends = {
        name: pl.Series(name, values, pl.UInt64)
        for name, values in (
            ("client", clients),
            ("destination", destinations),
            ("source", clients),
            ("backend", destinations),
        )
    }
    frame = pl.DataFrame(
        [
            *ends.values(),
            pl.Series("start", starts, pl.Int64),
            pl.Series("other", others, pl.UInt8),
        ]
    )
    found = memoryview(bytearray(4 * len(rows))).cast("I")
    firsts = kinds.number(arrays(frame), found)
    return list(found), firsts, kinds


def test_ports_and_clients_of_which_the_same_is_known_make_no_difference():
    rows = [(0, 2 * PORT + 80, 5, 1), (PORT + 9, 2 * PORT + 443, 6, 1)]
    assert numbers(rows)[:2] == ([0, 0], [0])


@pytest.mark.parametrize(
    "other",
    [
        (2 * PORT, 2 * PORT + 80, 5, 1),  # another client
        (0, PORT + 80, 5, 1),  # another destination
        (0, 2 * PORT + 443, 5, 1),  # an end of which more is known
        (0, 2 * PORT + 80, 15, 1),  # later than an edge
        (0, 2 * PORT + 80, 5, 2),
        (0, 2 * PORT + 80, 5, None),
    ],
)
def test_what_names_depend_on_makes_another_kind(other):
    rows = [(0, 2 * PORT + 80, 5, 1), other, (0, 2 * PORT + 80, 5, 1)]
    found = numbers(rows, told=[2 * PORT + 443], edges=[10])
    assert found[:2] == ([0, 1, 0], [0, 1])


def test_kinds_keep_their_numbers_from_part_to_part():
    many = [(0, 2 * PORT, at, at % 251) for at in range(5000)]
    first, firsts, kinds = numbers(many, edges=range(0, 5000, 100))
    again, none, _ = numbers(many[::-1], kinds=kinds)
    assert again == first[::-1]
    assert (len(firsts), none) == (len(set(first)), [])
    assert kinds.count == 5000
