from collections.abc import Sequence

from typing_extensions import Buffer

from analyzer._cext.arrays import Arrays

def measure(
    places: Arrays,
    samples: Sequence[Arrays],
    resolution: float,
    froms: Buffer,
    tos: Buffer,
    numbers: Buffer,
    segments: Buffer,
    medians: Buffer,
    longest: Buffer,
    bounds: Buffer,
    lost: Buffer,
    capture_losses: Buffer,
) -> None: ...
