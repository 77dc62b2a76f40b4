"""Counts, sizes and addresses as people read them, wherever they are printed."""

from __future__ import annotations


def plural(number: int, noun: str, ending: str = "s") -> str:
    """Write a count with its noun: ``1 frame``, ``1,234 frames``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}{ending}"


def endpoint(address: str, port: int | None) -> str:
    """Write an address and its port: ``10.1.0.2:80``, ``[fd00::2]:80``."""
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def size(octets: float) -> str:
    """Write a number of octets in decimal units, as networks count: ``8.2 MB``."""
    return scaled(octets, ("B", "kB", "MB", "GB", "TB", "PB"))


def scaled(value: float, units: tuple[str, ...]) -> str:
    """Write a quantity to two or three figures, each unit 1000 of the one before."""
    scale = 0
    while value >= 999.5 and scale < len(units) - 1:  # 999.5 would be written as 1000
        value /= 1000
        scale += 1
    digits = 1 if scale and value < 9.95 else 0
    return f"{value:,.{digits}f} {units[scale]}"
