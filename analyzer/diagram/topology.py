"""The cluster without traffic as a picture: Services, pods, nodes, tunnels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.diagram import words
from analyzer.diagram.cluster.geometry import natural
from analyzer.diagram.palette import OTHER, service_colours
from analyzer.diagram.scene import Line, Scene
from analyzer.diagram.widths import text_width

if TYPE_CHECKING:
    from analyzer.analysis.paths import Topology

_WIDTH = 1200
_MARGIN = 20
_SERVICE = (20, 268)
_NODE = (424, 560)
_PODS = 214
_BUS = (1012, 168)
_LINE = 13.5
_SMALL = 10.5
_KINDS = ("LoadBalancer", "NodePort", "ClusterIP")


def topology_colours(told: Topology) -> dict[str, str]:
    """Give each Service its colour."""
    services = told.fronts.select("service").unique().sort("service").collect()
    return service_colours(services["service"])


def draw_topology(told: Topology, *, title: str, source: str) -> Scene:
    """Draw which Service has which addresses, and which pods on which node.

    Returns
    -------
    Scene
        1200 wide, as high as needed.
    """
    colours = topology_colours(told)
    pods = told.pods.collect().to_dicts()
    hosts = told.hosts.collect().to_dicts()
    fronts: dict[str, list[dict[str, Any]]] = {}
    for row in told.fronts.collect().to_dicts():
        fronts.setdefault(row["service"], []).append(row)
    scene = Scene(_WIDTH, 0, title, _description(fronts, hosts, pods))
    _heading(scene, source)
    top = 106.0
    rows = _node_heights(hosts, pods)
    heights = {service: _service_height(each) for service, each in fronts.items()}
    bottom = top + max(
        sum(height + 12 for _, height, _ in rows),
        sum(height + 10 for height in heights.values()),
    )
    scene.group("lane").rect(_BUS[0], top, _BUS[1], bottom - top - 12, "overlay", 8)
    links_at = len(scene.groups)
    places = _nodes(scene, rows, colours, top)
    order = sorted(fronts, key=lambda each: (not _has_pods(each, pods), natural(each)))
    spare = bottom - top - sum(heights[each] + 10 for each in order)
    y = top + max(spare, 0) / 2
    starts = {}
    for service in order:
        height = heights[service]
        _service(scene, service, fronts[service], y, height, colours[service])
        starts[service] = y + height / 2
        y += height + 10
    cards = scene.groups[links_at:]
    del scene.groups[links_at:]
    scene.groups += [each for each in cards if each.kind == "host"]
    _links(scene, told, starts, places, colours)
    scene.groups += [each for each in cards if each.kind != "host"]
    _bus(scene)
    scene.height = bottom + 34
    group = scene.group("legend")
    lines = "thin lines: pods that kube-proxy may choose for a Service; no traffic"
    if told.endpoints.collect().is_empty():
        lines = (
            "the state does not say which pods are behind which Service:"
            " kubectl get endpointslices -o json does"
        )
    note = f"{lines}. A NodePort is one on every node; a ClusterIP is on no interface."
    group.text(_MARGIN, bottom + 14, note, 11, style="soft")
    return scene


def _heading(scene: Scene, source: str) -> None:
    group = scene.group("heading")
    room = _WIDTH - 2 * _MARGIN
    group.text(_MARGIN, 30, scene.title, 19, style="heading", bold=True, room=room)
    group.text(_MARGIN, 49, source, 12, style="soft", room=room)
    for x, name, style in (
        (_SERVICE[0], "Services and their addresses", "heading"),
        (_NODE[0], "Nodes and their pods", "heading"),
        (_BUS[0], "VXLAN between nodes", "overlaytext"),
    ):
        group.text(x, 80, name, 13, style=style, bold=True)


def _has_pods(service: str, pods: list[dict[str, Any]]) -> bool:
    return any(service in pod["services"] for pod in pods)


def _service_height(rows: list[dict[str, Any]]) -> float:
    return 30 + 17 * len(rows)


def _service(
    scene: Scene,
    service: str,
    rows: list[dict[str, Any]],
    y: float,
    height: float,
    colour: str,
) -> None:
    x, width = _SERVICE
    group = scene.group(
        "node",
        "\n".join([service, *(f"{row['kind']} {front_words(row)}" for row in rows)]),
        service=service,
        addresses=len(rows),
    )
    group.rect(x, y, width, height, "card", 6)
    group.rect(x + 1.5, y + 4, 4, height - 8, "bar", 2, colour)
    name = words.short_service(service)
    group.text(x + 12, y + 17, name, 12, bold=True, room=width - 20)
    ordered = sorted(rows, key=lambda row: _KINDS.index(row["kind"]))
    for number, row in enumerate(ordered):
        base = y + 35 + 17 * number
        wide = text_width(row["kind"], 9.5, bold=True) + 10
        group.rect(x + 12, base - 10.5, wide, 13.5, "kind", 6.5)
        group.text(x + 17, base - 0.3, row["kind"], 9.5, style="inverse", bold=True)
        group.text(x + 18 + wide, base, front_words(row), 11, room=width - wide - 26)


def front_words(row: dict[str, Any]) -> str:
    """Write what is called: ``any node:30080``, ``10.152.183.10:53 udp``."""
    if row["address"] is None:
        called = f"any node:{row['port']}"
    else:
        called = words.endpoint(row["address"], row["port"])
    return called if row["protocol"] == "tcp" else f"{called} {row['protocol']}"


def _node_heights(
    hosts: list[dict[str, Any]], pods: list[dict[str, Any]]
) -> list[tuple[dict[str, Any], float, dict[str, list[dict[str, Any]]]]]:
    rows = []
    for host in sorted(hosts, key=lambda each: natural(each["node"])):
        groups: dict[str, list[dict[str, Any]]] = {}
        for pod in pods:
            if pod["node"] == host["node"]:
                groups.setdefault(pod["workload"] or "", []).append(pod)
        inner = sum(_group_height(each) + 5 for each in groups.values())
        rows.append((host, 34 + max(inner, 64), groups))
    return rows


def _group_height(pods: list[dict[str, Any]]) -> float:
    return 17 + (_LINE + 3) * len(pods)


def _nodes(
    scene: Scene,
    rows: list[tuple[dict[str, Any], float, dict[str, list[dict[str, Any]]]]],
    colours: dict[str, str],
    top: float,
) -> dict[str, tuple[float, float]]:
    """Draw the nodes; give the place of each pod's address."""
    x, width = _NODE
    places: dict[str, tuple[float, float]] = {}
    y = top
    for host, height, groups in rows:
        frame = scene.group("host", f"Node {host['node']}", node=host["node"])
        frame.rect(x, y, width, height, "card", 6)
        frame.text(x + 10, y + 19, host["node"], 12.5, bold=True, room=width - 20)
        at = y + 29
        for workload, members in groups.items():
            _workload(scene, workload, members, x + 10, at, colours, places)
            at += _group_height(members) + 5
        middle = y + height / 2 + 8
        _devices(scene, host, x + width, middle)
        y += height + 12
    return places


