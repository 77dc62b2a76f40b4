"""Compiled passes over all flows tell what queries over the same table tell."""

from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from analyzer.cluster.inferred import tunnels
from analyzer.correlate.company import ALONE, IN_COMPANY, NO_CONVERSATION, company
from analyzer.correlate.flow_arrays import flow_arrays
from analyzer.correlate.sightings import (
    both_ends,
    end,
    is_conversation,
    is_unread_tunnel,
)
from analyzer.correlate.survey import survey
from analyzer.correlate.tcp import numbers
from analyzer.tables.expressions import host_of
from tests.correlate.all_flows import all_flows, misfits

SIDES = ("originator", "responder")
SIZES = [f"{side}_{name}" for name in ("packets", "payload_bytes") for side in SIDES]


@pytest.fixture(params=["real", *range(8)])
def flows(request):
    return all_flows() if request.param == "real" else misfits(Random(request.param))


def same(found, expected, *by):
    casts = dict(found.schema)
    assert found.height > 0
    assert_frame_equal(
        found.sort(by), expected.select(found.columns).cast(casts).sort(by)
    )


def test_addresses(flows):
    addresses = pl.concat(
        [
            flows.select(address=f"{outer}{side}_ip")
            for outer in ("", "outer_")
            for side in SIDES
        ]
    ).drop_nulls()
    expected = addresses.unique().select(
        pl.col("address").cast(pl.String), code=pl.col("address").to_physical()
    )
    found = survey(flows, flow_arrays(flows)).addresses
    same(found, expected, "address")
    assert found["address"].is_sorted()


def test_points_and_their_spans(flows):
    found = survey(flows, flow_arrays(flows))
    points = flows.select(pl.col("point").unique()).with_columns(name=host_of("point"))
    hosts = {name: place for place, name in enumerate(sorted(set(points["name"])))}
    points = points.with_columns(host=pl.col("name").replace_strict(hosts))
    same(found.points, points, "point")
    spans = (
        flows.filter(is_conversation())
        .group_by("point")
        .agg(
            start=pl.col("start_time").to_physical().min(),
            end=pl.col("end_time").to_physical().max(),
            flows=pl.len(),
        )
        .join(points, on="point")
    )
    same(found.spans, spans, "point")


def test_tunnels(flows):
    found = survey(flows, flow_arrays(flows))
    expected = tunnels(flows.lazy().filter(is_conversation()))
    same(found.inside, expected.inside, "code")
    outer = ["outer_originator", "outer_responder"]
    # Where nothing of the inside was read, the ends of the outside are told as well.
    unread = flows.filter(is_unread_tunnel()).select(
        "point",
        outer_originator=pl.col("originator_ip").to_physical(),
        outer_responder=pl.col("responder_ip").to_physical(),
    )
    pairs = pl.concat([expected.pairs, unread]).unique()
    same(found.pairs, pairs, "point", *outer)
    passing = flows.filter(pl.col("outer_originator_ip").is_not_null()).select(
        "point", *(pl.col(f"{name}_ip").to_physical().alias(name) for name in outer)
    )
    counts = passing.group_by("point", *outer).agg(flows=pl.len())
    same(found.passing, counts, "point", *outer)


def repeated(*keys):
    """Tell which rows have a key, made up of all columns, that others have, too."""
    return pl.col(keys[0]).is_not_null() & pl.struct(keys).is_duplicated()


def agreeing(flows):
    """Tell which flows have three sampled packets that others have, too."""
    ids = pl.concat(
        [
            flows.select(pl.row_index("row"), id=f"{side}_packet_ids").explode("id")
            for side in SIDES
        ]
    ).drop_nulls()
    alike = ids.filter(pl.col("id").is_duplicated())["row"].value_counts()
    return pl.int_range(flows.height, eager=True).is_in(
        alike.filter(pl.col("count") >= 3)["row"].implode()
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 900))
def test_company(seed, rows):
    flows = misfits(Random(seed)).sample(rows, seed=seed, with_replacement=rows > 800)
    talks = is_conversation().fill_null(value=False)
    is_tcp = talks & (pl.col("protocol") == "tcp")
    is_datagram = talks & pl.col("protocol").is_in(["udp", "sctp"])
    seen = (
        flows.with_columns(client=end("originator"), server=end("responder"))
        .with_columns(ends=both_ends(), is_agreeing=agreeing(flows))
        .select(
            *SIZES,
            "icmp_type",
            "is_agreeing",
            talks=talks,
            is_datagram=is_datagram,
            ends=pl.when(talks).then("ends"),
            caller=pl.when(is_datagram).then("client"),
            called=pl.when(is_datagram).then("server"),
            asked=pl.when(is_datagram).then("originator_digest"),
            **{
                f"{name}_head": pl.when(is_datagram).then(
                    pl.col(f"{side}_digest") // 2**32
                )
                for name, side in (("asked", "originator"), ("answer", "responder"))
            },
            is_tcp=is_tcp,
            **{name: pl.when(is_tcp).then(each) for name, each in numbers().items()},
        )
    )
    several = seen.filter(repeated("ends") & pl.col("is_datagram"))
    theirs = pl.concat([several["caller"], several["called"]]).implode()
    heads = pl.concat([several["asked_head"], several["answer_head"]])
    is_any_short = seen.select(
        (
            pl.col("is_tcp")
            & pl.any_horizontal(pl.col("client_isn", "server_isn").is_null())
        ).any()
    ).item()
    has_company = seen.select(
        pl.col("icmp_type").is_not_null()
        | repeated("ends")
        | repeated("client_isn")
        | repeated("server_isn")
        | repeated("last_numbers")
        | repeated("caller", "asked")
        | repeated("caller", *SIZES)
        | repeated("answer_head", "asked_head", *SIZES)
        | pl.col("caller").is_in(theirs).fill_null(value=False)
        | pl.col("asked_head")
        .is_in(heads.drop_nulls().implode())
        .fill_null(value=False)
        | (pl.col("is_tcp") & pl.col("is_agreeing") & pl.lit(is_any_short))
    ).to_series()
    expected = seen.select(
        pl.when(~pl.col("talks"))
        .then(NO_CONVERSATION)
        .when(has_company)
        .then(IN_COMPANY)
        .otherwise(ALONE)
    ).to_series()
    found = company(flows, flow_arrays(flows))
    assert found.to_list() == expected.to_list()
