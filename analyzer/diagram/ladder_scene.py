"""The ladder of one connection as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.diagram import words
from analyzer.diagram.ladder_words import (
    Rung,
    chosen,
    heading,
    measured,
    rewrites,
    rungs,
    runs,
    step,
    tuples,
)
from analyzer.diagram.scene import Line, Scene
from analyzer.diagram.widths import text_width

if TYPE_CHECKING:
    from analyzer.analysis.paths.ladder import Ladder
    from analyzer.diagram.scene import Group

_WIDTH = 1200
_MARGIN = 20
_TIME = 76
_TOLD = 196
_ROW = 27
_SMALL = 10.5
_BADGE = 15
_THERE, _BACK, _AGAIN = "#2f78c4", "#2e9e6b", "#e0832b"


def draw_ladder(ladder: Ladder) -> Scene:
    """Draw one connection's packets on their way through the observation points.

    Returns
    -------
    Scene
        1200 wide, or more where there are many observation points.
    """
    title, facts = heading(ladder)
    count = ladder.places.height
    width = max(_WIDTH, 2 * _MARGIN + _TIME + _TOLD + 92 * count)
    all_rungs = rungs(ladder)
    scene = Scene(width, 0, title, _description(ladder, all_rungs))
    left = _MARGIN + _TIME + 4
    gap = min((width - left - _MARGIN - _TOLD - 12) / count, 220)
    at = [left + gap * (place + 0.5) for place in range(count)]
    shown = chosen(all_rungs)
    top = 188
    bottom = top + _ROW * len(shown)
    group = scene.group("heading")
    group.text(
        _MARGIN, 30, title, 17, style="heading", bold=True, room=width - 2 * _MARGIN
    )
    group.text(_MARGIN, 49, facts, 12, style="soft", room=width - 2 * _MARGIN)
    _columns(scene, ladder, at, gap, bottom)
    _rewrites(scene, ladder, at)
    y = float(top)
    for rung in shown:
        if isinstance(rung, Rung):
            _rung(scene, ladder, rung, at, y)
        else:
            more = scene.group("note")
            text = f"{rung:,} more packets"
            more.text(width / 2, y + 4, text, 11, style="soft", anchor="middle")
        y += _ROW
    _latencies(scene, ladder, at, gap, bottom + 14)
    scene.height = _legend(scene, bottom + 58)
    return scene


def _columns(
    scene: Scene, ladder: Ladder, at: list[float], gap: float, bottom: float
) -> None:
    rows = ladder.places.to_dicts()
    half = gap / 2
    group = scene.group("lane")
    for begin, end, host in runs(row["host"] for row in rows):
        left, right = at[begin] - half + 3, at[end] + half - 3
        group.rect(left, 62, right - left, bottom - 62 + 40, "lane", 6)
        middle = (left + right) / 2
        group.text(
            middle, 77, host, 12, bold=True, anchor="middle", room=right - left - 8
        )
    told = [
        (row["tunnel"], row["vni"], row["outer_src"], row["outer_dst"]) for row in rows
    ]
    for begin, end, (tunnel, vni, outer_src, outer_dst) in runs(told):
        if tunnel is None:
            continue
        left, right = at[begin] - half + 7, at[end] + half - 7
        group.rect(left, 137, right - left, bottom - 137 + 34, "overlay", 4)
        name = tunnel.upper() if vni is None else f"{tunnel.upper()} {vni}"
        outer = f"{name}: {outer_src} → {outer_dst}"
        group.text(
            (left + right) / 2,
            150,
            outer,
            _SMALL,
            style="overlaytext",
            anchor="middle",
            room=right - left - 6,
        )
    for place, row in enumerate(rows):
        device = row["point"].partition("/")[2] or row["point"]
        mark = scene.group("place", row["point"], place=place, point=row["point"])
        mark.text(at[place], 92, device, 11, anchor="middle", room=2 * half - 10)
        mark.marks.append(Line(((at[place], 170), (at[place], bottom - 6)), "rule"))
        ttl = " ".join(
            f"{arrow}{row[name]}"
            for arrow, name in (("→", "ttl_to_backend"), ("←", "ttl_to_client"))
            if row[name] is not None
        )
        below = f"TTL {ttl}" if ttl else "" if row["is_seen"] else "not seen here"
        if below:
            mark.text(
                at[place],
                166,
                below,
                _SMALL,
                style="soft",
                anchor="middle",
                room=2 * half - 8,
            )
    marked = {place for place, _ in rewrites(ladder)}
    for begin, end, (source, target) in runs(tuples(ladder)):
        left, right = at[begin] - half + 7, at[end] + half - 7
        mark = scene.group("tuple", f"from {source}\nto {target}")
        mark.rect(left, 100, right - left, 32, "chip", 4)
        # The marks of rewrites stand on the edges.
        left += _BADGE if begin - 1 in marked else 4
        right -= _BADGE if end in marked else 4
        middle, room = (left + right) / 2, right - left
        mark.text(middle, 113, f"from {source}", _SMALL, anchor="middle", room=room)
        mark.text(middle, 126, f"to {target}", _SMALL, anchor="middle", room=room)


def _rewrites(scene: Scene, ladder: Ladder, at: list[float]) -> None:
    for place, names in rewrites(ladder):
        middle = (at[place] + at[place + 1]) / 2
        group = scene.group(
            "rewrite",
            f"{' and '.join(names)} between {ladder.places['point'][place]} and"
            f" {ladder.places['point'][place + 1]}",
            place=place,
            dnat=int("DNAT" in names),
            snat=int("SNAT" in names),
        )
        y = 116 - 7.5 * len(names)
        for name in names:
            wide = text_width(name, 9.5, bold=True) + 10
            group.rect(middle - wide / 2, y, wide, 13.5, name.lower(), 6.5)
            group.text(
                middle, y + 10.2, name, 9.5, style="inverse", bold=True, anchor="middle"
            )
            y += 15


def _rung(scene: Scene, ladder: Ladder, rung: Rung, at: list[float], y: float) -> None:
    seen = rung.in_order()
    colour = _THERE if rung.is_forward else _BACK
    if rung.is_retransmission:
        colour = _AGAIN
    group = scene.group(
        "packet",
        _title(ladder, rung),
        packet=rung.number,
        direction="to_backend" if rung.is_forward else "to_client",
        since_ns=rung.start,
        places=" ".join(str(place) for place, _ in seen),
        times_ns=" ".join(str(time) for _, time in seen),
    )
    group.text(
        _MARGIN + _TIME - 6,
        y + 4,
        words.duration(rung.start),
        _SMALL,
        style="soft",
        anchor="end",
    )
    begin, end = at[seen[0][0]], at[seen[-1][0]]
    group.marks.append(Line(((begin, y), (end, y)), "way", colour))
    if len(seen) > 1:
        back = -6 if rung.is_forward else 6
        tip = ((end + back, y - 4), (end, y), (end + back, y + 4))
        group.marks.append(Line(tip, "way", colour))
    for number, (place, time) in enumerate(seen):
        group.rect(at[place] - 2.5, y - 2.5, 5, 5, "bar", 2.5, colour)
        if number:
            before, earlier = seen[number - 1]
            middle = (at[place] + at[before]) / 2
            text = step(time - earlier)
            group.text(middle, y - 4, text, _SMALL, style="soft", anchor="middle")
    if rung.vanished_at is not None:
        x = at[rung.vanished_at] + (18 if rung.is_forward else -18)
        group.marks.append(Line(((x - 5, y - 5), (x + 5, y + 5)), "cross"))
        group.marks.append(Line(((x - 5, y + 5), (x + 5, y - 5)), "cross"))
    left = at[-1] + (at[0] - _MARGIN - _TIME - 4) + 12
    told = f"{rung.what} again" if rung.is_retransmission else rung.what
    style = "alarm" if rung.vanished_at is not None else "text"
    name = group.text(left, y + 4, told, 11, bold=True, style=style, room=_TOLD)
    room = _TOLD - name.width - 7
    if rung.numbers and room > 20:
        group.text(
            left + name.width + 7,
            y + 4,
            rung.numbers.replace("  ", " "),
            _SMALL,
            style="soft",
            room=room,
        )


def _title(ladder: Ladder, rung: Rung) -> str:
    lines = [f"{rung.what} {rung.numbers}".replace("  ", " ")]
    before = None
    for place, time in rung.in_order():
        passed = "" if before is None else f" ({step(time - before)} µs)"
        lines.append(f"{ladder.places['point'][place]}: {words.duration(time)}{passed}")
        before = time
    if rung.is_retransmission:
        lines.append("sent again: its octets passed before")
    if rung.vanished_at is not None:
        lines.append("not seen at the next place, which was captured then")
    return "\n".join(lines)


def _latencies(
    scene: Scene, ladder: Ladder, at: list[float], gap: float, y: float
) -> None:
    group = scene.group("latency", "Median time between places, both ways")
    group.text(_MARGIN + _TIME - 6, y, "median", _SMALL, style="soft", anchor="end")
    for place in range(len(at) - 1):
        middle = (at[place] + at[place + 1]) / 2
        for number, (arrow, direction) in enumerate(
            (("→", "to_backend"), ("←", "to_client"))
        ):
            told = measured(ladder, place, direction)
            if told:
                group.text(
                    middle,
                    y + 13 * number,
                    f"{arrow} {told}",
                    _SMALL,
                    anchor="middle",
                    room=gap - 4,
                )


def _legend(scene: Scene, y: float) -> float:
    group = scene.group("legend")
    x = float(_MARGIN)
    for colour, text in (
        (_THERE, "to the backend"),
        (_BACK, "to the client"),
        (_AGAIN, "sent again"),
    ):
        group.marks.append(Line(((x, y - 4), (x + 18, y - 4)), "way", colour))
        group.text(x + 24, y, text, 11, style="soft")
        x += 24 + text_width(text, 11) + 22
    cross = ((x, y - 8), (x + 9, y + 1)), ((x, y + 1), (x + 9, y - 8))
    for stroke in cross:
        group.marks.append(Line(stroke, "cross"))
    text = "not seen at the next place, which was captured then"
    group.text(x + 15, y, text, 11, style="soft")
    x += 15 + text_width(text, 11) + 22
    _wide(group, x, y)
    return y + 18


def _wide(group: Group, x: float, y: float) -> None:
    group.text(x, y, "numbers on arrows: µs since the place before", 11, style="soft")


def _description(ladder: Ladder, all_rungs: list[Rung]) -> str:
    points = ", ".join(ladder.places["point"])
    lost = sum(rung.vanished_at is not None for rung in all_rungs)
    again = sum(rung.is_retransmission for rung in all_rungs)
    told = [
        f"{words.plural(len(all_rungs), 'packet')} on their way through {points}.",
        *(
            f"{' and '.join(names)} between {ladder.places['point'][place]} and"
            f" {ladder.places['point'][place + 1]}."
            for place, names in rewrites(ladder)
        ),
        f"{again:,} were sent again, {lost:,} were not seen at the next place.",
    ]
    return " ".join(told)
