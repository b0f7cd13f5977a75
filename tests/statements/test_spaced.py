"""Columns that stand below each other, parted by spaces."""

from __future__ import annotations

from datetime import date

import pytest

from recon.statements import read
from recon.statements.mapping import Mapping
from recon.statements.model import Hints, StatementError

ALIGNED = """Statement of account   DE02120300000000202051

Date        Description                Paid out     Paid in      Balance
02/01/2024  Opening shop, rent            12.50                   987.50
13/01/2024  Salary ACME Ltd                         1,000.00    1,987.50
14/01/2024  A text: with marks, two      100.00                 1,887.50
"""
RAGGED = """Date  Description  Amount
2024-01-02  Opening shop, rent  -12.50
2024-01-13  Salary  1,000.00
2024-01-14  A rather longer text, which shifts what follows  -100.00
"""


def test_aligned_columns_keep_their_empty_cells():
    reading = read(ALIGNED.encode(), "list.txt")
    assert reading.lines["units"].to_pylist() == [-1250, 100000, -10000]
    assert reading.lines["booking_date"].to_pylist() == [date(2024, 1, 2), date(2024, 1, 13), date(2024, 1, 14)]
    assert reading.lines["description"].to_pylist()[2] == "A text: with marks, two"
    assert reading.statements[0].balance_check() == "ok"
    assert reading.errors == ()


@pytest.mark.parametrize("hints", [Hints(), Hints(mapping=Mapping(delimiter=" "))])
def test_columns_that_are_not_aligned_are_taken_by_their_order(hints):
    reading = read(RAGGED.encode(), "list.txt", hints)
    assert reading.lines["units"].to_pylist() == [-1250, 100000, -10000]
    assert reading.mapping
    assert reading.mapping.delimiter == " "


def test_a_delimited_file_with_padded_cells_stays_delimited():
    text = "Date      ;  Text    ;  Amount\n2024-01-02;  A  B    ;   -12,50\n2024-01-13;  C  D    ;  1000,00\n"
    reading = read(text.encode(), "list.csv")
    assert reading.mapping
    assert reading.mapping.delimiter == ";"
    assert reading.lines["description"].to_pylist() == ["A  B", "C  D"]


def test_prose_is_no_table():
    with pytest.raises(StatementError, match="no delimiter"):
        read(b"Dear customer\nyour statement is ready\n", "letter.txt")
    with pytest.raises(StatementError, match="No columns parted by spaces"):
        read(b"Dear customer\nyour statement is ready\n", "letter.txt", Hints(mapping=Mapping(delimiter=" ")))
