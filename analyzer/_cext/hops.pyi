from collections.abc import Sequence

from analyzer._cext.arrays import Arrays
from analyzer._cext.columns import Columns

class Hops:
    def __init__(
        self,
        sightings: Arrays,
        samples: Sequence[Sequence[Arrays]],
        clocks: Arrays,
        resolution: float,
        margin: int,
    ) -> None: ...
    def measure(self, ordered: Arrays, first_connection: int, hops: Columns) -> int: ...
