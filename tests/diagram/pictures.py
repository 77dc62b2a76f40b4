"""Scenes of recorded clusters, and what stands in their SVG."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import cache

from analyzer.analysis.paths import Selection, path_graph
from analyzer.diagram.cluster import draw_cluster
from analyzer.diagram.model import picture
from analyzer.diagram.svg import write_svg
from tests.recordings import cluster, tables

SVG = "{http://www.w3.org/2000/svg}"


@cache
def graph(scenario: str, *, named: bool = True, selection: Selection | None = None):
    return path_graph(
        tables(scenario, named=named), cluster(scenario) if named else None, selection
    )


@cache
def scene(scenario: str, *, named: bool = True, selection: Selection | None = None):
    what = picture(graph(scenario, named=named, selection=selection))
    return draw_cluster(what, title=f"Paths of {scenario}", source="a recording")


@cache
def svg(scenario: str, *, named: bool = True) -> ET.Element:
    return ET.fromstring(write_svg(scene(scenario, named=named)))  # noqa: S314  ours


def groups(root: ET.Element, kind: str) -> list[dict[str, str]]:
    """Give the data attributes of the groups of a class."""
    return [
        {
            name.removeprefix("data-").replace("-", "_"): value
            for name, value in group.attrib.items()
            if name.startswith("data-")
        }
        for group in root.iter(f"{SVG}g")
        if group.get("class") == kind
    ]
