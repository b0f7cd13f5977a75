"""CSV, TSV and their kin in any dialect, also under the name of a spreadsheet."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from mmap import mmap
from typing import Final

from recon.statements.cells import Row, delimiter_of, rows_of
from recon.statements.convert import converted, missing_questions
from recon.statements.counted_dates import DAY_ZERO, with_counted_dates
from recon.statements.csv_encoding import UTF8, decode, encoding_of, is_text
from recon.statements.csv_quick import WORTHWHILE, quick_table
from recon.statements.derived import with_derived_dates
from recon.statements.header import header_of
from recon.statements.inexact import shortened
from recon.statements.labelled import labelled_rows
from recon.statements.mapping import Mapping
from recon.statements.model import Hints, Reading, StatementError
from recon.statements.pairs import doubted_pair
from recon.statements.sniffing import sniffed
from recon.statements.spaced import SPACES, is_spaced, spaced_rows
from recon.statements.tables import Table, table_of

NAME: Final = "csv"
_NAMES: Final = (".csv", ".tsv", ".txt", ".xls", ".tab")
SAMPLE_ROWS: Final = 20
"""So many rows are shown with a reading."""

_IIF: Final = ("!TRNS\t", "!HDR\t", "!ACCNT\t")
_QUICK: Final = ("ascii", *UTF8)
HEAD_BYTES: Final = 64 * 1024
"""How much of a large file is looked at to find its dialect."""


def detects(head: bytes, name: str) -> int:
    """Text is a table if nothing surer claims it: the last resort."""
    if not is_text(head):
        return 0
    return 20 if name.lower().endswith(_NAMES) else 10


def read(data: bytes, name: str, hints: Hints) -> Reading:
    """Sniff what the mapping leaves open, then read every row."""
    refuse_long_lines(data, hints.limits.max_line_length)
    wanted = hints.mapping or Mapping()
    encoding = hints.encoding or wanted.encoding or encoding_of(data)
    if wanted.delimiter is None and _is_wrapped(data):
        data = b"\n".join(map(_unwrapped, data.splitlines()))
    if len(data) >= WORTHWHILE and encoding in _QUICK and (reading := _read_quickly(data, encoding, wanted, hints)):
        return reading
    text = decode(data, encoding)
    if text.lstrip("\ufeff \r\n").startswith(_IIF):
        raise StatementError.at(
            "This is an IIF file of QuickBooks, in which one entry has several lines that cancel out. Export the"
            " account's register as CSV, or as QBO.",
            line=1,
            found=text.split("\n", 1)[0][:40],
            expected="a line for each transaction",
        )
    if wanted.delimiter is None and (blocks := labelled_rows(text.lstrip("\ufeff"))):
        return read_rows(NAME, blocks, replace(wanted, encoding=encoding), hints)
    delimiter = _delimiter(text, wanted)
    if delimiter == SPACES:
        rows = spaced_rows(text.lstrip("\ufeff"))
    else:
        rows = list(rows_of(text.lstrip("\ufeff"), delimiter, hints.limits.max_line_length))
    return read_rows(NAME, rows, replace(wanted, delimiter=delimiter, encoding=encoding), hints)


def _is_wrapped(data: bytes) -> bool:
    """Whether every row is one quoted cell with the row in it, as spreadsheets save a file they did not part."""
    first = [line.strip() for line in data[:HEAD_BYTES].splitlines()[:SAMPLE_ROWS]]
    whole = all(_WRAPPED.fullmatch(line) for line in first if line)
    return whole and any(b'""' in line and delimiter_of(_unwrapped(line).decode("latin-1")) for line in first)


def _unwrapped(line: bytes) -> bytes:
    return line.strip()[1:-1].replace(b'""', b'"')


_WRAPPED: Final = re.compile(rb'"(?:[^"]|"")*"')


def _read_quickly(data: bytes, encoding: str, wanted: Mapping, hints: Hints) -> Reading | None:
    """The reading of a large clean file, its beginning looked at carefully; None if all of it needs care."""
    head = data[: data.rfind(b"\n", 0, HEAD_BYTES) + 1]
    text = head.decode(errors="replace") if encoding in UTF8 else decode(head, encoding)
    delimiter = _delimiter(text, wanted)
    if delimiter == SPACES:
        return None
    rows = list(rows_of(text.lstrip("\ufeff"), delimiter, hints.limits.max_line_length))[:-1]
    partial = replace(wanted, delimiter=delimiter, encoding=encoding)
    header = header_of(rows, partial)
    beginning = table_of(rows, header)
    if not beginning.rows or _width(rows, header) != len(beginning.header):
        return None
    first = beginning.lines[0].as_py()
    table = quick_table(data, beginning.header, delimiter, first - 1)
    if table is None:
        return None
    table = replace(table, above=beginning.above, header_line=beginning.header_line, named=beginning.named)
    return read_table(NAME, table, partial, hints)


def _width(rows: list[Row], header: Row | None) -> int:
    """Cells of the first row that is data."""
    return next((len(row.cells) for row in rows if not row.blank and (not header or row.line > header.line)), 0)


def _delimiter(text: str, wanted: Mapping) -> str:
    head = text[:HEAD_BYTES]
    delimiter = wanted.delimiter or (SPACES if is_spaced(head) else delimiter_of(head))
    if not text.strip():
        raise StatementError("The file has no content.")
    if delimiter is None:
        raise StatementError.at(
            "The file is text, but no table: no delimiter parts its lines into columns.",
            line=1,
            found=text.strip().splitlines()[0][:80],
            expected="values parted by comma, semicolon, tab or two spaces",
        )
    return delimiter


def read_rows(kind: str, rows: list[Row], partial: Mapping, hints: Hints, day_zero: date = DAY_ZERO) -> Reading:
    """Rows of cells, from whatever file, to a reading. From `day_zero` a spreadsheet counts its days."""
    header = header_of(rows, partial)
    table = table_of(rows, header)
    return read_table(kind, table, partial, hints, day_zero)


def read_table(kind: str, table: Table, partial: Mapping, hints: Hints, day_zero: date = DAY_ZERO) -> Reading:
    """A table to a reading."""
    if table.rows > hints.limits.max_rows:
        limit = hints.limits.max_rows
        raise StatementError.at(
            f"The file has {table.rows:,} rows, more than the limit of {limit:,}.", expected=f"at most {limit:,} rows"
        )
    table = with_derived_dates(with_counted_dates(table, partial, day_zero))
    sample = tuple(table.cells(row) for row in range(min(table.rows, SAMPLE_ROWS)))
    try:
        mapping, questions = sniffed(table, partial, hints)
    except StatementError as error:
        error.header, error.sample = table.header, sample
        raise
    statement, errors = converted(table, mapping, hints)
    return Reading(
        format=kind,
        encoding=partial.encoding,
        statements=(statement,),
        errors=errors,
        mapping=mapping,
        header=table.header,
        sample=sample,
        questions=questions + missing_questions(table, mapping, statement.lines),
        warnings=(*shortened(table, mapping), *doubted_pair(table, mapping, partial, hints)),
    )


def refuse_long_lines(data: bytes | mmap, limit: int) -> None:
    """Refuse a physical line longer than the limit, without copying it. Raises StatementError."""
    end = b"\n" if b"\n" in data[: 4 * limit] else b"\r"
    start = 0
    while len(data) - start > limit:
        stop = data.rfind(end, start, start + limit)
        if stop < 0:
            line = sum(1 for _ in re.finditer(end, data[:start])) + 1
            message = f"Line {line:,} is longer than {limit:,} bytes."
            raise StatementError.at(message, line=line, expected=f"lines of at most {limit:,} bytes")
        start = stop + 1
