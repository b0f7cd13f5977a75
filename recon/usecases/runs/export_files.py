"""A run's results as files: CSV in pieces that stream, XLSX written row by row."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import IO, Any

import xlsxwriter

from recon.models import MatchingRun
from recon.usecases.runs.exporting import MATCH_HEADER, UNMATCHED_HEADER, Cell, match_rows, neutral, unmatched_rows

XLSX_ROWS = 1_048_576
"""Rows of a worksheet, by the format; what is beyond goes to another sheet."""

EXACT_DIGITS = 15
"""A spreadsheet's number is a binary double: beyond this it would round, so that such an amount is written as text."""


class Line:
    """A file for `csv.writer` that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def matches_csv(run: MatchingRun) -> Iterator[str]:
    """All matches of a run as CSV."""
    return csv_lines(MATCH_HEADER, match_rows(run))


def unmatched_csv(run: MatchingRun) -> Iterator[str]:
    """All rows a run left open as CSV."""
    return csv_lines(UNMATCHED_HEADER, unmatched_rows(run))


def workbook(run: MatchingRun) -> IO[bytes]:
    """Matches and unmatched rows of a run as one workbook, in a temporary file that is closed by whoever reads it."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  the reader closes it
    write_workbook(file, run)
    file.seek(0)
    return file


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    writer = csv.writer(Line())
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow([plain(neutral(cell)) for cell in row])


def plain(cell: Cell) -> Cell:
    """Decimals without an exponent."""
    return f"{cell:f}" if isinstance(cell, Decimal) else cell


def write_workbook(file: IO[bytes], run: MatchingRun) -> None:
    """Two kinds of sheets, each row written out before the next is read."""
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(file, options) as book:
        amount = book.add_format({"num_format": "#,##0.00########"})
        write_sheets(book, "Matches", MATCH_HEADER, match_rows(run), amount)
        write_sheets(book, "Unmatched", UNMATCHED_HEADER, unmatched_rows(run), amount)


def write_sheets(book: Any, name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]], amount: Any) -> None:
    sheet, sheets, at = new_sheet(book, name, header), 1, 1
    for row in rows:
        if at == XLSX_ROWS:
            sheets += 1
            sheet, at = new_sheet(book, f"{name} {sheets}", header), 1
        for column, cell in enumerate(row):
            write_cell(sheet, at, column, neutral(cell), amount)
        at += 1


def new_sheet(book: Any, name: str, header: Sequence[str]) -> Any:
    sheet = book.add_worksheet(name)
    sheet.freeze_panes(1, 0)
    sheet.write_row(0, 0, header)
    return sheet


def write_cell(sheet: Any, row: int, column: int, cell: Cell, amount: Any) -> None:
    if isinstance(cell, Decimal):
        if len(cell.as_tuple().digits) <= EXACT_DIGITS:
            sheet.write_number(row, column, cell, amount)
        else:
            sheet.write_string(row, column, f"{cell:f}")
    elif isinstance(cell, int):
        sheet.write_number(row, column, cell)
    elif cell:
        sheet.write_string(row, column, cell)
