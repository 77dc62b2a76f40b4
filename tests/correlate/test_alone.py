"""A flow alone becomes the connection that it would be among others."""

import random
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import analyzer
from analyzer.correlate import connections
from analyzer.correlate.addresses import address_roles, point_places, with_places
from analyzer.correlate.alone import Alone
from analyzer.correlate.chains import chains
from analyzer.correlate.clocks import Clock
from analyzer.correlate.flow_arrays import flow_arrays
from analyzer.correlate.grouping import on_one_clock
from analyzer.correlate.legs import Ends, in_path_order, oriented
from analyzer.correlate.sightings import (
    by_side,
    end,
    is_conversation,
    samples,
    sightings,
)
from analyzer.correlate.survey import survey
from analyzer.pipeline import write_tables
from tests.correlate.all_flows import all_flows, misfits
from tests.frames import CAPTURES

CLUSTER = CAPTURES / "cluster"


def _ends(flows: pl.DataFrame, draw: random.Random) -> Ends:
    """Have some ends known to serve, and some be met; never mind by whom."""
    every = pl.concat(
        [flows.select(end(side)).to_series() for side in ("originator", "responder")]
    ).unique(maintain_order=True)
    codes = (every // 65536).unique(maintain_order=True)

    def some(values: pl.Series) -> pl.Series:
        return values.sample(fraction=0.2, seed=draw.randrange(2**32))

    met = some(every).alias("end").to_frame()
    # One that several connections meet, that is: none is met once.
    counts = [draw.randint(2, 5) for _ in range(met.height)]
    return Ends(
        some(every),
        some(every),
        met.with_columns(met=pl.Series(counts, dtype=pl.UInt32)),
        some(codes),
        some(codes),
    )


def _clocks(hosts: pl.DataFrame, draw: random.Random) -> dict[int, Clock]:
    return {
        host: Clock(0, draw.uniform(-1e9, 1e9), draw.uniform(-1e-4, 1e-4), at=1.7e18)
        if draw.random() < 0.5
        else Clock(0)
        for host in hosts["host"].unique().to_list()
    }


def _same(flows: pl.DataFrame, draw: random.Random) -> int:
    """Compare with what is made of groups of one; give how many they were."""
    numbered = flows.with_row_index("flow").lazy()
    arrays = flow_arrays(flows)
    found = survey(flows, arrays)
    hosts = found.points
    places = point_places(address_roles(found, numbered, None), hosts)
    ends, clocks = _ends(flows, draw), _clocks(hosts, draw)

    seen = on_one_clock(sightings(numbered, hosts), clocks).with_columns(group="flow")
    paths = in_path_order(
        with_places(by_side(oriented(seen, ends)), places),
        samples(numbered),
        pl.DataFrame(schema={"host": pl.UInt32, "outer": pl.UInt32}),
        ends.hosts,
    )
    expected = chains(paths)
    is_one = flows.select(is_conversation().fill_null(value=False).cast(pl.UInt8))
    lone = Alone(arrays, is_one.to_series(), ends, places, hosts, clocks)
    made = pl.concat(lone.parts(held=None))
    for name in made.columns:
        assert made[name].equals(expected[name].cast(made[name].dtype)), name
    return made.height


def test_flows_of_captures():
    assert _same(all_flows(), random.Random(1)) > 500


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_flows_whose_columns_do_not_fit_together(seed):
    draw = random.Random(seed)
    assert _same(misfits(draw), draw) > 100


def test_a_capture_without_connections_has_none():
    flows = all_flows().filter(~is_conversation().fill_null(value=False))
    assert flows.height > 10
    assert _same(flows, random.Random(1)) == 0


@pytest.mark.parametrize("state", ["with", "without", "conntrack"])
@pytest.mark.parametrize("threads", [1, 2])
def test_connections_do_not_depend_on_how_many_are_made_at_once(
    state, threads, tmp_path
):
    folder = CLUSTER / "mixed"
    path = folder / "k8s-worker01.ens18.pcap.gz"
    told = {
        "with": [folder / "cluster"],
        "without": [],
        "conntrack": [folder / "cluster", folder / "conntrack"],
    }[state]
    cluster = analyzer.Cluster.load(told) if told else None
    whole = analyzer.build_tables(path, cluster=cluster)
    with (
        patch("analyzer.correlate.flow_arrays.BATCH_ROWS", 7),
        patch.object(connections, "BATCH_ROWS", 5),
        patch("polars.thread_pool_size", lambda: threads),
    ):
        parts = analyzer.build_tables(path, cluster=cluster)
        # Here, the buffers of a part are used again.
        write_tables([path], tmp_path / "written", cluster=cluster)
    written = analyzer.open_tables(tmp_path / "written")
    for tables in (parts, written):
        assert tables.connections.collect().equals(whole.connections.collect())
    assert whole.connections.collect().height > 40
