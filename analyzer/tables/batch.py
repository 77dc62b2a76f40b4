"""Record batches over buffers that Python owns and compiled code fills."""

from __future__ import annotations

from array import array
from itertools import cycle, repeat
from typing import TYPE_CHECKING

from analyzer._cext.columns import Columns
from analyzer.tables.schema import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from analyzer.tables.schema import Column

#: Rows of a record batch.
BATCH_ROWS = 32768

_WIDTHS = {
    "u8": 1,
    "u16": 2,
    "u32": 4,
    "u64": 8,
    "i64": 8,
    "time": 8,
    "duration": 8,
    "address": 4,
    "name": 4,
    "ids": 8,
    "times": 8,
}
_PER_ROW = {"ids": 4, "times": 4}  # values that a list holds at most
_COMMUNITY_ID_LENGTH = 30


class BatchBuffers:
    """The buffers of one batch of a table, filled again and again.

    Parameters
    ----------
    columns : sequence of Column
        Those of a table.
    rows : int
        Rows to have room for; a multiple of 64.
    wanted : collection of str, optional
        Columns to fill; all if not given.

    Attributes
    ----------
    data, validity, offsets : list of pa.Buffer or None
        One per column of the table, in its order; None where there is nothing to fill.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        rows: int = BATCH_ROWS,
        wanted: Collection[str] | None = None,
    ) -> None:
        import pyarrow as pa

        self.rows = rows
        self._columns = columns
        self.data: list[pa.Buffer | None] = []
        self.validity: list[pa.Buffer | None] = []
        self.offsets: list[pa.Buffer | None] = []
        for column in self._columns:
            if wanted is not None and column.name not in wanted:
                self.data.append(None)
                self.validity.append(None)
                self.offsets.append(None)
                continue
            values = rows * _PER_ROW.get(column.kind, 1)
            if column.kind == "bool":
                size = rows // 8
            elif column.kind == "text":
                size = rows * _COMMUNITY_ID_LENGTH
            else:
                size = values * _WIDTHS[column.kind]
            has_offsets = column.kind in {"text", "ids", "times"}
            self.data.append(pa.allocate_buffer(size))
            self.validity.append(pa.allocate_buffer(values // 8))
            self.offsets.append(
                pa.allocate_buffer(4 * (rows + 1)) if has_offsets else None
            )

    def batch(self, count: int, schema: pa.Schema) -> pa.RecordBatch:
        """Wrap the first rows, without copying them.

        Parameters
        ----------
        count : int
            Rows that were filled.
        schema : pa.Schema
            As :func:`plain_schema` gives it: names and addresses are still indices.
        """
        import pyarrow as pa

        arrays = []
        filled = zip(self._columns, self.data, self.validity, self.offsets, strict=True)
        for column, data, validity, offsets in filled:
            if data is None:
                continue
            kind = schema.field(column.name).type
            children = None
            buffers = [validity, data]
            if column.kind == "text":
                buffers = [None, offsets, data]
            elif offsets is not None:
                ends = pa.Array.from_buffers(pa.int32(), count + 1, [None, offsets])
                items = ends[count].as_py()
                children = [pa.Array.from_buffers(kind.value_type, items, buffers)]
                buffers = [None, offsets]
            arrays.append(
                pa.Array.from_buffers(kind, count, buffers, children=children)
            )
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def buffers_in_turn(
    columns: Sequence[Column], number: int | None, most: int = BATCH_ROWS
) -> Iterator[tuple[BatchBuffers, Columns]]:
    """Give buffers for one batch after the other, and what compiled code fills in them.

    Parameters
    ----------
    columns : sequence of Column
        Those of a table.
    number : int or None
        After so many batches, the buffers of the first are given again; with None, all
        are new.
    most : int
        Rows that there are in all; a batch has room for no more, nor for more than
        :data:`BATCH_ROWS`.
    """
    made = []
    rows = min(BATCH_ROWS, (most // 64 + 1) * 64)
    for _ in repeat(None) if number is None else range(number):
        buffers = BatchBuffers(columns, rows)
        filled = Columns(buffers.rows, buffers.data, buffers.validity, buffers.offsets)
        if number is not None:
            made.append((buffers, filled))
        yield buffers, filled
    yield from cycle(made)


def text_array(texts: Iterable[str]) -> pa.Array:
    """Give texts as an Arrow array; names that are no Unicode get a replacement.

    ``pa.array`` would import pandas where it is installed, which takes longer than
    reading a million packets.
    """
    import pyarrow as pa

    offsets = array("i", [0])
    data = bytearray()
    for text in texts:
        data += text.encode("utf-8", "replace")
        offsets.append(len(data))
    return pa.Array.from_buffers(
        pa.utf8(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )


def index_array(indices: Sequence[int]) -> pa.Array:
    """Give dictionary indices as an Arrow array, for the same reason."""
    import pyarrow as pa

    values = array("i", indices)
    return pa.Array.from_buffers(pa.int32(), len(values), [None, pa.py_buffer(values)])


def plain_schema(table: str, wanted: Collection[str] | None = None) -> pa.Schema:
    """Give a table's schema with int32 indices in place of dictionaries."""
    import pyarrow as pa

    fields = []
    for field in arrow_schema(table):
        if wanted is not None and field.name not in wanted:
            continue
        if pa.types.is_dictionary(field.type):
            fields.append(field.with_type(pa.int32()))
        else:
            fields.append(field)
    return pa.schema(fields)


def with_dictionaries(
    batch: pa.RecordBatch, schema: pa.Schema, dictionaries: Mapping[str, pa.Array]
) -> pa.RecordBatch:
    """Give the indices of a batch their meaning.

    Parameters
    ----------
    batch : pa.RecordBatch
        With indices in place of dictionary-encoded columns.
    schema : pa.Schema
        The table's schema.
    dictionaries : mapping of str to pa.Array
        One per dictionary-encoded column that the batch has.
    """
    import pyarrow as pa

    arrays = []
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        if name in dictionaries:
            arrays.append(
                pa.DictionaryArray.from_arrays(values, dictionaries[name], safe=False)
            )
        else:
            arrays.append(values)
    names = batch.schema.names
    if names != schema.names:
        schema = pa.schema([schema.field(name) for name in names])
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
