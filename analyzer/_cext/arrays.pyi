from collections.abc import Sequence

import pyarrow as pa

class Arrays:
    def __init__(self, arrays: Sequence[pa.Array | None]) -> None: ...
    def __len__(self) -> int: ...
