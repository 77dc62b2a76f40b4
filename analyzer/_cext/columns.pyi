from collections.abc import Sequence

from typing_extensions import Buffer

class Columns:
    rows: int
    def __init__(
        self,
        rows: int,
        data: Sequence[Buffer | None],
        validity: Sequence[Buffer | None],
        offsets: Sequence[Buffer | None],
    ) -> None: ...
