"""Looking rows up by their numbers, with and without a search; sums and rows of few and of many at once."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from recon.engine.outcome import DIFFERENCES, MATCH_ROWS, MATCHES, Outcome
from recon.models import Side
from recon.rows import MAX_UNITS
from recon.statements.model import line_totals
from recon.usecases.runs import totals
from recon.usecases.runs.results import placed_of_each, placed_rows
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


@pytest.mark.parametrize("from_", [10**17, MAX_UNITS - 60], ids=["64 bits hold", "64 bits do not hold"])
def test_few_rows_are_summed_as_many_are(monkeypatch, from_):
    many = [
        (from_ + number, number % 4, ("USD", "EUR")[number % 2], ("a", "b", "c")[number % 3]) for number in range(60)
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


@pytest.mark.parametrize("units", [1, -MAX_UNITS])
@pytest.mark.parametrize("currencies", [1, 2])
def test_what_a_file_adds_up_to_is_exact_however_large_its_amounts(units, currencies):
    rows = 3000
    lines = pa.table(
        {
            "units": pa.array([units] * rows, pa.int64()),
            "scale": pa.array([2] * rows, pa.int16()),
            "currency": [("USD", "EUR")[number % currencies] for number in range(rows)],
        }
    )
    found = line_totals(lines)
    assert [each.lines for each in found] == [rows // currencies] * currencies
    total = Decimal(abs(units) * rows // currencies).scaleb(-2)
    nothing = Decimal(0)
    assert {(each.credits, each.debits) for each in found} == {(total, nothing) if units > 0 else (nothing, total)}


@pytest.mark.parametrize(("scales", "currencies"), [(3, 2), (3, 1), (1, 2), (1, 1)])
def test_the_amounts_of_few_rows_are_summed_as_those_of_many_are(monkeypatch, scales, currencies):
    def table(**columns: list[int] | list[str]) -> pa.Table:
        return pa.table(columns)

    rows = {
        side: table(
            id=list(range(7, 27)),
            part=[0] * 20,
            units=[10**17 * (-1) ** number + number for number in range(20)],
            scale=[number % scales for number in range(20)],
            currency=[("USD", "EUR")[number % currencies] for number in range(20)],
        )
        for side in Side
    }
    states = [("confirmed", "suggested")[number % 2 * (number > 9)] for number in range(18)]
    placed = table(side=[0] * 9 + [1] * 9, id=[*range(7, 16), *range(12, 21)], part=[0] * 18, state=states)
    unmatched = table(side=[0] * 5 + [1] * 3, id=[20, 17, 18, 19, 26, 7, 8, 26], part=[0] * 8, reason=["none"] * 8)
    differences = table(units=[], scale=[], currency=[], type=[], state=[])
    few = totals.totals(rows, placed, differences, unmatched)
    monkeypatch.setattr(totals, "_TINY", 0)
    assert totals.totals(rows, placed, differences, unmatched) == few
    assert {(each["side"], each["outcome"]) for each in few["money"]} == {
        ("statement", "confirmed"),
        ("statement", "unmatched"),
        ("ledger", "confirmed"),
        ("ledger", "suggested"),
        ("ledger", "unmatched"),
    }
    assert sum(each["count"] for each in few["money"]) == 26


def outcome(states: list[str], rows: list[tuple[int, int, int, int]]) -> Outcome:
    """Of matches with these states, and rows (match, side, id, part)."""
    matches = [{"match_no": number, "state": state} for number, state in enumerate(states, start=1)]
    of_matches = [dict(zip(("match_no", "side", "id", "part"), each, strict=True)) for each in rows]
    empty = DIFFERENCES.empty_table()
    tables = pa.Table.from_pylist(matches, MATCHES), pa.Table.from_pylist(of_matches, MATCH_ROWS)
    return Outcome(*tables, empty, empty, empty, [])


def test_the_rows_of_several_outcomes_come_as_those_of_each():
    some = [
        outcome(["confirmed", "suggested"], [(1, 0, 9, 0), (1, 1, 4, 0), (2, 0, 8, 0), (2, 1, 3, 0)]),
        outcome([], []),
        outcome(["suggested", "confirmed"], [(1, 0, 1, 0), (1, 1, 4, 2), (2, 0, 2, 0), (2, 1, 4, 1)]),
    ]
    found = placed_of_each(some)
    assert [each.to_pylist() for each in found] == [placed_rows(each).to_pylist() for each in some]
    assert found[2]["state"].to_pylist() == ["suggested", "confirmed", "confirmed", "suggested"]
