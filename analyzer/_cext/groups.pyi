from typing_extensions import Buffer

from analyzer._cext.arrays import Arrays

def mark_unequal(rows: Arrays, marks: Buffer) -> int: ...
