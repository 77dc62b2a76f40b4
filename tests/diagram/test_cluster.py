"""The cluster's picture: its numbers are the tables', its texts keep their places."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import polars as pl
import pytest

from analyzer.analysis.paths import Selection, path_edges
from analyzer.diagram.scene import Ribbon, Scene, Text
from analyzer.diagram.svg import write_svg
from tests.diagram.pictures import (
    assert_apart,
    assert_whole,
    graph,
    groups,
    scene,
    svg,
)
from tests.recordings import SCENARIOS, tables
from tests.svg import SVG, assert_valid

NAMED = [(scenario, True) for scenario in SCENARIOS]
EVERY = [*NAMED, ("loadbalancer", False), ("mixed", False), ("dualstack", False)]
CHOICES = (
    Selection(services=("lb-nginx-ds",)),
    Selection(clients=("192.168.2.101",)),
    Selection(pods=("redis-ds-zw869",)),
)
NANOSECONDS = pl.selectors.duration().dt.total_nanoseconds()


@pytest.fixture(
    params=[
        *((scenario, named, None) for scenario, named in EVERY),
        *(("loadbalancer", True, choice) for choice in CHOICES),
    ],
    ids=str,
)
def drawing(request):
    scenario, named, selection = request.param
    return scene(scenario, named=named, selection=selection)


@pytest.mark.parametrize(("scenario", "named"), EVERY)
def test_links_have_the_numbers_of_the_tables(scenario, named):
    drawn = {
        (each["step"], each["source"], each["target"]): each
        for each in groups(svg(scenario, named=named), "edge")
        if "source" in each
    }
    edges = path_edges(graph(scenario, named=named).sums, by=())
    asked = edges.with_columns(NANOSECONDS).collect().to_dicts()
    assert len(drawn) == len(asked)
    for row in asked:
        link = drawn[row["step"], row["source"], row["target"]]
        assert int(link["connections"]) == row["connections"]
        if row["step"] == "refuse":
            continue
        for name in ("octets", "measured", "lost_segments", "dnat", "snat"):
            assert int(link[name]) == row[name]
        for name in ("latency", "clock_bound"):
            value = row[name]
            told = link.get(f"{name}_ns")
            assert told == (None if value is None else str(value))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_calls_in_the_picture_are_all_connections(scenario):
    calls = [each for each in groups(svg(scenario), "edge") if each["step"] == "call"]
    assert (
        sum(int(each["connections"]) for each in calls)
        == tables(scenario).connections.select(pl.len()).collect().item()
    )


def test_labels_say_count_rate_and_latency_with_its_bound():
    edges = path_edges(graph("loadbalancer").sums, by=())
    asked = (
        edges.with_columns(NANOSECONDS)
        .collect()
        .filter(
            pl.col("source") == "exit/k8s-worker01/vxlan",
            pl.col("target") == "arrival/k8s-master/vxlan",
        )
        .to_dicts()[0]
    )
    label = next(
        each
        for each in scene("loadbalancer").groups
        if each.kind == "label"
        and each.facts.get("source") == asked["source"]
        and each.facts.get("target") == asked["target"]
    )
    (text,) = (mark.text for mark in label.marks if isinstance(mark, Text))
    latency, bound = asked["latency"] / 1000, asked["clock_bound"] / 1000
    assert text == (
        f"{asked['connections']} · {asked['per_second']:.0f}/s"
        f" · {latency:.1f} ± {bound:.1f} µs"
    )


def test_rewrites_are_marked_at_the_device_that_calls_came_in_through():
    edges = path_edges(graph("loadbalancer").sums, by=()).collect()
    marks = {each["id"]: each for each in groups(svg("loadbalancer"), "rewrite")}
    for source in edges.filter(pl.col("dnat") > 0)["source"].unique():
        of_source = edges.filter(pl.col("source") == source)
        assert int(marks[source]["dnat"]) == of_source["dnat"].sum()
        assert int(marks[source]["snat"]) == of_source["snat"].sum()


def test_texts_do_not_overlap(drawing):
    assert_apart(drawing.texts())


def test_nothing_is_clipped(drawing):
    assert_whole(drawing)


def test_the_svg_is_valid(drawing):
    assert_valid(write_svg(drawing))


def test_texts_are_large_enough_to_read_at_1200_pixels(drawing):
    assert drawing.width == 1200
    assert min(text.size for text in drawing.texts()) >= 9.5
    words = [text for text in drawing.texts() if text.style != "inverse"]
    small = [text for text in words if text.size < 10.5]
    assert {text.text for text in small} <= {"DNAT ?"}


def test_links_are_as_thick_as_their_traffic():
    bands = [
        (each.facts["connections"], sum(mark.thickness for mark in each.marks))
        for each in scene("loadbalancer").groups
        if each.kind == "edge" and each.facts["step"] == "enter"
    ]
    (few, thin), (many, thick) = min(bands), max(bands)
    assert thick / thin == pytest.approx(many / few, rel=0.01)


def test_what_was_not_captured_is_dashed():
    steps = graph("loadbalancer").steps.collect()
    unseen = steps.filter(~pl.col("is_observed")).select("source", "target").unique()
    dashed = {
        (each.facts["source"], each.facts["target"])
        for each in scene("loadbalancer").groups
        if each.kind == "edge"
        for mark in each.marks
        if isinstance(mark, Ribbon) and mark.dashed
    }
    assert dashed == set(unseen.iter_rows())


def test_the_legend_explains_what_is_there_and_nothing_else():
    def legend(drawing):
        group = next(each for each in drawing.groups if each.kind == "legend")
        return " ".join(mark.text for mark in group.marks if isinstance(mark, Text))

    whole = legend(scene("loadbalancer"))
    for word in ("lb-nginx-ds", "lb-redis-ds", "dashed", "DNAT", "SNAT", "overlay"):
        assert word in whole
    one = legend(scene("loadbalancer", selection=Selection(services=("lb-apache-ds",))))
    assert "dashed" not in one
    assert "lb-redis-ds" not in one


@pytest.mark.parametrize(("scenario", "named"), EVERY)
def test_the_svg_is_self_contained_and_accessible(scenario, named):
    root = svg(scenario, named=named)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    told = {each.get("id"): each.text for each in root if each.get("id")}
    assert set(root.get("aria-labelledby").split()) == set(told)
    assert all(told.values())
    allowed = {"svg", "title", "desc", "style", "g", "rect", "path", "polyline", "text"}
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in allowed
        assert not {"href", "src", "onclick"} & set(element.attrib)
    assert "url(" not in ET.tostring(root, encoding="unicode")


def test_long_names_keep_both_ends_and_stand_whole_in_the_title():
    names = [text.text for text in scene("mixed").texts()]
    assert "coredns-7…7f-8qkzr" in names
    titles = [each.title for each in scene("mixed").groups]
    assert any("coredns-7745f9f87f-8qkzr" in title for title in titles)


def test_names_from_files_cannot_break_out_of_the_markup():
    drawing = Scene(10, 10, "<script>", '"&')
    group = drawing.group("node", "]]><b>", name='"><script>\x00')
    group.text(1, 9, "<tspan>\x1b[31m")
    assert_valid(write_svg(drawing))
    root = ET.fromstring(write_svg(drawing))  # noqa: S314  ours
    assert [each.tag for each in root.iter(f"{SVG}script")] == []
    assert groups(root, "node") == [{"name": '"><script>\ufffd'}]
