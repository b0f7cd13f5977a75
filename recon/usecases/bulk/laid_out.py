"""Rows as a small database of SQLite's, from which one statement takes them to where they belong.

Python hands SQLite each value as an object of its own, which takes longer than all that SQLite does with it. Numpy and
Arrow lay the rows out as SQLite keeps a table (https://www.sqlite.org/fileformat.html), and SQLite reads that: it
converts, checks and indexes each row like any other. Every number takes eight bytes here and every size as many as
the largest would need, which SQLite takes as well as its own shortest form.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count, pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

TABLE: Final = "rows"

PAGE: Final = 65_536
MOST_ROWS: Final = 1 << 20
"""So many ids fit into three bytes."""

LONGEST_TEXT: Final = 8_000
LONGEST_ROW: Final = 65_000
MOST_BYTES: Final = 256 << 20
"""Bytes: of a text whose size fits into two, of a row that fits into a page, and of rows that may be in memory three
times at once."""

MOST_LEAVES: Final = (PAGE - 12) // 9
"""So many pages fit under one, with two bytes of each that say where it stands there and seven that say what it is."""

MOST_COLUMNS: Final = 63
"""What their values are takes two bytes of each, and how many bytes that are is said in one, of seven bits."""

_LONGEST_ALIKE: Final = 57
"""Bytes of texts of equal size whose size takes one byte."""

_NUMBER: Final = 6
"""What SQLite calls a number of eight bytes."""

Numbers = npt.NDArray[Any]


def as_database(rows: pa.Table) -> memoryview | None:
    """The bytes of a database whose table ``rows`` has the columns and rows of this one. None if a column holds
    something else than whole numbers and texts, a row is too long, or there are no rows or too many."""
    if not 0 < rows.num_rows <= MOST_ROWS or rows.num_columns > MOST_COLUMNS or rows.nbytes > MOST_BYTES:
        return None
    if not all(_can_be_laid_out(kind) for kind in rows.schema.types):
        return None
    columns = {name: _Column(column) for name, column in zip(rows.column_names, rows.columns, strict=True)}
    if max(each.longest for each in columns.values()) > LONGEST_TEXT:
        return None
    in_order = sorted(columns, key=lambda name: columns[name].alike is None)  # what is equally wide comes first
    cells, ends = _cells([columns[name] for name in in_order], rows.num_rows)
    if int(np.diff(ends).max()) > LONGEST_ROW:
        return None
    bounds = list(_bounds(ends))
    if len(bounds) - 1 > MOST_LEAVES:
        return None
    return _pages(_first_page(tuple(in_order)), cells, ends, bounds)


def _can_be_laid_out(kind: pa.DataType) -> bool:
    """Not what Arrow would make numbers of though it is none: 123 of 00123 in a large text or a dictionary."""
    return any(
        test(kind) for test in (pa.types.is_string, pa.types.is_integer, pa.types.is_boolean, pa.types.is_null)
    ) and not pa.types.is_uint64(kind)


class _Column:
    """A column's values as SQLite writes them: equally many bytes each, or as many as each takes."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        values = column.combine_chunks()
        self.code = 0  # what all of them are, if they are equally wide
        self.alike: Numbers | None = None
        if pa.types.is_string(values.type):
            self._of_texts(values)
        else:
            self._of_numbers(values)

    def _of_texts(self, texts: pa.Array) -> None:
        widths = _widths(texts)
        self.longest = int(widths.max())
        if not texts.null_count and widths.min() == self.longest and 0 < self.longest <= _LONGEST_ALIKE:
            self.code, self.alike = 13 + 2 * self.longest, _bytes_of(texts).view(f"V{self.longest}")
            return
        self.codes = 13 + 2 * widths
        if texts.null_count:
            self.codes[pc.is_null(texts).to_numpy(zero_copy_only=False)] = 0
        self.values = pc.fill_null(texts.cast(pa.binary()), b"")

    def _of_numbers(self, numbers: pa.Array) -> None:
        self.longest = 8
        wide = numbers.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False).astype(">i8")
        if not numbers.null_count:
            self.code, self.alike = _NUMBER, wide
            return
        valid = pc.is_valid(numbers)
        self.codes = np.where(valid.to_numpy(zero_copy_only=False), _NUMBER, 0)
        self.values = pc.if_else(valid, _as_bytes(wide), b"")


def _cells(columns: Sequence[_Column], rows: int) -> tuple[Numbers, Numbers]:
    """The rows one after the other, each with its size, its id and what its values are in front, and where each
    begins, and the last one ends."""
    alike = [(each.code, each.alike) for each in columns if each.alike is not None]
    varied = [each for each in columns if each.alike is None]
    head = 1 + len(alike) + 2 * len(varied)
    layout = [("size", "u1"), ("size_rest", ">u2"), ("id", "u1"), ("id_rest", ">u2"), ("head", "u1")]
    layout += [(f"code_{place}", "u1") for place in range(len(alike))]
    layout += [(f"codes_{place}", ">u2") for place in range(len(varied))]
    layout += [(f"value_{place}", values.dtype.str) for place, (_, values) in enumerate(alike)]
    made = np.empty(rows, np.dtype(layout))
    widths = np.full(rows, made.dtype.itemsize - 6)
    for place, (code, values) in enumerate(alike):
        made[f"code_{place}"], made[f"value_{place}"] = code, values
    for place, each in enumerate(varied):
        made[f"codes_{place}"] = _in_two(each.codes)
        widths += _widths(each.values)
    made["head"] = head
    for name, numbers in (("size", widths), ("id", np.arange(1, rows + 1))):
        made[name], made[f"{name}_rest"] = (numbers >> 14) | 0x80, _in_two(numbers & 0x3FFF) | 0x8000
    if not varied:
        return made.view(np.uint8), np.arange(rows + 1, dtype=np.int64) * made.dtype.itemsize
    whole = pc.binary_join_element_wise(_as_bytes(made), *(each.values for each in varied), b"")
    return _bytes_of(whole), _offsets(whole).astype(np.int64)


