"""Counts as one types them."""


def quantity(text: str) -> int:
    """Read a count such as ``250``, ``300k``, ``10M`` or ``1.5M``."""
    scale = {"k": 1_000, "M": 1_000_000}.get(text[-1:], 1)
    return round(float(text.rstrip("kM")) * scale)
