"""The paths as text: a tree per address that was called, as wide as a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.analysis.paths import ELSEWHERE, OTHERS, UNSEEN
from analyzer.diagram import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from analyzer.diagram.model import Picture, Vertex

    #: What makes a text bold, dim or red; gives it back as it is without colours.
    Style = Callable[[str, str], str]

_BAR = 16
#: Wider lines are hard to follow with the eye.
_WIDEST = 120


def plain(text: str, _: str) -> str:
    """Leave a text without style."""
    return text


def draw_text(
    what: Picture,
    routes: Sequence[dict[str, Any]],
    width: int,
    *,
    title: str,
    source: str,
    style: Style = plain,
) -> Iterator[str]:
    """Write the paths as lines of text.

    Parameters
    ----------
    what : Picture
    routes : sequence of dict
        Rows of :func:`analyzer.analysis.paths.path_routes`, durations in nanoseconds.
    width : int
        Characters in a line, at least 40.
    title, source : str
        Heading, and where it is from.
    style : callable
        Given a text and ``name``, ``soft``, ``alarm`` or ``mark``.

    Yields
    ------
    str
        Lines of at most ``width`` or 120 characters, not counting what ``style`` adds.
    """
    width = min(width, _WIDEST)
    yield style(ellipsis(title, width), "name")
    yield style(ellipsis(source, width), "soft")
    most = max((route["connections"] for route in routes), default=1)
    for front, of_front in _by(routes, "front"):
        yield ""
        yield from _front(what, what.vertices[front], of_front, width, style)
        entries = list(_by(of_front, "entry"))
        for number, (entry, of_entry) in enumerate(entries):
            is_last = number == len(entries) - 1
            yield _entry(what, what.vertices[entry], of_entry, width, style, is_last)
            indent = "   " if is_last else "│  "
            for place, route in enumerate(of_entry):
                branch = "└" if place == len(of_entry) - 1 else "├"
                yield from _backend(what, route, most, indent, branch, width, style)
    yield ""
    yield from _key(width, style)


def ellipsis(text: str, width: int) -> str:
    """Shorten a text to a width by leaving out its middle."""
    if len(text) <= width:
        return text
    if width < 2:
        return text[:width]
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def _by(
    routes: Iterable[dict[str, Any]], key: str
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for route in routes:
        groups.setdefault(route[key], []).append(route)
    by_count = sorted(
        groups.items(), key=lambda each: -sum(one["connections"] for one in each[1])
    )
    yield from by_count


def _front(
    what: Picture,
    front: Vertex,
    routes: list[dict[str, Any]],
    width: int,
    style: Style,
) -> Iterator[str]:
    count = sum(route["connections"] for route in routes)
    rates = [route["per_second"] for route in routes]
    rate = None if None in rates else words.rate(sum(rates))
    amount = " · ".join(each for each in (f"{count:,}", rate) if each)
    names = {
        UNSEEN: "address not seen (rewritten in the host before any device)",
        ELSEWHERE: "address not known (if rewritten, then where no capture was)",
        "front/Pod": "pod addresses, called directly",
        "front/Node": "node addresses, called directly",
        "front/External": "outside addresses, called directly",
    }
    if front.id == f"front/{OTHERS}":
        name, rest = words.plural(front.members, "more address", "es"), ""
    elif front.id in names:
        name, rest = names[front.id], ""
    else:
        called = words.endpoint(front.address or "?", front.port)
        if front.protocol not in (None, "tcp"):
            called = f"{called} {front.protocol}"
        told = words.short_service(front.service) if front.service else None
        name, *more = [each for each in (told, front.kind, called) if each]
        rest = "".join(f" {each}" for each in more)
    room = width - len(amount) - 2
    name = ellipsis(name, room)
    rest = ellipsis(rest, max(room - len(name), 0))
    gap = " " * (width - len(name) - len(rest) - len(amount))
    yield f"{style(name, 'name')}{rest}{gap}{style(amount, 'name')}"
    ids = {each for route in routes for each in route["clients"]}
    # Those that are summed up come last.
    found = [what.vertices[each] for each in sorted(ids, key=_others_last)]
    told = f"from {', '.join(_client(each) for each in found)}"
    if len(told) > width and len(found) > 2:
        others = sum(each.members for each in found) - 1
        told = f"from {_client(found[0])} and {others:,} other clients"
    yield style(ellipsis(told, width), "soft")


def _others_last(vertex: str) -> tuple[bool, str]:
    return vertex == f"client/{OTHERS}", vertex


def _client(vertex: Vertex) -> str:
    if vertex.id == f"client/{OTHERS}":
        return words.plural(vertex.members, "more client")
    if vertex.kind == "behind":
        return f"{vertex.name} or who came in there"
    return vertex.name or vertex.address or "?"


def _entry(
    what: Picture,
    entry: Vertex,
    routes: list[dict[str, Any]],
    width: int,
    style: Style,
    is_last: bool,
) -> str:
    host = what.hosts.get(entry.node or "")
    device = {
        "nic": (host.nic if host else None) or "network",
        "pods": "its pods",
        "host": "own calls",
        "unseen": "caller not seen",
    }[entry.kind or "nic"]
    count = sum(route["connections"] for route in routes)
    marks = [
        f"{name} {number:,}"
        for name, number in (
            ("DNAT", sum(route["dnat"] for route in routes)),
            ("SNAT", sum(route["snat"] for route in routes)),
        )
        if number
    ]
    if routes[0]["front"] in (UNSEEN, ELSEWHERE):
        marks.append("DNAT ?")
    branch = "└─ " if is_last else "├─ "
    amount = f"{count:,}"
    plain_marks = f"  {', '.join(marks)}" if marks else ""
    room = width - len(branch) - len(plain_marks) - len(amount) - 2
    name = ellipsis(f"{_host(what, entry.node)} ({device})", room)
    gap = " " * (width - len(branch) - len(name) - len(plain_marks) - len(amount))
    return f"{branch}{style(name, 'name')}{style(plain_marks, 'mark')}{gap}{amount}"


def _host(what: Picture, node: str | None) -> str:
    if node == OTHERS:
        return words.plural(what.hosts[node].members, "more node")
    return node or "node not known"


def _backend(
    what: Picture,
    route: dict[str, Any],
    most: int,
    indent: str,
    branch: str,
    width: int,
    style: Style,
) -> Iterator[str]:
    if route["backend"] == "end":
        name = words.ending(route["connections"], route["unanswered"])
        node, address = None, ""
    else:
        vertex = what.vertices[route["backend"]]
        node, address = vertex.node, vertex.address or ""
        of_node = "the node itself" if vertex.kind == "node" else address
        name = vertex.name or of_node or "?"
        if vertex.members > 1:
            name = words.plural(vertex.members, "pod")
    is_local = route["is_local"]
    if route["backend"] == "end":
        way = "✗" if route["unanswered"] == route["connections"] else "not seen"
    elif is_local:
        way = "on this node"
    elif route["tunnel"] in (None, "routed"):
        way = f"to {_host(what, node) if node else 'outside'}"
    else:
        way = f"{route['tunnel'].upper()} to {_host(what, node)}"
    measured = "deliver" if is_local else "carry"
    latency = route[f"latency_{measured}"]
    figure = ""
    if latency is not None:
        figure = words.latency(latency, route[f"clock_bound_{measured}"])
    notes = [
        f"{words.EVIDENCE.get(each, each)}"
        for each in route["backend_evidence"]
        if each != "observed" and route["backend"] != "end"
    ]
    if route["lost_segments"]:
        notes.append(words.plural(route["lost_segments"], "segment") + " lost")
    if route["unanswered"]:
        notes.append(f"{route['unanswered']:,} unanswered")
    line = "╌" if notes and notes[0] in words.EVIDENCE.values() else "─"
    line = "═" if not is_local and route["tunnel"] not in (None, "routed") else line
    start = f"{indent}{branch}{line}"
    amount = f"{route['connections']:,}"
    bar = "█" * max(1, round(_BAR * route["connections"] / most))
    columns = _columns(width - len(start) - 2)
    texts = (way, name, address, figure.rjust(columns[3]), amount.rjust(6), bar)
    styles = ("soft", "name", "soft", "soft", "name", "mark")
    cells = []
    last = max(place for place, room in enumerate(columns) if room)
    for place, (text, room, how) in enumerate(zip(texts, columns, styles, strict=True)):
        if room:
            cell = ellipsis(text, room)
            cells.append(style(cell if place == last else cell.ljust(room), how))
    yield f"{start} {' '.join(cells)}"
    if notes:
        rest = " " if branch == "└" else "│"
        text = ellipsis(", ".join(notes), width - len(indent) - 4)
        how = "alarm" if route["unanswered"] or route["lost_segments"] else "soft"
        yield f"{indent}{rest}   {style(text, how)}"


def _columns(room: int) -> tuple[int, int, int, int, int, int]:
    """Give the widths of way, name, address, latency, count and bar."""
    if room >= 107:
        return 22, 26, 15, 16, 6, _BAR
    if room >= 92:
        return 22, 26, 0, 16, 6, _BAR
    if room >= 62:
        spare = room - 4 - 16 - 6
        return min(22, spare // 2 + 1), spare - min(22, spare // 2 + 1), 0, 16, 6, 0
    spare = room - 2 - 6
    return spare // 2, spare - spare // 2, 0, 0, 6, 0


def _key(width: int, style: Style) -> Iterator[str]:
    for line in (
        "═ in a tunnel  ─ without  ╌ not captured, follows from what was",
        "DNAT: Service address to pod address  SNAT: source to the node's own",
        "numbers: connections; median latency ± what the clocks leave open",
    ):
        yield style(ellipsis(line, width), "soft")
