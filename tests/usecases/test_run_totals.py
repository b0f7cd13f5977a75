"""Looking rows up by their numbers, with and without a search; sums of few rows and of many."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from recon.usecases.runs import totals
from recon.usecases.runs.totals import places

CASES = [
    ([3, 1, 2], [1, 2, 3], [2, 0, 1]),  # one after the other
    ([7, 4, 9], [5, 6, 7], [2, None, None]),  # not among them, on either side
    ([7, 5], [5, 7, 8], [1, 0]),  # with a gap
    ([5, 6], [6, 5], [1, 0]),  # in another order
    ([5, None], [5, 6], [0, None]),
    ([5], [], [None]),
    ([], [5], []),
]


@pytest.mark.parametrize(("values", "among", "found"), CASES)
def test_a_number_is_found_where_it_stands(values, among, found):
    arrays = (pa.chunked_array([pa.array(each, pa.int64())]) for each in (values, among))
    assert places(*arrays).to_pylist() == found


def test_numbers_may_come_in_several_pieces():
    values = pa.chunked_array([[12], [11, 20]])
    assert places(values, pa.chunked_array([[10, 11], [12]])).to_pylist() == [2, 1, None]


def test_few_rows_are_summed_as_many_are(monkeypatch):
    many = [
        (10**17 + number, number % 4, ("USD", "EUR")[number % 2], ("a", "b", "c")[number % 3]) for number in range(60)
    ]
    units, scales, currencies, states = zip(*many, (None, 2, "USD", "a"), (-7, 0, "USD", "a"), strict=True)
    table = pa.table(
        {
            "units": pa.array(units, pa.int64()),
            "scale": pa.array(scales, pa.int16()),
            "currency": currencies,
            "state": states,
        }
    )
    few = totals.summed(table, ("state", "currency"))
    monkeypatch.setattr(totals, "_TINY", 0)
    assert totals.summed(table, ("state", "currency")) == few
    assert sum(count for count, _ in few.values()) == 61
    assert few["c", "EUR"][1] == sum(
        (Decimal(units).scaleb(-scale) for units, scale, currency, state in many if (state, currency) == ("c", "EUR")),
        Decimal(0),
    )
