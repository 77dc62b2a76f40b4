from analyzer._cext.arrays import Arrays
from analyzer._cext.columns import Columns

def correct(times: Arrays, hosts: Arrays, clocks: Arrays, filled: Columns) -> None: ...
