"""Large, cleanly quoted files to a table of texts through Arrow's CSV reader: the same cells, thirty times faster.

Whatever this reader could understand differently from the careful one (``cells.rows_of``) is handed back to it.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from recon.statements.tables import Table

_BLOCK: Final = 1 << 24
WORTHWHILE: Final = 256 * 1024
"""Bytes from which on the quick way is taken; below, the careful one is instant."""


def quick_table(data: bytes, names: tuple[str, ...], delimiter: str, skip_lines: int) -> Table | None:
    """The rows after ``skip_lines`` physical lines, or None when the careful reader must look at the file.

    ``data`` is UTF-8. Rows of another width than ``names``, blank lines, lone carriage returns, quotes inside cells
    and spreadsheet wrappers are for the careful reader.
    """
    quoted = b'"' in data
    if _needs_care(data, delimiter, quoted=quoted):
        return None
    data = data.rstrip(b"\r\n") if data.endswith((b"\n\n", b"\r\n\r\n")) else data
    read = _rows(data, names, delimiter, skip_lines, whole_cells=False)
    one_line_each = read is not None and read.num_rows == data.count(b"\n") + (data[-1:] != b"\n") - skip_lines
    if quoted and not one_line_each:
        read = _rows(data, names, delimiter, skip_lines, whole_cells=True)
    if read is None:
        return None
    lines = _lines(read, skip_lines, quoted=quoted and not one_line_each)
    with ThreadPoolExecutor() as threads:  # Arrow lets go of the interpreter: as many columns at a time as cores
        columns = tuple(threads.map(_trimmed, read.columns))
    blank = _blank(columns)
    if blank is None:
        return Table(names, columns, lines)
    filled = pc.invert(blank)
    return Table(names, tuple(column.filter(filled) for column in columns), lines.filter(filled))


def _rows(
    data: bytes, names: tuple[str, ...], delimiter: str, skip_lines: int, *, whole_cells: bool
) -> pa.Table | None:
    """The rows as Arrow reads them, None if it does not.

    Only with ``whole_cells`` is a line end inside quotes surely taken as such; without, blocks are read side by
    side, which is right if there are as many rows as lines.
    """
    try:
        return csv.read_csv(
            pa.py_buffer(data),
            csv.ReadOptions(column_names=names, skip_rows=skip_lines, block_size=_BLOCK),
            csv.ParseOptions(delimiter=delimiter, newlines_in_values=whole_cells, ignore_empty_lines=False),
            csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid:
        return None


def _needs_care(data: bytes, delimiter: str, *, quoted: bool) -> bool:
    mark = re.escape(delimiter)
    if data.startswith(b"\xef\xbb\xbf") or (b"\r" in data and data.count(b"\r") != data.count(b"\r\n")):
        return True
    if not quoted:
        return False
    if b"=" in data and b'="' in data:  # one letter is looked for much faster than two
        return True
    beside = r'[^\r\n"' + mark + "]"  # a quotation mark belongs beside a delimiter, a line end or another one
    stray = r"(?:\A|[\r\n" + mark + r']) +"|' + beside + '"' + beside
    return data.count(b'"') % 2 == 1 or _has(data, stray)


def _has(data: bytes, pattern: str) -> bool:
    """Whether a pattern is found, by Arrow's engine: it looks at each byte once."""
    offsets = pa.array([0, len(data)], pa.int64()).buffers()[1]
    whole = pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(data)])
    return bool(pc.match_substring_regex(whole, pattern)[0].as_py())


def _trimmed(column: pa.ChunkedArray) -> pa.Array:
    return pc.utf8_trim_whitespace(column.combine_chunks())


def _lines(read: pa.Table, skipped: int, *, quoted: bool) -> pa.Array:
    """The physical line each row starts on: line ends inside quoted cells push later rows down."""
    steps = pa.repeat(pa.scalar(1, pa.int64()), read.num_rows)
    if quoted:
        for column in read.columns:
            steps = pc.add(steps, pc.count_substring(column, "\n").combine_chunks())
    return pc.add(pc.subtract(pc.cumulative_sum(steps), steps), skipped + 1)


def _blank(columns: tuple[pa.Array, ...]) -> pa.Array | None:
    """Rows without any text, or None if every row has some."""
    blank = pc.equal(columns[0], "")
    for column in columns[1:]:
        if not pc.any(blank).as_py():
            return None
        blank = pc.and_(blank, pc.equal(column, ""))
    return blank if pc.any(blank).as_py() else None
