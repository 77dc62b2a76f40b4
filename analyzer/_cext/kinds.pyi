from typing_extensions import Buffer

from analyzer._cext.arrays import Arrays

class Kinds:
    count: int
    def __init__(self, addresses: Arrays, told: Arrays, edges: Arrays) -> None: ...
    def number(self, connections: Arrays, numbers: Buffer) -> list[int]: ...