def _workload(
    scene: Scene,
    workload: str,
    pods: list[dict[str, Any]],
    x: float,
    y: float,
    colours: dict[str, str],
    places: dict[str, tuple[float, float]],
) -> None:
    width = _PODS + 40
    height = _group_height(pods)
    frame = scene.group("workload", workload)
    frame.rect(x, y, width, height, "chip", 4)
    told = workload.replace("/", " ", 1) or "pods"
    frame.text(x + 10, y + 12, told, _SMALL, style="soft", room=width - 16)
    at = y + 15
    for pod in pods:
        group = scene.group(
            "node",
            "\n".join(
                line
                for line in (
                    pod["pod"] or "",
                    pod["address"],
                    f"behind {', '.join(pod['services'])}" if pod["services"] else "",
                )
                if line
            ),
            address=pod["address"],
        )
        shown = [colours.get(each, OTHER) for each in pod["services"]][:4]
        for number, colour in enumerate(shown):
            part = 13 / len(shown)
            group.rect(x + 2, at + 1 + number * part, 3, part, "bar", 1, colour)
        right = group.text(
            x + width - 8,
            at + 11,
            pod["address"],
            _SMALL,
            style="soft",
            anchor="end",
            room=width * 0.55,
        )
        group.text(
            x + 10,
            at + 11,
            pod["pod"] or "?",
            11,
            bold=True,
            room=width - 26 - right.width,
        )
        places[pod["address"]] = (x, at + 7.5)
        at += _LINE + 3


