from typing_extensions import Buffer

from analyzer._cext.arrays import Arrays

def mark_doubts(
    sightings: Arrays,
    firsts: Arrays,
    most_tuples: int,
    doubted: Buffer,
    small: Buffer,
) -> None: ...
