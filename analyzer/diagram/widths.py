"""How wide a text is, without a font at hand.

The advance widths of Helvetica (Adobe's Core 14 metrics), which Arial, Liberation Sans
and Nimbus Sans share. Texts are written with their width (``textLength``), so that
another font is fitted to the place that was made for it.
"""

from __future__ import annotations

#: The fonts of these widths, and a last resort.
FONTS = "Helvetica, Arial, 'Liberation Sans', 'Nimbus Sans', sans-serif"

_FIRST = 32
_REGULAR = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556),
    *(1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556),
    *(333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556),
    *(556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
)
_BOLD = (
    *(278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611),
    *(975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556),
    *(333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611),
    *(611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584),
)
_OTHERS = {"·": 278, "±": 549, "µ": 556, "→": 1000, "…": 1000}
#: Of what has no entry: as wide as it is high, as CJK is.
_UNKNOWN = 1000


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Give the width of a text in the unit of its font size."""
    table = _BOLD if bold else _REGULAR
    total = 0
    for character in text:
        index = ord(character) - _FIRST
        if 0 <= index < len(table):
            total += table[index]
        else:
            total += _OTHERS.get(character, _UNKNOWN)
    return total * size / 1000


def fit(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """Shorten a text to a width by an ellipsis in its middle: ends tell names apart."""
    if text_width(text, size, bold=bold) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        tail = kept // 2
        shorter = f"{text[: kept - tail]}…{text[len(text) - tail :]}"
        if text_width(shorter, size, bold=bold) <= width:
            return shorter
    return "…"