def _devices(scene: Scene, host: dict[str, Any], right: float, middle: float) -> None:
    """Draw a node's network card and the device of its tunnel, and join them."""
    wide = 128
    left = right - wide - 10
    group = scene.group(
        "node",
        "\n".join(
            f"{name} {host[key]}"
            for name, key in (
                (host["nic"] or "address", "address"),
                (host["tunnel_device"] or "tunnel", "tunnel_address"),
                ("MAC", "vtep_mac"),
            )
            if host[key]
        ),
        node=host["node"],
        address=host["address"],
        tunnel_address=host["tunnel_address"],
    )
    if host["address"]:
        card = left - 132
        group.rect(card, middle - 20, 108, 38, "chip", 3)
        name = host["nic"] or "NIC"
        group.text(
            card + 54, middle - 5, name, 11, bold=True, anchor="middle", room=100
        )
        group.text(
            card + 54,
            middle + 9,
            host["address"],
            _SMALL,
            style="soft",
            anchor="middle",
            room=104,
        )
        ends = ((card + 108, middle), (left, middle))
        if host["tunnel_address"]:
            group.marks.append(Line(ends, "rule"))
    if not host["tunnel_address"]:
        return
    lines = [host["tunnel_address"], *([host["vtep_mac"]] if host["vtep_mac"] else [])]
    group.rect(left, middle - 26, wide, 50, "tunnel", 3)
    name = host["tunnel_device"] or "tunnel"
    group.text(
        left + wide / 2,
        middle - 10,
        name,
        11,
        bold=True,
        anchor="middle",
        room=wide - 8,
    )
    for number, line in enumerate(lines):
        group.text(
            left + wide / 2,
            middle + 4 + 13 * number,
            line,
            _SMALL,
            style="soft",
            anchor="middle",
            room=wide - 8,
        )
    _to_the_others(scene, host, left + wide, middle)


def _to_the_others(
    scene: Scene, host: dict[str, Any], right: float, middle: float
) -> None:
    x = _BUS[0] + 40
    group = scene.group("underlay", f"VTEP {host['address']}", node=host["node"])
    group.marks.append(Line(((right, middle), (x, middle)), "way", "#8a6fd1"))
    group.rect(x - 3, middle - 3, 6, 6, "tunnel", 3)
    if host["address"]:
        group.text(
            x + 12,
            middle + 4,
            f"VTEP {host['address']}",
            _SMALL,
            style="overlaytext",
            room=_BUS[1] - 58,
        )


def _links(
    scene: Scene,
    told: Topology,
    starts: dict[str, float],
    places: dict[str, tuple[float, float]],
    colours: dict[str, str],
) -> None:
    ends = _SERVICE[0] + _SERVICE[1]
    for row in (
        told.endpoints.select("service", "address")
        .unique()
        .sort("service", "address")
        .collect()
        .to_dicts()
    ):
        if row["service"] not in starts or row["address"] not in places:
            continue
        x, y = places[row["address"]]
        group = scene.group(
            "edge",
            f"{row['service']} may choose {row['address']}",
            step="endpoint",
            source=row["service"],
            target=row["address"],
            services=row["service"],
        )
        start = starts[row["service"]]
        middle = (ends + x) / 2
        curve = _curve((ends, start), (middle, start), (middle, y), (x, y))
        group.marks.append(Line(curve, "link", colours[row["service"]]))


def _bus(scene: Scene) -> None:
    """Join the ends of all tunnels."""
    joined = sorted(
        mark.points[-1][1]
        for each in scene.groups
        if each.kind == "underlay"
        for mark in each.marks
        if isinstance(mark, Line)
    )
    if len(joined) > 1:
        x = _BUS[0] + 40
        bus = scene.group("note", "Every node reaches every other one")
        bus.marks.append(Line(((x, joined[0]), (x, joined[-1])), "way", "#8a6fd1"))


def _curve(
    a: tuple[float, float],
    b: tuple[float, float],
    c: tuple[float, float],
    d: tuple[float, float],
) -> tuple[tuple[float, float], ...]:
    """Give points of a Bézier curve."""
    points = []
    for number in range(25):
        t = number / 24
        u = 1 - t
        points.append(
            (
                u**3 * a[0] + 3 * u**2 * t * b[0] + 3 * u * t**2 * c[0] + t**3 * d[0],
                u**3 * a[1] + 3 * u**2 * t * b[1] + 3 * u * t**2 * c[1] + t**3 * d[1],
            )
        )
    return tuple(points)


def _description(
    fronts: dict[str, list[dict[str, Any]]],
    hosts: list[dict[str, Any]],
    pods: list[dict[str, Any]],
) -> str:
    counts = (
        words.plural(len(fronts), "Service"),
        words.plural(len(pods), "pod address", "es"),
        words.plural(len(hosts), "node"),
    )
    sentences = ["{}, {} on {}.".format(*counts)]
    for service, rows in fronts.items():
        told = ", ".join(f"{row['kind']} {front_words(row)}" for row in rows)
        sentences.append(f"{words.short_service(service)}: {told}.")
    return " ".join(sentences)
