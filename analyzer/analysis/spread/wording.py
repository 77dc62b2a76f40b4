"""Findings in plain words."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analyzer.words import plural, scaled, size

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from analyzer.analysis.spread.causes import (
        Changed,
        Heavy,
        Impossible,
        ShareChange,
    )

_MOST_NAMED = 4
_NO_BREAK = "\u00a0"


def wrapped(text: str, width: int) -> list[str]:
    """Break a sentence into lines, but no name and no number from its sign."""
    kept = text.replace(" %", f"{_NO_BREAK}%").replace(
        "p = ", f"p{_NO_BREAK}={_NO_BREAK}"
    )
    lines = textwrap.wrap(kept, width, break_on_hyphens=False, break_long_words=False)
    return [line.replace(_NO_BREAK, " ") for line in lines]


def p_value(value: float) -> str:
    """Write a p-value: ``p = 0.41``, ``p = 3e-09``, ``p < 1e-15``."""
    if value < 1e-15:
        return "p < 1e-15"
    if value < 0.001:
        return f"p = {value:.0e}"
    return f"p = {value:.2g}" if value < 0.095 else f"p = {value:.2f}"


def percent(share: float) -> str:
    """Write a share: ``25 %``, ``2.1 %``, ``<0.1 %``."""
    if 0 < share < 0.001:
        return "<0.1 %"
    value = share * 100
    return f"{value:.1f} %" if 0 < value < 9.95 else f"{value:.0f} %"


def amount(value: float, unit: str) -> str:
    """Write what was counted of a unit: ``39``, ``4.1 MB``, ``120 ms``."""
    if unit == "bytes":
        return size(value)
    if unit == "duration":
        return scaled(value * 1e6, ("us", "ms", "s"))
    return f"{value:,.0f}"


def counted(value: float, unit: str) -> str:
    """Write it with its unit: ``1 connection``, ``39 requests``, ``4.1 MB``."""
    told = amount(value, unit)
    if unit in ("bytes", "duration"):
        return told
    return f"1 {unit.removesuffix('s')}" if told == "1" else f"{told} {unit}"


def place(kept_in: Collection[str]) -> str:
    """Say where hints keep calls: ``node``, ``zone`` or either."""
    if len(kept_in) > 1:
        return "on the node that takes them in or in its zone"
    if "node" in kept_in:
        return "on the node that takes them in"
    return "in the zone of the node that takes them in"


def listed(names: Iterable[str]) -> str:
    """Join names: ``a``, ``a and b``, ``a, b and 5 more``."""
    every = list(names)
    if len(every) > _MOST_NAMED:
        shown = every[: _MOST_NAMED - 1]
        return f"{', '.join(shown)} and {len(every) - len(shown)} more"
    if len(every) < 2:
        return "".join(every)
    return f"{', '.join(every[:-1])} and {every[-1]}"


def clock(nanoseconds: int) -> str:
    """Write a time of day in UTC, to the millisecond."""
    time = datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC)
    milliseconds = nanoseconds % 1_000_000_000 // 1_000_000
    return f"{time:%H:%M:%S}.{milliseconds:03d}"


def changes(found: Sequence[ShareChange]) -> Iterator[str]:
    """Say who got nothing for a while, and whose share became another one."""
    ended: set[str] = set()
    for number, change in enumerate(found):
        between = f"{clock(change.earliest)} and {clock(change.latest)}"
        begin = [
            each
            for each in change.backends
            if not each.before and each.name not in ended
        ]
        if begin:
            yield (
                f"{listed(each.name for each in begin)} received nothing before"
                f" {clock(min(each.time for each in begin))} UTC"
                f" (the change lies between {between})."
            )
        end = [each for each in change.backends if not each.after]
        for back, names in _by_return(end, found[number + 1 :]).items():
            ended |= set(names)
            last = max(each.time for each in end if each.name in names)
            when = (
                f"between {clock(last)} and {clock(back)}"
                if back
                else (f"after {clock(last)}")
            )
            yield (
                f"{listed(names)} received nothing {when} UTC"
                f" (the change lies between {between})."
            )
        other = [each for each in change.backends if each.before and each.after]
        if other and not begin and not end and change.backends[0].name not in ended:
            shares = listed(
                f"{each.name} from {percent(each.before)} to {percent(each.after)}"
                for each in other
            )
            yield (
                f"Shares changed at {clock(other[0].time)} UTC (between {between}):"
                f" {shares}."
            )


def _by_return(
    ended: Iterable[Changed], later: Sequence[ShareChange]
) -> dict[int | None, list[str]]:
    """Group backends by the moment from which they got something again."""
    groups: dict[int | None, list[str]] = {}
    for each in ended:
        returns = [
            again.time
            for change in later
            for again in change.backends
            if again.name == each.name and again.after
        ]
        groups.setdefault(returns[0] if returns else None, []).append(each.name)
    return groups


def heavy(found: Heavy, connections: Sequence[str]) -> str:
    """Say which connections make a unit less even than connections are."""
    is_long = any(each[2] for each in found.connections)
    kind = "long-lived connection" if is_long else "connection"
    carried = sum(part for _, part, _ in found.connections)
    if len(connections) == 1:
        which = f"one {kind}, {connections[0]}, carries"
    else:
        which = f"{len(connections)} {kind}s, {listed(connections)}, carry"
    are, them = ("is", "it") if found.unit == "duration" else ("are", "them")
    return (
        f"{found.unit.capitalize()} {are} less even than connections: {found.backend}"
        f" has {percent(found.share)} of {them} ({percent(found.connection_share)} of"
        f" connections), because {which} {percent(carried)} of all."
    )


def impossible(found: Impossible, source: str) -> str:
    """Say that a backend got what the rules or the endpoints do not give it.

    ``source`` is ``rules do`` or ``endpoints do``.
    """
    when = [
        f"none {word} {clock(time)} UTC"
        for word, time in (("before", found.since), ("after", found.until))
        if time is not None
    ]
    told = f" ({' and '.join(when)})" if when else ""
    return (
        f"{found.name} received {plural(found.choices, 'connection')}{told} though the"
        f" {source} not have it: they are of another time."
    )
