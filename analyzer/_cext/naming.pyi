from typing_extensions import Buffer

from analyzer._cext.arrays import Arrays
from analyzer._cext.columns import Columns

def put_names(
    connections: Arrays,
    numbers: Buffer,
    kinds: Arrays,
    addresses: Arrays,
    protocols: Arrays,
    states: Arrays,
    first: int,
    out: Columns,
) -> None: ...
