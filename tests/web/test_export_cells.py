"""What a bank wrote runs in no spreadsheet, and what is a number stays one."""

from __future__ import annotations

import io
from decimal import Decimal

import openpyxl
import pytest
import xlsxwriter

from recon.usecases.runs.export_files import csv_lines, write_cell
from recon.usecases.runs.exporting import Cell, neutral

FORMULAS = ["=1+1", "+49 30 1234", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "＝1+1", "＠x"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_starts_like_a_formula_is_a_text(text):
    assert neutral(text) == f"'{text}"
    assert next(iter(csv_lines(["reference"], [[text]]))) == "reference\r\n"
    (_, line) = csv_lines(["reference"], [[text]])
    assert line.strip('"').startswith("'")


OTHERS: list[Cell] = ["INV-1", "5-3=2", "", None, 7, Decimal("-12.50"), Decimal("1E+3")]


@pytest.mark.parametrize("cell", OTHERS)
def test_everything_else_stays_as_it_is(cell: Cell):
    assert neutral(cell) == cell


def test_a_negative_amount_is_a_number_in_both_kinds_of_files():
    (_, line) = csv_lines(["amount"], [[Decimal("-12.50")]])
    assert line == "-12.50\r\n"
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"strings_to_formulas": False}) as book:
        sheet = book.add_worksheet()
        written: list[Cell] = [Decimal("-12.50"), *FORMULAS]
        for row, cell in enumerate(written):
            write_cell(sheet, row, 0, neutral(cell), None)
    cells = [row[0] for row in openpyxl.load_workbook(file).active.iter_rows()]
    assert (cells[0].value, cells[0].data_type) == (-12.5, "n")
    assert {cell.data_type for cell in cells[1:]} == {"s"}
