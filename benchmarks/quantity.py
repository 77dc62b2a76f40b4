"""Counts as one types them, and as one reads them."""


def quantity(text: str) -> int:
    """Read a count such as ``250``, ``300k``, ``10M``, ``1.5M`` or ``100G``."""
    scale = {"k": 1_000, "M": 1_000_000, "G": 1_000_000_000}.get(text[-1:], 1)
    return round(float(text.rstrip("kMG")) * scale)


def count(number: float) -> str:
    """Write a number with three digits and a unit."""
    for unit, scale in ((" G", 1e9), (" M", 1e6), (" k", 1e3)):
        if number >= scale:
            return digits(number / scale, 3) + unit
    return digits(number, 3)


def digits(number: float, wanted: int = 2) -> str:
    """Round to so many significant digits, without an exponent."""
    return f"{float(f'{number:.{wanted}g}'):,.10g}"


def mebibytes(octets: float) -> str:
    """Write an amount of memory."""
    return f"{octets / 2**20:,.0f}"
