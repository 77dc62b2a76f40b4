"""The ladder of one connection as text."""

from __future__ import annotations

import textwrap
from itertools import pairwise
from string import ascii_uppercase
from typing import TYPE_CHECKING

from analyzer.diagram import words
from analyzer.diagram.ladder_words import (
    Rung,
    chosen,
    heading,
    measured,
    rewrites,
    rungs,
    step,
    tuples,
)
from analyzer.diagram.text import ellipsis, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.analysis.paths.ladder import Ladder
    from analyzer.diagram.text import Style

_WIDEST = 160
_TIME = 10


def draw_ladder_text(
    ladder: Ladder, width: int, *, style: Style = plain
) -> Iterator[str]:
    """Write one connection's packets as lines of text.

    Parameters
    ----------
    ladder : Ladder
    width : int
        Characters in a line, at least 40.
    style : callable
        See :func:`analyzer.diagram.text.draw_text`.

    Yields
    ------
    str
        The observation points, each with the tuple that it saw; then a line for each
        packet, with the microseconds from place to place.
    """
    width = min(width, _WIDEST)
    title, facts = heading(ladder)
    yield style(ellipsis(title, width), "name")
    for line in textwrap.wrap(facts, width, break_on_hyphens=False):
        yield style(line, "soft")
    yield ""
    yield from _places(ladder, width, style)
    yield ""
    yield from _packets(ladder, width, style)
    yield ""
    for line in (
        "times: since the first packet; between places in µs",
        "┄ sent again  ✗ not seen at the next place, which was captured then",
    ):
        yield style(ellipsis(line, width), "soft")


def letter(place: int) -> str:
    """Name a place by a letter, or a number behind Z."""
    return ascii_uppercase[place] if place < len(ascii_uppercase) else str(place)


def _places(ladder: Ladder, width: int, style: Style) -> Iterator[str]:
    told = tuples(ladder)
    rewritten = dict(rewrites(ladder))
    rows = ladder.places.to_dicts()
    longest = max(len(row["point"]) for row in rows)
    room = min(longest, max(width // 3, 16))
    for place, row in enumerate(rows):
        is_changed = place == 0 or told[place] != told[place - 1]
        what = " → ".join(told[place]) if is_changed else "the same"
        if not row["is_seen"]:
            what = "not seen here"
        elif row["tunnel"]:
            vni = "" if row["vni"] is None else f" {row['vni']}"
            outer = f"{row['outer_src']} → {row['outer_dst']}"
            what += f" in {row['tunnel'].upper()}{vni} {outer}"
        ttl = _ttl(row)
        start = f"{letter(place)}  {ellipsis(row['point'], room).ljust(room)}  "
        what = ellipsis(what, width - len(start) - len(ttl) - 2)
        gap = " " * (width - len(start) - len(what) - len(ttl))
        end = f"{gap}{style(ttl, 'soft')}" if ttl else ""
        yield f"{style(start, 'name')}{what}{end}"
        if place < len(rows) - 1:
            names = f" {' and '.join(rewritten[place])}" if place in rewritten else ""
            there = measured(ladder, place, "to_backend")
            back = measured(ladder, place, "to_client")
            times = [
                f"{arrow} {time}" for arrow, time in (("→", there), ("←", back)) if time
            ]
            line = f"│  {'  '.join(times)}".rstrip()
            line = ellipsis(line, width - len(names) - 1)
            yield f"{style(line, 'soft')}{style(names, 'mark')}"


def _ttl(row: dict[str, int | None]) -> str:
    there, back = row["ttl_to_backend"], row["ttl_to_client"]
    parts = [
        f"{arrow}{ttl}" for arrow, ttl in (("→", there), ("←", back)) if ttl is not None
    ]
    return f"TTL {' '.join(parts)}" if parts else ""


def _packets(ladder: Ladder, width: int, style: Style) -> Iterator[str]:
    count = ladder.places.height
    # Between places there is room for a number and an arrow, as far as it goes.
    room = max(3, min(9, (width - _TIME - 2 - 12) // max(count - 1, 1) - 1))
    lane = (room + 1) * (count - 1) + 1
    what = width - _TIME - lane - 4
    if what < 8:
        yield style(f"({width} columns are too few for {count} places)", "soft")
        return
    letters = "".join(letter(place).ljust(room + 1) for place in range(count))
    yield style(f"{'time':>{_TIME}}  {letters.rstrip()}", "name")
    for rung in chosen(rungs(ladder)):
        if not isinstance(rung, Rung):
            yield style(f"{'⋮':>{_TIME}}  {rung:,} more packets", "soft")
            continue
        time = words.duration(rung.start).rjust(_TIME)
        told = f"{rung.what}  {rung.numbers}"
        if rung.is_retransmission:
            told = f"{rung.what}  again  {rung.numbers}"
        how = "alarm" if rung.vanished_at is not None else "mark"
        arrow = _arrow(rung, count, room).ljust(lane)
        text = ellipsis(told.rstrip(), what)
        yield f"{style(time, 'soft')}  {style(arrow, how)}  {text}"


def _arrow(rung: Rung, count: int, room: int) -> str:
    """Draw one packet's way through the places."""
    cells = [" "] * count
    links = [" " * room] * (count - 1)
    line = "┄" if rung.is_retransmission else "─"
    seen = rung.in_order()
    for place, _ in seen:
        cells[place] = "●"
    for (here, time), (there, later) in pairwise(seen):
        low, high = min(here, there), max(here, there)
        for passed in range(low, high):
            links[passed] = line * room
        number = step(later - time)
        if high - low == 1 and len(number) <= room - 1:
            links[low] = number.center(room, line)
    end = seen[-1][0]
    if len(seen) > 1:
        cells[end] = "▶" if rung.is_forward else "◀"
    if rung.vanished_at is not None:
        at = end if rung.is_forward else end - 1
        if 0 <= at < count - 1:
            mark = f"{line}✗".ljust(room) if rung.is_forward else f"✗{line}".rjust(room)
            links[at] = mark
    return "".join(cell + link for cell, link in zip(cells, [*links, ""], strict=True))
