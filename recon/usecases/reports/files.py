"""Reports as files: the rows behind them as CSV, and all of a day's report as a workbook."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import date
from typing import IO, Final

import xlsxwriter

from recon.models import Account, Side
from recon.usecases.reports.as_at import RowsAsAt, every_row
from recon.usecases.reports.differences import differences_by
from recon.usecases.reports.figures import Bucket, Month, TieOut, ageing, day_sums, months, tie_out
from recon.usecases.reports.overview import AGES
from recon.usecases.runs.export_files import csv_lines, write_sheets
from recon.usecases.runs.exporting import Cell

ROW_HEADER: Final = (
    "side", "id", "date", "age", "currency", "amount", "reference", "description", "counterparty",
)  # fmt: skip
DIFFERENCE_HEADER: Final = ("cleared on", "match", "type", "currency", "amount", "comment")
MONTH_HEADER: Final = (
    "from", "until", "lines", "lines matched", "lines open", "entries", "entries matched", "entries open",
)  # fmt: skip
STEP_WORDS: Final = {
    "lines": "Lines of the statements",
    "open_lines": "On the statements, not in the books",
    "open_entries": "In the books, not on the statements yet",
    "differences": "Differences that matches left: fees, rounding and the like",
    "later": "On the statements already, in the books only later",
}


def rows_csv(wanted: RowsAsAt) -> Iterator[str]:
    """The rows behind a figure."""
    return csv_lines(ROW_HEADER, row_cells(wanted))


def report_workbook(account: Account, day: date) -> IO[bytes]:
    """The report with the rows behind it, in a temporary file that is closed by whoever reads it."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  the reader closes it
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(file, options) as book:
        amount = book.add_format({"num_format": "#,##0.00########"})
        for name, header, rows in sheets(account, day):
            write_sheets(book, name, header, rows, amount)
    file.seek(0)
    return file


def sheets(account: Account, day: date) -> Iterator[tuple[str, Sequence[str], Iterator[Sequence[Cell]]]]:
    """Name, header and rows of each sheet."""
    sums = day_sums(account, day)
    ties = tie_out(account, day, sums)
    yield "Reconciliation", ("currency", "", "items", "balance", "rows"), statement_cells(ties, day)
    yield "Ageing", ("side", "currency", "age", "items", "net", "value"), ageing_cells(ageing(account, day, sums))
    yield "By month", MONTH_HEADER, month_cells(months(account, day, sums))
    yield "Open on statements", ROW_HEADER, row_cells(RowsAsAt(account, Side.STATEMENT, day))
    yield "Open in ledger", ROW_HEADER, row_cells(RowsAsAt(account, Side.LEDGER, day))
    yield "Differences", DIFFERENCE_HEADER, difference_cells(account, day)


def statement_cells(ties: Sequence[TieOut], day: date) -> Iterator[Sequence[Cell]]:
    for tie in ties:
        for step in tie.steps:
            yield tie.currency, STEP_WORDS[step.name], step.count, step.balance, step.rows
        yield tie.currency, "The books should show", None, tie.adjusted, tie.expected
        yield tie.currency, f"Ledger entries in scope by {day}", tie.counts.get("books", 0), None, tie.books
        yield tie.currency, "Unexplained", None, None, tie.unexplained
        yield tie.currency, "Ties out" if tie.ties else "Does not tie out", None, None, None


def ageing_cells(buckets: Sequence[Bucket]) -> Iterator[Sequence[Cell]]:
    names = {key: name for key, name, _, _ in AGES}
    for each in buckets:
        yield each.side.label, each.currency, names.get(each.age, "no date"), each.count, each.net, each.value


def month_cells(rows: Sequence[Month]) -> Iterator[Sequence[Cell]]:
    for month in rows:
        yield (
            in_iso(month.since), in_iso(month.until),
            month.lines.count, month.lines.matched, month.lines.open,
            month.entries.count, month.entries.matched, month.entries.open,
        )  # fmt: skip


def row_cells(wanted: RowsAsAt) -> Iterator[Sequence[Cell]]:
    for shown in every_row(wanted):
        row = shown.row
        yield (
            shown.side.label, row.external_id or str(row.pk), in_iso(row.booking_date), shown.age, row.currency,
            shown.amount, row.reference, row.description, row.counterparty,
        )  # fmt: skip


def difference_cells(account: Account, day: date) -> Iterator[Sequence[Cell]]:
    for each in differences_by(account, day).order_by("pk").iterator(chunk_size=1000):
        yield in_iso(each.cleared_on), each.match_id, each.type, each.currency, each.amount, each.comment  # type: ignore[attr-defined]


def in_iso(day: date | None) -> str:
    return day.isoformat() if day else ""
