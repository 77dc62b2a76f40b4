"""Scenes of recorded clusters, and what stands in their SVG."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from functools import cache
from typing import TYPE_CHECKING

from analyzer.analysis.paths import Selection, path_graph
from analyzer.diagram.cluster import draw_cluster
from analyzer.diagram.model import picture
from analyzer.diagram.svg import write_svg
from tests.recordings import cluster, tables
from tests.svg import SVG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.diagram.scene import Scene, Text


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


def assert_apart(texts: Iterable[Text]) -> None:
    """See that no text covers part of another one."""
    boxes = [(text, text.box) for text in texts]
    for (one, box), (other, place) in itertools.combinations(boxes, 2):
        apart = (
            box[2] <= place[0]
            or place[2] <= box[0]
            or box[3] <= place[1]
            or place[3] <= box[1]
        )
        assert apart, (one, other)


def assert_whole(drawing: Scene) -> None:
    """See that no text reaches over an edge."""
    for text in drawing.texts():
        left, top, right, bottom = text.box
        assert left >= 0, text
        assert top >= 0, text
        assert right <= drawing.width, text
        assert bottom <= drawing.height, text


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
