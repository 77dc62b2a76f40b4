from analyzer._cext.arrays import Arrays
from analyzer._cext.columns import Columns

class Filler:
    def __init__(
        self,
        protocols: Arrays,
        points: Arrays,
        told: Arrays,
        seen: Arrays,
        met: Arrays,
        tunnels: Arrays,
        nodes: Arrays,
    ) -> None: ...
    def fill(
        self, flows: Arrays, first: int, told: Arrays, connections: Columns
    ) -> int: ...
