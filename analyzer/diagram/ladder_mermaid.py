"""The ladder of one connection as a Mermaid sequence diagram."""

from __future__ import annotations

import textwrap
from itertools import pairwise
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
from analyzer.diagram.markup import mermaid, yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.analysis.paths.ladder import Ladder

_NOTE = 72  # characters in a line of a note


def write_ladder_mermaid(ladder: Ladder) -> str:
    """Write one connection's packets as a sequence diagram.

    Returns
    -------
    str
        A participant for each observation point, in boxes by host, with notes on its
        tuple, its tunnel, rewrites and latencies; then an arrow for each packet, from
        the first place that saw it to the last: dashed if it was sent again, with a
        cross at the next place if it vanished before that.
    """
    title, facts = heading(ladder)
    shown = chosen(rungs(ladder))
    lines = ["---", f"title: {yaml(title)}", "---", "sequenceDiagram"]
    lines += _participants(ladder)
    last = ladder.places.height - 1
    told = "<br/>".join(map(mermaid, textwrap.wrap(facts, _NOTE)))
    lines.append(f"  Note over {_over(0, last)}: {told}")
    lines += _notes(ladder)
    for rung in shown:
        if isinstance(rung, Rung):
            lines.append(f"  {_arrow(rung)}")
        else:
            lines.append(f"  Note over {_over(0, last)}: {rung:,} more packets")
    return "\n".join(lines) + "\n"


def _participants(ladder: Ladder) -> Iterator[str]:
    rows = ladder.places.to_dicts()
    for begin, end, host in runs(row["host"] for row in rows):
        # Of a first word that is a colour's name the box would take its colour.
        yield f"  box transparent {mermaid(host)}"
        for place in range(begin, end + 1):
            device = rows[place]["point"].partition("/")[2] or rows[place]["point"]
            yield f"    participant p{place} as {mermaid(device)}"
        yield "  end"


def _notes(ladder: Ladder) -> Iterator[str]:
    rows = ladder.places.to_dicts()
    for begin, end, (source, target) in runs(tuples(ladder)):
        told = f"{mermaid(source)} → {mermaid(target)}"
        yield f"  Note over {_over(begin, end)}: {told}"
    outers = [
        (row["tunnel"], row["vni"], row["outer_src"], row["outer_dst"]) for row in rows
    ]
    for begin, end, (tunnel, vni, source, target) in runs(outers):
        if tunnel is not None:
            name = tunnel.upper() if vni is None else f"{tunnel.upper()} {vni}"
            told = mermaid(f"{name}: {source} → {target}")
            yield f"  Note over {_over(begin, end)}: {told}"
    for row in rows:
        if not row["is_seen"]:
            yield f"  Note over p{row['place']}: not seen here"
    for place, names in rewrites(ladder):
        yield f"  Note over {_over(place, place + 1)}: {' and '.join(names)}"
    for place in range(len(rows) - 1):
        times = [
            f"{arrow} {time}"
            for arrow, direction in (("→", "to_backend"), ("←", "to_client"))
            if (time := measured(ladder, place, direction))
        ]
        if times:
            between = _over(place, place + 1)
            yield f"  Note over {between}: median {' '.join(times)}"


def _over(begin: int, end: int) -> str:
    return f"p{begin}" if begin == end else f"p{begin},p{end}"


def _arrow(rung: Rung) -> str:
    seen = rung.in_order()
    begin, end = seen[0][0], seen[-1][0]
    head = "-->>" if rung.is_retransmission else "->>"
    told = [rung.what, *(["again"] if rung.is_retransmission else []), rung.numbers]
    if rung.vanished_at is not None:
        head = "--x" if rung.is_retransmission else "-x"
        end += 1 if rung.is_forward else -1
        told.append("vanished")
    passed = " ".join(step(later - time) for (_, time), (_, later) in pairwise(seen))
    times = words.duration(rung.start) + (f" {passed} µs" if passed else "")
    text = mermaid(" ".join(filter(None, told)).replace("  ", " "))
    return f"p{begin}{head}p{end}: {text} ({times})"
