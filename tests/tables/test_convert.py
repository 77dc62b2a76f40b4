"""Arrow tables as frames: what polars itself would make of them."""

import polars as pl
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from analyzer.tables.convert import to_frame

WORDS = st.sampled_from([f"10.0.0.{number}" for number in range(6)] + ["tcp", "", "é"])
COLUMN = st.lists(st.none() | WORDS, min_size=1, max_size=20)


def encoded(texts):
    return pa.array(texts, pa.utf8()).dictionary_encode()


@given(st.lists(st.tuples(COLUMN, COLUMN), max_size=4), st.booleans())
def test_a_table_is_the_frame_that_polars_makes(parts, unified):
    """Texts may be in both columns, or known from elsewhere, in any order."""
    schema = pa.schema(
        [
            ("number", pa.uint64()),
            ("one", pa.dictionary(pa.int32(), pa.utf8())),
            ("other", pa.dictionary(pa.int32(), pa.utf8())),
            ("ids", pa.list_(pa.uint64())),
        ]
    )
    batches = []
    for one, other in parts:
        rows = min(len(one), len(other))
        batches.append(
            pa.record_batch(
                [
                    pa.array(range(rows), pa.uint64()),
                    encoded(one[:rows]),
                    encoded(other[:rows]),
                    pa.array([[row] * (row % 3) for row in range(rows)]),
                ],
                schema=schema,
            )
        )
    table = pa.Table.from_batches(batches, schema)
    if unified:
        table = table.unify_dictionaries()
    expected = pl.from_arrow(table)
    found = to_frame(table)
    assert found.schema == expected.schema
    assert found.equals(expected)
