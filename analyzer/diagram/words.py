"""Numbers and kinds as pictures say them."""

from __future__ import annotations

from analyzer.words import endpoint as endpoint
from analyzer.words import plural as plural
from analyzer.words import size as size

#: How something is known that no capture shows.
EVIDENCE = {
    "conntrack": "from conntrack",
    "eliminated": "by elimination",
    "unique": "only one fits",
    "ambiguous": "undecided",
    "none": "not known",
}


def duration(nanoseconds: float) -> str:
    """Write a duration to two or three figures: ``3.5 µs``, ``12 ms``."""
    for unit, length in (("ns", 1), ("µs", 1e3), ("ms", 1e6)):
        if nanoseconds < 999.5 * length:
            value = nanoseconds / length
            digits = 1 if 0 < value < 9.95 and unit != "ns" else 0
            return f"{value:.{digits}f} {unit}"
    return f"{nanoseconds / 1e9:,.1f} s"


def latency(nanoseconds: float, bound: float | None) -> str:
    """Write a latency with the bound of the clocks."""
    told = duration(nanoseconds)
    if bound is None:
        return told
    bounded = duration(bound)
    number, _, unit = told.partition(" ")
    if not nanoseconds:
        return f"0 ± {bounded}"
    of_bound, _, unit_of_bound = bounded.partition(" ")
    if unit == unit_of_bound:
        return f"{number} ± {of_bound} {unit}"
    return f"{told} ± {bounded}"


def rate(per_second: float | None) -> str | None:
    """Write connections per second to two figures: ``43/s``, ``0.02/s``."""
    if per_second is None:
        return None
    if per_second >= 9.95:
        return f"{per_second:,.0f}/s"
    if per_second >= 0.095:
        return f"{per_second:.1f}/s"
    return f"{per_second:.1g}/s" if per_second >= 0.001 else "< 0.001/s"


def ending(connections: int, unanswered: int) -> str:
    """Say where connections without a known backend went: whoever answered is one."""
    return "no backend" if unanswered == connections else "backend not known"


def short_service(service: str) -> str:
    """Write a service without the namespace that most things are in."""
    return service.removeprefix("default/").removeprefix("/")
