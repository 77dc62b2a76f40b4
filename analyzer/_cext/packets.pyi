from typing import ClassVar

from analyzer._cext.addresses import AddressTable
from analyzer._cext.columns import Columns

class PacketRows:
    column_count: ClassVar[int]
    def __init__(
        self, addresses: AddressTable, columns: Columns, most: int
    ) -> None: ...
    def continue_in(self, columns: Columns) -> None: ...
    @property
    def count(self) -> int: ...
    @property
    def protocols_met(self) -> list[int]: ...
    @property
    def satisfied(self) -> bool: ...
