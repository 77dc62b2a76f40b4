"""Which flows may belong with others: of a capture from one place, next to none.

To find what belongs together, each flow is looked at many times. One that shares no
number with any other is left out of it.
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from analyzer._cext.arrays import Arrays
from analyzer._cext.repeats import Repeats
from analyzer.correlate.datagrams import SIZES
from analyzer.correlate.midstream import AGREEING_PACKETS
from analyzer.correlate.sightings import both_ends, end, is_conversation
from analyzer.correlate.tcp import numbers

_SENT = tuple(
    name.replace("client", "originator").replace("server", "responder")
    for name in SIZES
)
_DIGESTS = ("originator_digest", "responder_digest")
_IDS = ("originator_packet_ids", "responder_packet_ids")


def with_company(flows: pl.LazyFrame) -> pl.DataFrame:
    """Tell which flows may be of one connection with others.

    Parameters
    ----------
    flows : pl.LazyFrame
        The flows table with its row index as ``flow``.

    Returns
    -------
    pl.DataFrame
        One row per flow of TCP, UDP, SCTP or ICMP echo, in the order of the flows:
        ``flow`` (u32), ``has_company`` (bool). Where it is false, no evidence that
        :mod:`analyzer.correlate.grouping` asks for joins the flow with another one;
        where it is true, some may.
    """
    protocol = pl.col("protocol")
    is_tcp = protocol == "tcp"
    number_of_ids = pl.sum_horizontal(pl.col(_IDS).list.len())
    numbered = flows.filter(is_conversation()).select(
        "flow",
        *_DIGESTS,
        *_SENT,
        is_datagram=(protocol == "udp") | (protocol == "sctp"),
        is_echo=pl.col("icmp_type").is_not_null(),
        client=end("originator"),
        server=end("responder"),
        may_agree=is_tcp & (number_of_ids >= AGREEING_PACKETS),
        protocol="protocol",
        **{name: pl.when(is_tcp).then(number) for name, number in numbers().items()},
    )
    seen = numbered.with_columns(ends=both_ends()).collect().rechunk()
    repeats = Repeats(seen.height)
    of_tuple = bytearray(seen.height)
    _mark(repeats, of_tuple, seen["ends"])
    marks = bytearray(of_tuple)
    for number in numbers():
        _mark(repeats, marks, seen[number])
    has_company = seen["is_echo"] | _datagrams(seen, repeats, marks, _marked(of_tuple))
    has_company |= _marked(marks) | _agreeing(seen, flows)
    return seen.select("flow", has_company=has_company)


def _datagrams(
    seen: pl.DataFrame, repeats: Repeats, marks: bytearray, of_tuple: pl.Series
) -> pl.Series:
    """Mark the flows of datagrams that share what tells them across NAT.

    A tuple that several flows show counts as one with what all of them sent: what
    shares an end or a digest with any of those may be joined with it.
    """
    several = seen.filter("is_datagram", of_tuple)
    ends = pl.concat([several["client"], several["server"]]).unique()
    digests = pl.concat([several[name] for name in _DIGESTS]).drop_nulls().unique()
    is_like_several = pl.col("is_datagram") & (
        pl.col("client").is_in(ends.implode())
        | pl.col(_DIGESTS[0]).is_in(digests.implode())
    ).fill_null(value=False)
    client, answer = (
        seen.select(pl.when("is_datagram").then(name)).to_series()
        for name in ("client", _DIGESTS[1])
    )
    asked = seen[_DIGESTS[0]]
    sizes = [seen[name] for name in _SENT]
    for keys in ((client, asked), (client, *sizes), (answer, asked, *sizes)):
        _mark(repeats, marks, *keys)
    return seen.select(is_like_several).to_series()


def _agreeing(seen: pl.DataFrame, flows: pl.LazyFrame) -> pl.Series:
    """Mark the flows whose sampled packets others have, too, if any needs them."""
    needs_them = pl.col("may_agree") & pl.any_horizontal(
        pl.col("client_isn", "server_isn").is_null()
    )
    if not seen.select(needs_them.any()).item():
        return pl.repeat(value=False, n=seen.height, eager=True)
    lists = [column.to_arrow() for column in flows.select(_IDS).collect()]
    ids = pl.concat([pl.Series(each.flatten()) for each in lists], rechunk=True)
    of_ids = bytearray(ids.len())
    _mark(Repeats(ids.len()), of_ids, ids)
    marks = _marked(of_ids)
    # How many marks there are before each place, and so between any two.
    before = pl.concat([pl.Series([0], dtype=pl.UInt32), marks.cum_sum()])
    last = 0
    agreeing = pl.repeat(0, len(lists[0]), dtype=pl.UInt32, eager=True)
    for each in lists:
        lengths = pl.Series(each.value_lengths()).fill_null(0)
        ends = (lengths.cum_sum() + last).cast(pl.UInt32)
        agreeing += before[ends] - before[ends - lengths.cast(pl.UInt32)]
        last += len(each.flatten())
    return seen["may_agree"] & (agreeing >= AGREEING_PACKETS)[seen["flow"]]


def _mark(repeats: Repeats, marks: bytearray, *keys: pl.Series) -> None:
    """Mark rows whose key others have, too: all columns, of which the first is known."""
    repeats.mark(Arrays([each.to_arrow() for each in keys]), marks)


def _marked(marks: bytearray) -> pl.Series:
    """Tell which rows are marked."""
    array = pa.Array.from_buffers(pa.uint8(), len(marks), [None, pa.py_buffer(marks)])
    found = pl.from_arrow(array)
    assert isinstance(found, pl.Series)  # noqa: S101  an array, no table
    return found == 1
