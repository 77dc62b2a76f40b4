"""The ladder as text and as a picture."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import cache

import polars as pl
import pytest

from analyzer.analysis.paths.ladder import ladder
from analyzer.diagram.ladder_scene import draw_ladder
from analyzer.diagram.ladder_text import draw_ladder_text
from analyzer.diagram.ladder_words import MOST_PACKETS, Rung, chosen, rungs
from analyzer.diagram.svg import write_svg
from tests.diagram.pictures import assert_apart, assert_whole, groups
from tests.recordings import tables

CASES = [
    ("loadbalancer", 37),
    ("loadbalancer", 68),
    ("clusterip", 3),
    ("mixed", 61),  # ICMP
    ("mixed", 80),  # open before the capture, many packets
    ("mixed", 85),  # without an answer
    ("dualstack", 10),
]


@cache
def told(scenario: str, number: int):
    return ladder(tables(scenario), tables(scenario).packets, number)


each_case = pytest.mark.parametrize(("scenario", "number"), CASES)


@each_case
def test_the_picture_has_the_times_of_the_packets(scenario, number):
    known = told(scenario, number)
    root = ET.fromstring(write_svg(draw_ladder(known)))  # noqa: S314  ours
    drawn = groups(root, "packet")
    shown = [each for each in chosen(rungs(known)) if isinstance(each, Rung)]
    assert len(drawn) == len(shown)
    for packet in drawn:
        rows = known.packets.filter(pl.col("packet") == int(packet["packet"]))
        is_forward = packet["direction"] == "to_backend"
        rows = rows.sort("place", descending=not is_forward)
        assert [int(each) for each in packet["places"].split()] == rows[
            "place"
        ].to_list()
        assert [int(each) for each in packet["times_ns"].split()] == rows[
            "since"
        ].to_list()


@each_case
def test_texts_do_not_overlap_and_are_not_clipped(scenario, number):
    drawing = draw_ladder(told(scenario, number))
    assert_whole(drawing)
    assert_apart(drawing.texts())


@each_case
@pytest.mark.parametrize("width", [40, 80, 100, 160, 200])
def test_text_fits(scenario, number, width):
    lines = list(draw_ladder_text(told(scenario, number), width))
    assert max(map(len, lines)) <= min(width, 160)


def test_text_tells_tuples_rewrites_and_times():
    text = "\n".join(draw_ladder_text(told("loadbalancer", 37), 100))
    assert "A  ext-101/eth0" in text
    assert "192.168.2.101:60870 → 192.168.2.38:8080" in text
    assert re.search(r"│ .* DNAT and SNAT\nC  k8s-worker01/vxlan.calico", text)
    assert "in VXLAN 4096 192.168.2.31 → 192.168.2.30" in text
    assert "TTL →62 ←64" in text
    assert re.search(r"^ +0 ns  ●───\+5.5──●.*▶  SYN  seq 0$", text, re.MULTILINE)


def test_rewrites_are_marked_between_the_places_where_tuples_differ():
    root = ET.fromstring(write_svg(draw_ladder(told("loadbalancer", 37))))  # noqa: S314  ours
    assert groups(root, "rewrite") == [{"place": "1", "dnat": "1", "snat": "1"}]


def test_without_an_answer_it_says_where_packets_were_seen_last():
    text = "\n".join(draw_ladder_text(told("mixed", 85), 120))
    assert "no answer, last seen at k8s-worker02/vxlan.calico" in text
    assert text.count("SYN  again") == 3


def test_of_many_packets_the_middle_is_counted():
    known = told("mixed", 80)
    every = rungs(known)
    assert len(every) > MOST_PACKETS
    kept = chosen(every)
    left_out = sum(each for each in kept if not isinstance(each, Rung))
    assert left_out + sum(isinstance(each, Rung) for each in kept) == len(every)
    text = "\n".join(draw_ladder_text(known, 120))
    assert f"{left_out:,} more packets" in text


def test_what_was_lost_in_the_middle_is_not_left_out():
    every = [Rung(number, True, "ACK", "") for number in range(500)]
    every[250].vanished_at = 2
    kept = chosen(every)
    assert every[250] in kept
    left_out = sum(each for each in kept if not isinstance(each, Rung))
    assert left_out + sum(isinstance(each, Rung) for each in kept) == 500
