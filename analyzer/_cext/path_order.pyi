from typing_extensions import Buffer

from analyzer._cext.arrays import Arrays

class PathOrder:
    def __init__(self, addresses: Arrays, hosts: Arrays, own: Arrays) -> None: ...
    def sort(self, seen: Arrays, order: Buffer, legs: Buffer) -> None: ...
