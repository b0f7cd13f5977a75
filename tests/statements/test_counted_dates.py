"""Dates as numbers: days of spreadsheets, milliseconds since 1970; and numbers that spreadsheets cut."""

from __future__ import annotations

import io
from datetime import date

import pytest
from openpyxl import Workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from recon.statements import read
from recon.statements.mapping import Mapping
from recon.statements.model import Hints


def workbook(rows, *, mac=False):
    book = Workbook()
    if mac:
        book.epoch = CALENDAR_MAC_1904
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def days(reading):
    return [each["booking_date"] for each in reading.lines.to_pylist()]


def test_unformatted_days_of_a_workbook_are_dates():
    rows = [["Date", "Text", "Amount"], [46082, "A", -12.5], [date(2026, 3, 2), "B", 46083.25], [46084.5, "C", 3]]
    reading = read(workbook(rows), "a.xlsx", Hints(currency="EUR"))
    assert days(reading) == [date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)]
    assert [each["units"] for each in reading.lines.to_pylist()] == [-1250, 4608325, 300]  # amounts stay what they are
    assert not reading.errors


def test_a_workbook_that_counts_from_1904_says_so():
    rows = [["Date", "Text", "Amount"], [46082 - 1462, "A", -12.5]]
    assert days(read(workbook(rows, mac=True), "a.xlsx", Hints(currency="EUR"))) == [date(2026, 3, 1)]


@pytest.mark.parametrize(
    ("number", "day"),
    [("46082", date(2026, 3, 1)), ("1772323200000", date(2026, 3, 1)), ("1.3.2026", date(2026, 3, 1))],
)
def test_days_and_milliseconds_in_text_files_are_dates_under_a_header_of_dates(number, day):
    reading = read(f"Datum;Text;Betrag\n{number};A;-1,50\n{number};B;2,00\n".encode(), "a.csv", Hints(currency="EUR"))
    assert days(reading) == [day, day]


def test_numbers_are_dates_where_a_mapping_says_so_and_nowhere_else():
    text = b"When it was,Text,Amount\n46082,A,-1.50\n46083,B,2.00\n"
    said = Mapping(columns={"booking_date": ("When it was",), "amount": ("Amount",)})
    assert set(days(read(text, "a.csv", Hints(currency="EUR")))) == {None}
    assert days(read(text, "a.csv", Hints(currency="EUR", mapping=said))) == [
        date(2026, 3, 1),
        date(2026, 3, 2),
    ]


def test_a_number_that_is_no_day_is_an_error_for_all_of_them():
    reading = read(b"Date,Text,Amount\n46082,A,-1.50\n99,B,2.00\n", "a.csv", Hints(currency="EUR"))
    assert [each.line for each in reading.errors] == [2, 3]


def test_references_of_more_digits_than_a_spreadsheet_keeps_are_warned_about_by_row():
    rows = [
        ["Date", "Reference", "Amount"],
        [date(2026, 3, 1), 12345678901234567, -1.5],
        [date(2026, 3, 2), "12345678901234567", -1.5],
        [date(2026, 3, 3), 123456789012345, -1.5],
    ]
    [warning] = read(workbook(rows), "a.xlsx", Hints(currency="EUR")).warnings
    assert (warning.line, warning.column) == (2, "Reference")
    assert "12345678901234570" in warning.message  # that much is left of it
    shown = b"Date,Reference,Amount\n2026-03-02,1.23457E+16,1.00\n2026-03-03,A+2,-2.00\n"
    [warning] = read(shown, "a.csv", Hints(currency="EUR")).warnings
    assert (warning.line, warning.found) == (2, "1.23457E+16")