def _in_two(numbers: Numbers) -> Numbers:
    """Numbers below 16,384 as SQLite writes sizes, in two bytes: seven bits each, the first byte with a mark."""
    return ((numbers >> 7) << 8) | 0x8000 | (numbers & 0x7F)


def _pages(first: bytes, cells: Numbers, ends: Numbers, bounds: list[int]) -> memoryview:
    """The first page, the table's root, and its leaves."""
    leaves = len(bounds) - 1
    root = 2 if leaves > 1 else 1
    pages = np.zeros((root + leaves, PAGE), np.uint8)
    pages[0] = np.frombuffer(first, np.uint8)
    pages[0, 28:32] = _in_bytes([len(pages)], ">u4")
    if leaves > 1:
        _fill_root(pages[1], bounds)
    for page, (start, end) in zip(pages[root:], pairwise(bounds), strict=True):
        _fill_leaf(page, cells[ends[start] : ends[end]], ends[start:end] - ends[start])
    return pages.reshape(-1).data


def _bounds(ends: Numbers) -> Iterator[int]:
    """Which row each leaf begins with, and at last how many rows there are."""
    taken = ends + 2 * np.arange(len(ends))
    start, rows = 0, len(ends) - 1
    while start < rows:
        yield start
        start = int(np.searchsorted(taken, taken[start] + PAGE - 8, "right")) - 1
    yield rows


def _fill_leaf(page: Numbers, cells: Numbers, starts: Numbers) -> None:
    body = PAGE - len(cells)
    page[0] = 0x0D
    page[3:7] = _in_bytes([len(starts), body], ">u2")
    page[8 : 8 + 2 * len(starts)].view(">u2")[:] = starts + body
    page[body:] = cells


def _fill_root(page: Numbers, bounds: list[int]) -> None:
    """One page above the leaves: for each of them its number and its last id."""
    leaves = len(bounds) - 1
    made = np.empty(leaves - 1, np.dtype([("leaf", ">u4"), ("id", "u1"), ("id_rest", ">u2")]))
    ids = np.array(bounds[1:-1])
    made["leaf"] = np.arange(3, leaves + 2)
    made["id"], made["id_rest"] = (ids >> 14) | 0x80, _in_two(ids & 0x3FFF) | 0x8000
    body = PAGE - made.nbytes
    page[0] = 0x05
    page[3:7] = _in_bytes([len(made), body], ">u2")
    page[8:12] = _in_bytes([leaves + 2], ">u4")
    page[12 : 12 + 2 * len(made)].view(">u2")[:] = body + made.itemsize * np.arange(len(made))
    page[body:] = made.view(np.uint8)


def _in_bytes(numbers: Sequence[int], kind: str) -> Numbers:
    return np.array(numbers, kind).view(np.uint8)


@lru_cache(maxsize=64)
def _first_page(names: tuple[str, ...]) -> bytes:
    """SQLite's own, of a database with such a table in it, and a number (the "schema cookie") that no other has: by
    that a connection whose database is exchanged sees that its statements were meant for other columns."""
    with sqlite3.connect(":memory:") as own:
        own.execute(f"PRAGMA page_size = {PAGE}")
        columns = ", ".join(f'"{name}"' for name in names)
        own.execute(f"CREATE TABLE {TABLE} ({columns})")
    made = bytearray(own.serialize()[:PAGE])
    own.close()
    made[20] = 0  # some builds keep bytes free at the end of each page, Apple's for example
    made[40:44] = next(_layouts).to_bytes(4, "big")  # a "defensive" SQLite ignores the pragma that would set it
    return bytes(made)


_layouts = count(1_000)


# --- Arrow ------------------------------------------------------------------------------------------------------


def _offsets(values: pa.Array) -> Numbers:
    return np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]


def _widths(values: pa.Array) -> Numbers:
    return np.diff(_offsets(values)).astype(np.int64)


def _bytes_of(values: pa.Array) -> Numbers:
    offsets, held = _offsets(values), values.buffers()[2]
    return np.frombuffer(held, np.uint8)[offsets[0] : offsets[-1]] if held else np.empty(0, np.uint8)


def _as_bytes(values: Numbers) -> pa.Array:
    """An array of numpy as an Arrow array of equally long bytes, without copying."""
    width = values.dtype.itemsize
    offsets = np.arange(0, (len(values) + 1) * width, width, dtype=np.int32)
    return pa.Array.from_buffers(
        pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(values.view(np.uint8))]
    )
