from collections.abc import Iterable

from typing_extensions import Buffer

from analyzer._cext.arrays import Arrays

NUMBER_OF_KEYS: int

def put_keys(
    flows: Arrays,
    protocols: Arrays,
    which: int,
    keys: Buffer,
    validity: Buffer,
    first: int,
) -> None: ...
def tell_company(
    parts: Iterable[Arrays], protocols: Arrays, of_tuple: Buffer, shared: Buffer
) -> bool: ...
