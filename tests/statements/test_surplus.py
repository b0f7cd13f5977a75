"""An amount that a file does not quote falls apart at its comma; it is never read as what stands before that."""

from __future__ import annotations

import pytest

from recon.statements import read
from recon.statements.model import Hints, RowError
from recon.statements.repair import reread

HEADER = "Date,Details,Amount,Balance\n"


def reading(*rows: str, header: str = HEADER):
    return read((header + "".join(f"{row}\n" for row in rows)).encode(), "bank.csv", Hints(currency="USD"))


def told(found):
    return [(error.line, error.column) for error in found.errors]


def test_a_row_with_a_cell_too_many_is_an_error_that_says_why():
    found = reading("2026-02-13,DEP,2,000.00,7", "2026-02-14,DEP,5.00,7.00", "2026-02-15,DEP,6.00,13.00")
    [error] = found.errors
    assert error.message == (
        "Line 2, column 5: found '7', expected nothing behind the last column; "
        "a “,” inside a cell needs quotation marks around it."
    )
    assert found.statements[0].lines.num_rows == 2


def test_amounts_that_all_fell_apart_are_all_errors():
    assert told(reading("2026-02-13,DEP,2,000.00,7", "2026-02-14,DEP,-1,500,7")) == [(2, "column 5"), (3, "column 5")]


@pytest.mark.parametrize(
    "rows",
    [
        ["2026-02-13,DEP,2.00,7.00,", "2026-02-14,DEP,5.00,12.00,,"],  # delimiters at the end
        ["2026-02-13,DEP,2.00,7.00,note", "2026-02-14,DEP,5.00,12.00,note"],  # the header lacks a name
    ],
    ids=["empty", "all"],
)
def test_cells_that_are_empty_or_that_most_rows_have_are_no_error(rows):
    found = reading(*rows)
    assert not found.errors
    assert found.statements[0].lines.num_rows == 2


def test_such_a_row_is_not_repaired_by_leaving_it_as_it_is():
    found = reading("2026-02-13,DEP,2,000.00,7", "2026-02-14,DEP,5.00,7.00")
    cells, hints = found.errors[0].cells or {}, Hints(currency="USD")
    assert isinstance(reread(cells, found.mapping, hints), RowError)
    mended = reread({**cells, "Amount": "2,000.00", "Balance": "7", "column 5": ""}, found.mapping, hints)
    assert not isinstance(mended, RowError)
    assert mended.lines["units"].to_pylist() == [200_000]


def test_an_amount_parted_by_its_own_comma_is_an_error_without_a_header_too():
    found = read(b"13/01/2026,STORE,-25.00\n14/01/2026,ANN,1,100.00\n15/01/2026,BEA,3.00\n", "a.csv")
    assert found.statements[0].lines["units"].to_pylist() == [-2500, 300]
    assert [(error.line, error.found) for error in found.errors] == [(2, "100.00")]
