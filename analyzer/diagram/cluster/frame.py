"""What stands around the lanes: headings, the underlay, one packet's addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.diagram import words
from analyzer.diagram.cluster.geometry import (
    CLIENT,
    DEST,
    ENTRY,
    FRONT,
    MARGIN,
    SMALL,
    WIDTH,
    wrapped,
)

if TYPE_CHECKING:
    from analyzer.diagram.cluster.plan import Plan
    from analyzer.diagram.scene import Scene


def draw_heading(scene: Scene, plan: Plan, source: str) -> float:
    """Draw titles, and what each lane means; give where lanes begin."""
    group = scene.group("heading")
    group.text(
        MARGIN,
        30,
        scene.title,
        19,
        style="heading",
        bold=True,
        room=WIDTH - 2 * MARGIN,
    )
    group.text(MARGIN, 49, source, 12, style="soft", room=WIDTH - 2 * MARGIN)
    tunnels = {each.vni for each in plan.of("carry") if each.vni is not None}
    vnis = f" VNI {', '.join(map(str, sorted(tunnels)))}." if tunnels else ""
    lanes = (
        (CLIENT, "Clients", "who calls"),
        (FRONT, "Address called", "of a Service: no pod has it"),
        (
            ENTRY,
            "Node that takes the call",
            (
                "kube-proxy's rules choose the pod here: DNAT writes its address"
                " into the packet, SNAT makes answers come back this way"
            ),
        ),
        (
            (ENTRY[0] + ENTRY[1] + 8, DEST[0] - ENTRY[0] - ENTRY[1] - 16),
            "VXLAN",
            f"node to node inside UDP, the pod's packet untouched.{vnis}",
        ),
        (
            DEST,
            "Node of the backend, its pods",
            "vxlan.calico unpacks, the pod's own interface delivers",
        ),
    )
    lowest = 0.0
    for (x, width), name, meaning in lanes:
        style = "overlaytext" if name == "VXLAN" else "heading"
        group.text(x, 78, name, 13, style=style, bold=True, room=width)
        for number, line in enumerate(wrapped(meaning, width, SMALL)):
            y = 93 + number * 12.5
            group.text(x, y, line, SMALL, style="soft")
            lowest = max(lowest, y)
    return lowest + 16


def draw_underlay(scene: Scene, top: float, bottom: float) -> None:
    """Tint the lane in which packets travel inside others."""
    group = scene.group("lane")
    left = ENTRY[0] + ENTRY[1]
    group.rect(left, top - 6, DEST[0] - left, bottom - top + 12, "overlay", 0)


def draw_example(scene: Scene, told: dict[str, Any], top: float) -> float:
    """Follow one packet's addresses through the lanes."""
    group = scene.group(
        "example",
        f"connection {told['connection_id']}: analyze paths --connection"
        f" {told['connection_id']} shows each packet of it",
        connection=told["connection_id"],
    )
    client, called, source, backend = (
        words.endpoint(told[f"{end}_ip"], told[f"{end}_port"])
        if told[f"{end}_ip"]
        else None
        for end in ("client", "destination", "snat", "backend")
    )
    source = source or client
    left, right = CLIENT[0], DEST[0] + DEST[1]
    group.rect(left, top, right - left, 52, "lane", 6)
    columns = [
        ((CLIENT[0] + 8, 330), "One packet's addresses", client, called),
        (
            (ENTRY[0] + 8, ENTRY[1] - 12),
            f"rewritten in {told['entry_node']}",
            source,
            backend,
        ),
    ]
    if told["outer_client_ip"]:
        where = (ENTRY[0] + ENTRY[1] + 8, DEST[0] - ENTRY[0] - ENTRY[1] - 16)
        vni = "" if told["vni"] is None else f", VNI {told['vni']}"
        outer = told["outer_client_ip"], told["outer_backend_ip"]
        columns.append((where, f"in {told['tunnel']}{vni}", *outer))
    columns.append(
        (
            (DEST[0] + 8, DEST[1] - 16),
            f"unpacked in {told['backend_node']}"
            if told["outer_client_ip"]
            else f"delivered in {told['backend_node']}",
            source,
            backend,
        )
    )
    for (x, room), name, here, there in columns:
        is_outer = name.startswith("in ")
        style = "overlaytext" if is_outer else "soft"
        group.text(x, top + 15, name, SMALL, style=style, room=room)
        group.text(x, top + 30, f"from {here}", 11, bold=True, room=room)
        group.text(x, top + 44, f"to {there}", 11, bold=True, room=room)
    return top + 74


def legend_facts(plan: Plan) -> set[str]:
    """Name what the legend has to explain."""
    facts = set()
    bundles = plan.what.bundles
    if any(not band.is_observed for each in bundles for band in each.bands):
        facts.add("unseen")
    if any(each.dnat for each in bundles):
        facts.add("dnat")
    if any(each.snat for each in bundles):
        facts.add("snat")
    if any(each.tunnel not in (None, "routed") for each in plan.of("carry")):
        facts.add("tunnel")
    if any(each.latency is not None for each in bundles):
        facts.add("latency")
    return facts
