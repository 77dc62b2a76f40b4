from typing_extensions import Buffer

from analyzer._cext.arrays import Arrays
from analyzer._cext.columns import Columns

def reduce(
    ordered: Arrays,
    connections: Columns,
    flow_ends: Buffer,
    points: Buffer,
    point_ends: Buffer,
) -> None: ...
