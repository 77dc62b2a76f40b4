from collections.abc import Iterable
from typing import ClassVar

from typing_extensions import Buffer

from analyzer._cext.addresses import AddressTable
from analyzer._cext.columns import Columns
from analyzer._cext.flows import FlowTable

class FlowRows:
    record_size: ClassVar[int]
    def __init__(
        self, addresses: AddressTable, tables: Iterable[FlowTable]
    ) -> None: ...
    @property
    def waiting(self) -> int: ...
    @property
    def left(self) -> int: ...
    @property
    def protocols(self) -> list[int]: ...
    def take_ended(self) -> bytes: ...
    def clear(self) -> None: ...
    def end_capture(self) -> None: ...
    def take_left(self, first: int, most: int) -> bytes: ...
    def number_left(self) -> None: ...
    def write(
        self,
        first: int,
        columns: Columns,
        captures: Buffer,
        points: Buffer,
        protocols: Buffer,
    ) -> int: ...
    def write_taken(
        self,
        first: int,
        records: Buffer,
        columns: Columns,
        captures: Buffer,
        points: Buffer,
        protocols: Buffer,
    ) -> int: ...
