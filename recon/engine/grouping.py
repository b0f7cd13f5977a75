"""Which rows belong together: the grouping values of a row as one number."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from recon.rows import MAX_SCALE
from rules.criteria.text import text_keys


def group_numbers(table: pa.Table, claimed: pa.Table | None, names: Sequence[str]) -> tuple[pa.Array, pa.Array]:
    """A number for each row of a table, and for each claimed row, equal where all grouping values are; null where one
    of them is missing."""
    count = table.num_rows
    numbers: pa.Array | None = None
    for name in names:
        values = grouping_column(table, name)
        if claimed is not None:
            others = grouping_column(claimed, name).cast(values.type)
            values = pa.chunked_array([*_chunks(values), *_chunks(others)], type=values.type)
        codes = _numbered(values)
        if numbers is not None:
            many = pc.add(pc.max(codes), 1)
            codes = _numbered(pc.add(pc.multiply(numbers.cast(pa.int64()), many), codes))
        numbers = codes
    if numbers is None:
        raise ValueError("group_numbers needs a name to group by")
    return numbers.slice(0, count), numbers.slice(count)


def _numbered(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    if len(values) == 0:  # which has no dictionary of decimals
        return pa.array([], pa.int32())
    encoded = values.dictionary_encode()
    return (encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded).indices


def _chunks(values: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return values.chunks if isinstance(values, pa.ChunkedArray) else [values]


def grouping_column(table: pa.Table, name: str) -> pa.Array | pa.ChunkedArray:
    """What rows of a group have in common: texts as their keys, dates as days of the zone, amounts by value."""
    if name == "date":
        return table["day"]
    if name == "amount":
        powers = pa.array([10 ** (MAX_SCALE - scale) for scale in range(MAX_SCALE + 1)], pa.decimal128(10, 0))
        return pc.multiply(table["units"].cast(pa.decimal128(19, 0)), powers.take(table["scale"].combine_chunks()))
    column = table["external_id" if name == "id" else name]
    if not pa.types.is_string(column.type):
        return column
    return table[f"{name}_key"] if f"{name}_key" in table.column_names else text_keys(column)
