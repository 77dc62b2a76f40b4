"""The picture of a cluster's traffic: lanes from the outside in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.diagram.cluster.cards import Cards
from analyzer.diagram.cluster.frame import (
    draw_example,
    draw_heading,
    draw_underlay,
    legend_facts,
)
from analyzer.diagram.cluster.geometry import (
    GAP,
    WIDTH,
    node_of,
    spread,
)
from analyzer.diagram.cluster.links import Links
from analyzer.diagram.cluster.plan import Plan
from analyzer.diagram.cluster.said import description
from analyzer.diagram.legend import draw_legend
from analyzer.diagram.scene import Scene

if TYPE_CHECKING:
    from analyzer.diagram.model import Picture

__all__ = ["draw_cluster"]


def draw_cluster(
    what: Picture, *, title: str, source: str, by: str = "connections"
) -> Scene:
    """Draw who called what, which node took it, and which pod answered.

    Parameters
    ----------
    what : Picture
    title : str
        Heading.
    source : str
        Where it is from, in a few words.
    by : {'connections', 'bytes'}
        What the width of links tells.

    Returns
    -------
    Scene
        1200 wide, as high as needed.
    """
    plan = Plan(what, by)
    scene = Scene(WIDTH, 0, title, description(what))
    top = draw_heading(scene, plan, source)
    bottom = top + plan.make_rows()
    order = {node: number for number, node in enumerate(plan.nodes)}
    fronts = plan.stacked("front", "enter", lambda each: order[node_of(each.target)])
    place = {vertex.id: at for at, vertex in enumerate(fronts)}
    clients = plan.stacked("client", "call", lambda each: place[each.target])
    heights = {vertex.id: plan.front_height(vertex) for vertex in fronts} | {
        vertex.id: plan.client_height(vertex) for vertex in clients
    }
    for stack in (fronts, clients):
        needed = sum(heights[each.id] for each in stack)
        bottom = max(bottom, top + needed + GAP * (len(stack) - 1))
    draw_underlay(scene, top, bottom)
    cards_at = len(scene.groups)
    cards = Cards(plan, scene)
    cards.place_rows(top, bottom)
    front_y = spread(fronts, heights, top, bottom)
    client_y = spread(clients, heights, top, bottom)
    for vertex in fronts:
        cards.front_card(vertex, front_y[vertex.id], heights[vertex.id])
    for vertex in clients:
        cards.client_card(vertex, client_y[vertex.id], heights[vertex.id])
    links = Links(plan, scene)
    links.assign(client_y, front_y)
    # Links run over the nodes' cards, and under what is on them.
    drawn = scene.groups[cards_at:]
    del scene.groups[cards_at:]
    scene.groups += [each for each in drawn if each.kind == "host"]
    links.draw()
    scene.groups += [each for each in drawn if each.kind != "host"]
    links.label_all()
    below = bottom + 26
    if what.example:
        below = draw_example(scene, what.example, bottom + 24)
    scene.height = draw_legend(scene, what, below, legend_facts(plan), by)
    return scene
