"""Leaving out what belongs with nothing changes no table."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import analyzer
from analyzer import correlate
from analyzer._cext.arrays import Arrays
from analyzer._cext.repeats import Repeats, add_up
from analyzer.correlate.company import ALONE, IN_COMPANY, company
from analyzer.correlate.filled import Marks, Numbers, arrays
from analyzer.correlate.flow_arrays import flow_arrays
from tests.frames import CAPTURES, sample_captures, sample_name

RECORDED = sorted((CAPTURES / "cluster").glob("*/scenario.json"))
TABLES = ("connections", "hops", "clocks")


def _with_company(monkeypatch):
    """Have everything looked at together."""
    monkeypatch.setattr(
        correlate,
        "company",
        lambda *flows: company(*flows).replace(ALONE, IN_COMPANY),
    )


def _same_tables(paths, cluster, monkeypatch):
    some = analyzer.build_tables(paths, cluster=cluster)
    with monkeypatch.context() as patch:
        _with_company(patch)
        others = analyzer.build_tables(paths, cluster=cluster)
    return all(some.arrow(name).equals(others.arrow(name)) for name in TABLES)


@pytest.mark.parametrize("scenario", RECORDED, ids=lambda path: path.parent.name)
def test_what_is_left_out_of_the_search_belongs_with_nothing(scenario, monkeypatch):
    folder = scenario.parent
    paths = sorted(folder.glob("*.pcap*"))
    cluster = analyzer.Cluster.load([folder / "cluster"])
    assert _same_tables(paths, cluster, monkeypatch)
    for path in paths:
        assert _same_tables([path], None, monkeypatch)


@pytest.mark.parametrize("path", sample_captures(), ids=sample_name)
def test_samples_are_searched_whole(path, monkeypatch):
    assert _same_tables([path], None, monkeypatch)


def test_most_of_a_capture_from_one_place_is_left_out():
    path = CAPTURES / "cluster" / "mixed" / "k8s-worker03.vxlan.calico.pcap.gz"
    flows = analyzer.build_tables(path).flows.collect()
    told = company(flows, flow_arrays(flows))
    assert (told == ALONE).sum() > 20
    assert (told == IN_COMPANY).sum() < 5


@given(
    st.lists(st.none() | st.integers(0, 2**64 - 1), max_size=300),
    st.data(),
    st.integers(0, 50),
)
def test_rows_whose_key_others_have_are_marked(keys, data, first):
    again = data.draw(st.lists(st.sampled_from(keys), max_size=50)) if keys else []
    added = pl.Series([*keys, *again], dtype=pl.UInt64)[first:]
    marks = bytearray(added.len())
    Repeats(added.len()).mark([Arrays([added.to_arrow()])], marks)
    is_repeated = added.is_duplicated() & added.is_not_null()
    assert list(marks) == is_repeated.cast(pl.UInt8).to_list()


def test_many_keys_in_parts_are_dealt_out_and_found():
    rows = 50_000
    number = pl.int_range(rows, dtype=pl.UInt64, eager=True)
    keys = pl.select(key=pl.when(number % 7 > 0).then((number * 7919) % 30_011))
    parts = [arrays(part) for part in keys.iter_slices(999)]
    repeats = Repeats(rows)
    marks, firsts = Marks(rows), Numbers(rows)
    repeats.mark(parts, marks.view)
    repeats.firsts(parts, firsts.view)
    is_key = pl.col("key").is_not_null()
    expected = keys.with_row_index("row").select(
        is_repeated=pl.col("key").is_duplicated() & is_key,
        first=pl.when(is_key).then(pl.min("row").over("key")).otherwise("row"),
    )
    assert marks.series().equals(expected["is_repeated"])
    assert firsts.series().equals(expected["first"])
    assert 0 < sum(marks.series()) < rows


def test_marks_are_added_up_by_lists():
    first, second = ([[], [1, 2], None, [3]], [[4], [], [5, 6, 7], [8]])
    lists = [
        pl.Series(each, dtype=pl.List(pl.Int64)).to_arrow() for each in (first, second)
    ]
    marks = bytearray([0, 1, 1, 1, 0, 1, 1, 0])
    sums = bytearray(4)
    add_up([Arrays([each.offsets]) for each in lists], marks, sums)
    assert list(sums) == [1, 1, 2, 1]
