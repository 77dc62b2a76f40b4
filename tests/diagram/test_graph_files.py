"""JSON, Mermaid and Graphviz say what the tables say; PNG and PDF are drawn."""

from __future__ import annotations

import html
import json
import re
import struct
import subprocess
import sys
import zlib

import polars as pl
import pytest

from analyzer.analysis.paths import path_edges
from analyzer.cli.picture import keep
from analyzer.diagram.formats import format_of
from analyzer.diagram.graph_json import write_json
from analyzer.diagram.graph_text import write_dot, write_mermaid
from analyzer.diagram.model import picture
from analyzer.diagram.raster import write_pdf, write_png
from analyzer.diagram.svg import write_svg
from analyzer.errors import DiagramError
from tests.diagram.pictures import graph, scene
from tests.frames import require_program
from tests.recordings import SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_json_has_every_row(scenario):
    told = json.loads(write_json(graph(scenario), title="Paths", source="here"))
    assert (told["title"], told["source"]) == ("Paths", "here")
    for name in ("nodes", "edges", "hosts", "pods"):
        rows = getattr(graph(scenario), name).collect()
        assert len(told[name]) == rows.height > 0
    edges = graph(scenario).edges.collect()
    latencies = edges["latency"].dt.total_nanoseconds().to_list()
    assert [each["latency_ns"] for each in told["edges"]] == latencies
    counts = edges["connections"].to_list()
    assert [each["connections"] for each in told["edges"]] == counts


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_mermaid_has_every_node_and_link_with_its_count(scenario):
    text = write_mermaid(picture(graph(scenario)), title="Paths")
    edges = path_edges(graph(scenario).sums, by=()).collect()
    drawn = re.findall(
        r'(n\d+) (-->|-\.->)\|"([\d,]+)[^"]*"\| (n\d+)$', text, re.MULTILINE
    )
    counts = [int(each[2].replace(",", "")) for each in drawn]
    assert counts == edges["connections"].to_list()
    defined = set(re.findall(r'^ +(n\d+)\["', text, re.MULTILINE))
    assert len(defined) == graph(scenario).nodes.collect().height
    assert {end for each in drawn for end in (each[0], each[3])} == defined
    assert text.count("subgraph") == len(re.findall(r"^  end$", text, re.MULTILINE))


def test_mermaid_escapes_what_it_takes_for_markup():
    what = picture(graph("loadbalancer"))
    text = write_mermaid(what, title='a "b" \\ c')
    assert text.splitlines()[1] == 'title: "a \\"b\\" \\\\ c"'


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_dot_has_every_link(scenario):
    text = write_dot(picture(graph(scenario)), title="Paths")
    edges = path_edges(graph(scenario).sums, by=()).collect()
    drawn = re.findall(
        r'^  "([^"]*)" -> "([^"]*)" \[label="([\d,]+)', text, re.MULTILINE
    )
    assert [(a, b, int(n.replace(",", ""))) for a, b, n in drawn] == list(
        edges.select("source", "target", "connections").iter_rows()
    )
    dashed = text.count('style="dashed"')
    seen = (
        graph(scenario)
        .steps.group_by("step", "source", "target")
        .agg(pl.col("is_observed").all())
    )
    assert dashed == (~seen.collect()["is_observed"]).sum()


def test_graphviz_takes_it():
    require_program("dot")
    text = write_dot(picture(graph("mixed")), title='with "quotes"')
    done = subprocess.run(
        ["dot", "-Tsvg"], input=text, capture_output=True, text=True, check=True
    )
    assert "nginx-ds-tkhgg" in html.unescape(done.stdout)


def test_png_is_twice_as_wide_and_not_blank():
    data = write_png(write_svg(scene("loadbalancer")))
    assert data.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", data[16:24])
    assert width == 2400
    assert height == pytest.approx(2 * scene("loadbalancer").height, abs=2)
    assert len(set(zlib.decompress(pixels(data))[::997])) > 20


def pixels(data: bytes) -> bytes:
    at, parts = 8, []
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"IDAT":
            parts.append(data[at + 8 : at + 8 + length])
        at += 12 + length
    return b"".join(parts)


def test_pdf_is_one_page():
    data = write_pdf(write_svg(scene("loadbalancer")))
    assert data.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", data)) == 1


def test_without_the_converter_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(DiagramError, match="PNG needs") as caught:
        write_png("<svg/>")
    assert "[pictures]" in caught.value.hint


def test_an_ending_that_is_no_format_is_an_error_that_names_them(tmp_path):
    for name in ("paths.jpg", "paths"):
        with pytest.raises(DiagramError) as caught:
            format_of(tmp_path / name)
        assert ".svg" in caught.value.hint
    assert format_of(tmp_path / "PATHS.SVG") == ".svg"


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    file = tmp_path / "paths.svg"
    file.write_text("as it was")
    with pytest.raises(UnicodeEncodeError):
        keep("Paths", "\ud800", file)
    assert [each.name for each in tmp_path.iterdir()] == ["paths.svg"]
    assert file.read_text() == "as it was"
    keep("Paths", "new", file)
    assert file.read_text() == "new"
