from typing_extensions import Buffer

from analyzer._cext.arrays import Arrays

class Repeats:
    def __init__(self, rows: int) -> None: ...
    def mark(self, keys: Arrays, marks: Buffer) -> None: ...
