"""CSV, TSV and their kin in any dialect, also under the name of a spreadsheet."""

from __future__ import annotations

import re
from dataclasses import replace
from mmap import mmap
from typing import Final

from recon.statements.cells import Row, delimiter_of, rows_of
from recon.statements.convert import converted, currency_question
from recon.statements.csv_encoding import decode, is_text
from recon.statements.header import header_of
from recon.statements.mapping import Mapping
from recon.statements.model import Hints, Reading, StatementError
from recon.statements.sniffing import sniffed
from recon.statements.tables import Table, table_of

NAME: Final = "csv"
_NAMES: Final = (".csv", ".tsv", ".txt", ".xls", ".tab")
_SAMPLE_ROWS: Final = 20


def detects(head: bytes, name: str) -> int:
    """Text is a table if nothing surer claims it: the last resort."""
    if not is_text(head):
        return 0
    return 20 if name.lower().endswith(_NAMES) else 10


def read(data: bytes, name: str, hints: Hints) -> Reading:
    """Sniff what the mapping leaves open, then read every row."""
    refuse_long_lines(data, hints.limits.max_line_length)
    wanted = hints.mapping or Mapping()
    text, encoding = decode(data, hints.encoding or wanted.encoding)
    delimiter = wanted.delimiter or delimiter_of(text[:200_000])
    if not text.strip():
        raise StatementError("The file has no content.")
    if delimiter is None:
        raise StatementError.at(
            "The file is text, but no table: no delimiter parts its lines into columns.",
            line=1, found=text.strip().splitlines()[0][:80], expected="values parted by comma, semicolon or tab",
        )  # fmt: skip
    rows = list(rows_of(text.lstrip("\ufeff"), delimiter, hints.limits.max_line_length))
    partial = replace(wanted, delimiter=delimiter, encoding=encoding)
    return read_rows(NAME, rows, partial, hints)


def read_rows(kind: str, rows: list[Row], partial: Mapping, hints: Hints) -> Reading:
    """Rows of cells, from whatever file, to a reading."""
    header = header_of(rows, partial)
    table = table_of(rows, header)
    return read_table(kind, table, partial, hints)


def read_table(kind: str, table: Table, partial: Mapping, hints: Hints) -> Reading:
    """A table to a reading."""
    if table.rows > hints.limits.max_rows:
        limit = hints.limits.max_rows
        raise StatementError.at(
            f"The file has {table.rows:,} rows, more than the limit of {limit:,}.", expected=f"at most {limit:,} rows"
        )
    mapping, questions = sniffed(table, partial, hints)
    statement, errors = converted(table, mapping, hints)
    currency = currency_question(statement.lines)
    return Reading(
        format=kind,
        encoding=partial.encoding,
        statements=(statement,),
        errors=errors,
        mapping=mapping,
        header=table.header,
        sample=tuple(table.cells(row) for row in range(min(table.rows, _SAMPLE_ROWS))),
        questions=questions + ((currency,) if currency else ()),
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
