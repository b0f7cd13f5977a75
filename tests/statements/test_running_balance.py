"""A running balance gives opening and closing, however its rows are sorted and its numbers written."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon.statements import read
from recon.statements.proof import share_of_steps, step_share

SMALL = st.integers(-3, 3)


@pytest.mark.random
@given(st.lists(st.tuples(SMALL, SMALL), max_size=12), st.booleans())
def test_steps_of_whole_columns_are_counted_as_one_by_one(rows, newest_first):
    moves, balances = ([row[place] for row in rows] for place in (0, 1))
    at_once = share_of_steps(pa.array(moves, pa.int64()), pa.array(balances, pa.int64()), newest_first=newest_first)
    one_by_one = step_share(list(map(Decimal, moves)), list(map(Decimal, balances)), newest_first=newest_first)
    assert at_once == one_by_one


OLDEST_FIRST = ["2026-01-05,A,-5.00,95.00", "2026-01-06,B,7.00,102.00", "2026-01-07,C,-2.00,100.00"]


@pytest.mark.parametrize("rows", [OLDEST_FIRST, OLDEST_FIRST[::-1], [row + "0" for row in OLDEST_FIRST]])
@pytest.mark.parametrize("places", ["", "5"])  # all rows at the scale of the currency, and one at another
def test_opening_and_closing_are_those_of_the_first_and_the_last_day(rows, places):
    text = "\n".join(["Date,Text,Amount,Balance", *rows]).replace("-5.00", f"-5.00{places}")
    opening = Decimal("100.000") + (Decimal("0.005") if places else 0)
    [statement] = read(text.encode(), "a.csv").statements
    found = {balance.kind: (balance.amount, str(balance.date)) for balance in statement.balances}
    assert found == {"opening": (opening, "2026-01-05"), "closing": (Decimal(100), "2026-01-07")}
