"""Numbers, times and names as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

from analyzer.words import endpoint as endpoint
from analyzer.words import plural as plural
from analyzer.words import scaled
from analyzer.words import size as size

_NANOSECONDS = 1_000_000_000


def count(number: int) -> str:
    """Write a count with thousands separators: ``12,345``."""
    return f"{number:,}"


def bit_rate(bits_per_second: float) -> str:
    """Write a bit rate in decimal units: ``1.2 Mbit/s``."""
    return scaled(bits_per_second, ("bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"))


def duration(nanoseconds: int) -> str:
    """Write a duration to two or three figures: ``340 us``, ``12.3 s``, ``2h 05m``."""
    if not nanoseconds:
        return "0 s"
    for unit, length in (("ns", 1), ("us", 1_000), ("ms", 1_000_000)):
        if nanoseconds < 999.5 * length:
            value = nanoseconds / length
            digits = 1 if value < 9.95 and unit != "ns" else 0
            return f"{value:.{digits}f} {unit}"
    seconds = nanoseconds / _NANOSECONDS
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {seconds:02}s"


def iso_time(nanoseconds: int) -> str:
    """Write a time since the epoch as ISO 8601 in UTC, with nanoseconds."""
    seconds, fraction = divmod(nanoseconds, _NANOSECONDS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09}Z"


def clock_time(nanoseconds: int) -> str:
    """Write a time since the epoch as date and time of day in UTC, to the second."""
    when = datetime.fromtimestamp(nanoseconds // _NANOSECONDS, UTC)
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def percent(part: int, whole: int) -> str:
    """Write a share: ``30 %``, ``0.02 %``, ``< 0.01 %``."""
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.01:
        return "< 0.01 %"
    return f"{share:.2g} %" if share < 9.95 else f"{share:.0f} %"


def printable(text: str) -> str:
    r"""Escape what a terminal would act on (``\x1b``); names come from files."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )


def middle_ellipsis(text: str, width: int) -> str:
    """Shorten text to a width by leaving out its middle: both ends tell names apart."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"
