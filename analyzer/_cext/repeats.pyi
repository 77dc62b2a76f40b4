from collections.abc import Sequence

from typing_extensions import Buffer

from analyzer._cext.arrays import Arrays

class Repeats:
    def __init__(self, rows: int) -> None: ...
    def mark(self, keys: Sequence[Arrays], marks: Buffer) -> None: ...

def add_up(lists: Sequence[Arrays], marks: Buffer, sums: Buffer) -> None: ...
