"""Which flows may belong with others: of a capture from one place, next to none.

To find what belongs together, each flow is looked at many times. One that shares no
number with any other is left out of it.
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from analyzer._cext.arrays import Arrays
from analyzer._cext.repeats import Repeats, add_up
from analyzer.correlate.datagrams import SIZES
from analyzer.correlate.midstream import AGREEING_PACKETS
from analyzer.correlate.sightings import both_ends, end, is_conversation
from analyzer.correlate.tcp import numbers
from analyzer.tables.batch import BATCH_ROWS

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
    is_tcp = is_conversation() & (protocol == "tcp")
    is_datagram = is_conversation() & ((protocol == "udp") | (protocol == "sctp"))
    number_of_ids = pl.sum_horizontal(pl.col(_IDS).list.len())
    seen = (
        flows.with_columns(client=end("originator"), server=end("responder"))
        .select(
            "flow",
            *_DIGESTS,
            *_SENT,
            is_conversation=is_conversation(),
            is_datagram=is_datagram,
            is_echo=pl.col("icmp_type").is_not_null(),
            may_agree=is_tcp & (number_of_ids >= AGREEING_PACKETS),
            client=pl.when(is_datagram).then("client"),
            server=pl.when(is_datagram).then("server"),
            answer=pl.when(is_datagram).then(_DIGESTS[1]),
            ends=pl.when(is_conversation()).then(both_ends()),
            **{name: pl.when(is_tcp).then(each) for name, each in numbers().items()},
        )
        .collect()
    )
    repeats = Repeats(seen.height)
    of_tuple = _repeated(repeats, seen, "ends")
    has_company = seen["is_echo"] | of_tuple
    for number in numbers():
        has_company |= _repeated(repeats, seen, number)
    has_company |= _datagrams(repeats, seen, of_tuple) | _agreeing(seen, flows)
    return seen.select("flow", has_company=has_company).filter(seen["is_conversation"])


def _datagrams(repeats: Repeats, seen: pl.DataFrame, of_tuple: pl.Series) -> pl.Series:
    """Mark the flows of datagrams that share what tells them across NAT.

    A tuple that several flows show counts as one with what all of them sent: what
    shares an end or a digest with any of those may be joined with it.
    """
    several = seen.filter("is_datagram", of_tuple)
    ends = pl.concat([several["client"], several["server"]]).unique()
    digests = pl.concat([several[name] for name in _DIGESTS]).drop_nulls().unique()
    is_like_several = pl.lit(value=False)
    if several.height:
        is_like_several = pl.col("is_datagram") & (
            pl.col("client").is_in(ends.implode())
            | pl.col(_DIGESTS[0]).is_in(digests.implode())
        ).fill_null(value=False)
    asked = _repeated(repeats, seen, "client", _DIGESTS[0])
    sent = _repeated(repeats, seen, "client", *_SENT)
    said = _repeated(repeats, seen, "answer", _DIGESTS[0], *_SENT)
    return seen.select(is_like_several | asked | sent | said).to_series()


def _agreeing(seen: pl.DataFrame, flows: pl.LazyFrame) -> pl.Series:
    """Mark the flows whose sampled packets others have, too, if any needs them."""
    needs_them = pl.col("may_agree") & pl.any_horizontal(
        pl.col("client_isn", "server_isn").is_null()
    )
    if not seen.select(needs_them.any()).item():
        return pl.repeat(value=False, n=seen.height, eager=True)
    parts = list(flows.select(_IDS).collect().iter_slices(BATCH_ROWS))
    lists = [part[name].to_arrow() for name in _IDS for part in parts]
    ids = []
    for each in lists:
        first, last = each.offsets[0].as_py(), each.offsets[-1].as_py()
        ids.append(Arrays([each.values.slice(first, last - first)]))
    marks = bytearray(sum(map(len, ids)))
    Repeats(len(marks)).mark(ids, marks)
    agreeing = bytearray(seen.height)
    add_up([Arrays([each.offsets]) for each in lists], marks, agreeing)
    return seen["may_agree"] & (_octets(agreeing) >= AGREEING_PACKETS)


def _repeated(repeats: Repeats, seen: pl.DataFrame, *keys: str) -> pl.Series:
    """Tell which rows have a key, made up of all columns, that others have, too."""
    marks = bytearray(seen.height)
    parts = [
        Arrays([column.to_arrow() for column in part])
        for part in seen[list(keys)].iter_slices(BATCH_ROWS)
    ]
    repeats.mark(parts, marks)
    return _octets(marks) == 1


def _octets(values: bytearray) -> pl.Series:
    array = pa.Array.from_buffers(pa.uint8(), len(values), [None, pa.py_buffer(values)])
    found = pl.from_arrow(array)
    assert isinstance(found, pl.Series)  # noqa: S101  an array, no table
    return found
