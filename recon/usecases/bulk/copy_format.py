"""Rows as PostgreSQL's COPY takes them in binary: the server need not read numbers and days from text, nor look at
every letter for what must be quoted. Numpy and Arrow lay the bytes out, a column at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

HEAD: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
TAIL: Final = struct.pack(">h", -1)
"""What the rows stand between; see "Binary Format" in PostgreSQL's description of COPY."""

_NUMBERS: Final = {
    pa.bool_(): ">i1",
    pa.int16(): ">i2",
    pa.int32(): ">i4",
    pa.int64(): ">i8",
    pa.date32(): ">i4",
    pa.timestamp("us", tz="UTC"): ">i8",
}
_DAYS: Final = 10_957
_MICROSECONDS: Final = _DAYS * 86_400_000_000
"""From 1970, where Arrow counts from, to 2000, where PostgreSQL does."""


Numbers = npt.NDArray[Any]


def in_copy_order(table: pa.Table) -> pa.Table:
    """The columns in the order that `binary_rows` is quickest with: what has a fixed width in all rows comes first."""
    fixed = [name for name in table.column_names if _is_fixed(table[name])]
    return table.select([*fixed, *(name for name in table.column_names if name not in fixed)])


def binary_rows(table: pa.Table) -> memoryview:
    """Rows as bytes: each row the number of its columns and, for each of these, its width and value.

    The types must be those of the columns in the database, for the server takes the bytes as they are.
    """
    if not table.num_rows:
        return memoryview(b"")
    names = table.column_names
    fixed = next((place for place, name in enumerate(names) if not _is_fixed(table[name])), len(names))
    parts = [_fixed_columns(table.select(names[:fixed]), table.num_rows, len(names))]
    for name in names[fixed:]:
        parts += _varying_column(table[name])
    if len(parts) == 1:
        return memoryview(parts[0].buffers()[2])
    rows = pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.large_binary()))
    return memoryview(rows.buffers()[2])


def _is_fixed(column: pa.ChunkedArray) -> bool:
    return column.type in _NUMBERS and not column.null_count


def _fixed_columns(table: pa.Table, rows: int, columns: int) -> pa.Array:
    """The beginnings of rows: the number of their columns, then widths and values of those that have no nulls."""
    layout = [("columns", ">i2")]
    for place, column in enumerate(table.columns):
        layout += [(f"width_{place}", ">i4"), (f"value_{place}", _NUMBERS[column.type])]
    made = np.empty(rows, np.dtype(layout))
    made["columns"] = columns
    for place, column in enumerate(table.columns):
        made[f"width_{place}"] = made.dtype[f"value_{place}"].itemsize
        made[f"value_{place}"] = _numbers(column.combine_chunks())
    return _as_bytes(made)


def _varying_column(column: pa.ChunkedArray) -> Iterator[pa.Array]:
    """Widths, -1 where there is nothing, and values: texts, and numbers that some rows lack."""
    whole = column.combine_chunks()
    if whole.type in _NUMBERS:
        values = _as_bytes(_numbers(whole).astype(_NUMBERS[whole.type]))
        values = pc.if_else(pc.is_valid(whole), values, pa.scalar(b"", pa.large_binary()))
    else:
        values = pc.fill_null(whole.cast(pa.large_string()).cast(pa.large_binary()), b"")
    widths = pc.binary_length(values).to_numpy(zero_copy_only=False).astype(">i4")
    if whole.null_count:
        widths[pc.is_null(whole).to_numpy(zero_copy_only=False)] = -1
    yield _as_bytes(widths)
    yield values


def _numbers(column: pa.Array) -> Numbers:
    """What the server counts in; anything where there is nothing."""
    since = 0
    if pa.types.is_date(column.type):
        column, since = column.cast(pa.int32()), _DAYS
    elif pa.types.is_timestamp(column.type):
        column, since = column.cast(pa.int64()), _MICROSECONDS
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values: Numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
    return values - values.dtype.type(since) if since else values


def _as_bytes(values: Numbers) -> pa.Array:
    """An array of numpy as an Arrow array of equally long bytes, without copying."""
    width = values.dtype.itemsize
    offsets = np.arange(0, (len(values) + 1) * width, width, dtype=np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(values.view(np.uint8))]
    return pa.Array.from_buffers(pa.large_binary(), len(values), buffers)
