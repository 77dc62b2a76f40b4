"""The ladder as text and as a picture."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import cache

import polars as pl
import pytest

from analyzer.analysis.paths.ladder import ladder
from analyzer.diagram.ladder_mermaid import write_ladder_mermaid
from analyzer.diagram.ladder_scene import draw_ladder
from analyzer.diagram.ladder_text import draw_ladder_text
from analyzer.diagram.ladder_words import MOST_PACKETS, Rung, chosen, heading, rungs
from analyzer.diagram.svg import write_svg
from tests.diagram.pictures import assert_apart, assert_whole, groups
from tests.recordings import tables
from tests.svg import assert_valid

CASES = [
    ("loadbalancer", 37),
    ("loadbalancer", 68),
    ("clusterip", 3),
    ("mixed", 61),  # ICMP
    ("mixed", 80),  # open before the capture, many packets
    ("mixed", 85),  # without an answer
    ("dualstack", 10),
    ("drops", 0),  # packets lost, and sent again
    ("drops", 14),  # all of them lost
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
def test_the_svg_is_valid(scenario, number):
    assert_valid(write_svg(draw_ladder(told(scenario, number))))


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


@each_case
def test_mermaid_has_each_packet_between_its_places(scenario, number):
    known = told(scenario, number)
    text = write_ladder_mermaid(known)
    assert text.splitlines()[3] == "sequenceDiagram"
    participants = re.findall(r"^    participant p(\d+) as (.+)$", text, re.MULTILINE)
    devices = [each.partition("/")[2] or each for each in known.places["point"]]
    assert participants == [(str(at), each) for at, each in enumerate(devices)]
    arrows = re.findall(r"^  p(\d+)(-{1,2})(>>|x)p(\d+): (.+)$", text, re.MULTILINE)
    shown = [each for each in chosen(rungs(known)) if isinstance(each, Rung)]
    assert len(arrows) == len(shown)
    for (begin, line, head, end, label), rung in zip(arrows, shown, strict=True):
        places = [place for place, _ in rung.in_order()]
        step = 1 if rung.is_forward else -1
        vanished = rung.vanished_at is not None
        assert int(begin) == places[0]
        assert int(end) == places[-1] + step * vanished
        assert (line == "--") == rung.is_retransmission
        assert (head == "x") == vanished
        assert label.startswith(rung.what)
    assert text.count("  box ") == len(re.findall(r"^  end$", text, re.MULTILINE))


def test_mermaid_tells_tuples_tunnel_and_rewrites():
    text = write_ladder_mermaid(told("loadbalancer", 37))
    assert "Note over p0,p1: 192.168.2.101:60870 → 192.168.2.38:8080" in text
    assert "Note over p1,p2: DNAT and SNAT" in text
    assert "Note over p3,p4: VXLAN 4096: 192.168.2.31 → 192.168.2.30" in text


def test_no_text_is_under_the_mark_of_a_rewrite():
    drawing = draw_ladder(told("drops", policy()))
    marks = [
        text.box
        for group in drawing.groups
        if group.kind == "rewrite"
        for text in group.marks
        if hasattr(text, "box")
    ]
    others = [
        text.box
        for group in drawing.groups
        if group.kind == "tuple"
        for text in group.marks
        if hasattr(text, "box")
    ]
    assert marks
    for mark in marks:
        for text in others:
            apart = text[2] <= mark[0] - 5 or mark[2] + 5 <= text[0]
            assert apart or text[3] <= mark[1] or mark[3] <= text[1]


def policy() -> int:
    """Give the connection all of whose packets a policy dropped."""
    found = tables("drops").connections.filter(pl.col("client_port") == 41000)
    return found.collect()["connection_id"].item()


def test_where_others_went_on_but_this_one_did_not_is_drawn():
    known = told("drops", policy())
    assert (
        "no answer, last seen at k8s-worker02/vxlan.calico, not at"
        in (heading(known)[1])
    )
    lines = list(draw_ladder_text(known, 160))
    (missed,) = [line for line in lines if line.startswith("F  ")]
    assert missed == "F  k8s-worker02/cali33daab9904f  not seen here"
    assert sum("▶─✗" in line or "▶┄✗" in line for line in lines) == 2
    shown = [text.text for text in draw_ladder(known).texts()]
    assert "not seen here" in shown
    assert "Note over p5: not seen here" in write_ladder_mermaid(known)


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
