"""Which flows may belong with others: of a capture from one place, next to none.

To find what belongs together, each flow is looked at many times. One that shares no
number with any other is left out of it.
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

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
        is_datagram=(protocol == "udp") | (protocol == "sctp"),
        is_echo=pl.col("icmp_type").is_not_null(),
        client=end("originator"),
        server=end("responder"),
        sizes=pl.when(~is_tcp).then(pl.struct(_SENT).hash()),
        may_agree=is_tcp & (number_of_ids >= AGREEING_PACKETS),
        protocol="protocol",
        **{name: pl.when(is_tcp).then(number) for name, number in numbers().items()},
    )
    seen = numbered.with_columns(ends=both_ends()).collect()
    of_tuple = _repeated(seen["ends"])
    has_company = of_tuple | seen["is_echo"]
    for number in ("client_isn", "server_isn", "last_numbers"):
        has_company |= _repeated(seen[number])
    for flows_of in (_datagrams(seen, of_tuple), _agreeing(seen, flows)):
        if flows_of.len():
            has_company |= seen["flow"].is_in(flows_of.implode())
    return seen.select("flow", has_company=has_company)


def _datagrams(seen: pl.DataFrame, of_tuple: pl.Series) -> pl.Series:
    """Give the flows of datagrams that share what tells them across NAT.

    A tuple that several flows show counts as one with what all of them sent: what
    shares an end or a digest with any of those may be joined with it.
    """
    columns = ("flow", "client", "server", "sizes", *_DIGESTS)
    datagrams = seen.select(*columns, "is_datagram", of_tuple=of_tuple).filter(
        "is_datagram"
    )
    several = datagrams.filter("of_tuple")
    ends = pl.concat([several["client"], several["server"]]).unique()
    digests = pl.concat([several[name] for name in _DIGESTS]).drop_nulls().unique()
    said = pl.struct(*_DIGESTS, "sizes").hash()
    keys = datagrams.select(
        asked=pl.struct("client", _DIGESTS[0]).hash(),
        sent=pl.struct("client", "sizes").hash(),
        said=pl.when(pl.col(_DIGESTS[1]).is_not_null()).then(said),
    )
    is_like_several = (
        pl.col("client").is_in(ends.implode())
        | pl.col(_DIGESTS[0]).is_in(digests.implode())
    ).fill_null(value=False)
    has_company = datagrams.select(is_like_several).to_series()
    for key in keys.iter_columns():
        has_company |= _repeated(key)
    return datagrams["flow"].filter(has_company)


def _agreeing(seen: pl.DataFrame, flows: pl.LazyFrame) -> pl.Series:
    """Give the flows whose sampled packets others have, too, if any needs them."""
    needs_them = pl.col("may_agree") & pl.any_horizontal(
        pl.col("client_isn", "server_isn").is_null()
    )
    if not seen.select(needs_them.any()).item():
        return seen["flow"].clear()
    lists = [
        column.to_arrow()
        for column in flows.filter(is_conversation()).select(_IDS).collect()
    ]
    marks = _repeated(pl.concat([pl.Series(each.flatten()) for each in lists]))
    # How many marks there are before each place, and so between any two.
    before = pl.concat([pl.Series([0], dtype=pl.UInt32), marks.cum_sum()])
    last = 0
    counts = []
    for each in lists:
        lengths = pl.Series(each.value_lengths()).fill_null(0)
        ends = (lengths.cum_sum() + last).cast(pl.UInt32)
        counts.append(before[ends] - before[ends - lengths.cast(pl.UInt32)])
        last = ends[-1]
    return seen["flow"].filter(
        seen["may_agree"] & (counts[0] + counts[1] >= AGREEING_PACKETS)
    )


def _repeated(keys: pl.Series) -> pl.Series:
    """Tell which keys there are more than once; null is none."""
    known = keys.drop_nulls()
    repeats = Repeats(known.len())
    repeats.add(_values(known))
    found = pa.allocate_buffer(keys.len())
    repeats.find(_values(keys.fill_null(0)), memoryview(found).cast("B"))
    marks = pl.from_arrow(pa.Array.from_buffers(pa.uint8(), keys.len(), [None, found]))
    assert isinstance(marks, pl.Series)  # noqa: S101  an array, no table
    rows = ((marks == 1) & keys.is_not_null()).arg_true()
    is_repeated = pl.repeat(value=False, n=keys.len(), eager=True)
    return is_repeated.scatter(rows.filter(keys[rows].is_duplicated()), values=True)


def _values(keys: pl.Series) -> memoryview:
    """Give numbers as they lie in memory."""
    array = keys.cast(pl.UInt64).to_arrow()
    assert isinstance(array, pa.Array)  # noqa: S101  of one chunk
    values = memoryview(array.buffers()[1]).cast("Q")
    return values[array.offset : array.offset + len(array)]
