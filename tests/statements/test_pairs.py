"""Rows with two amounts, each in a currency of its own: which pair is the account's."""

from __future__ import annotations

import pytest

from recon.statements import read
from recon.statements.mapping import Mapping
from recon.statements.model import Hints

PAID = (
    "Date,Description,Transaction Amount,Transaction Currency,Settlement Amount,Settlement Currency\n"
    "2026-03-13,Shop,-10.00,USD,-9.10,EUR\n2026-03-14,Shop,-4.50,GBP,-5.30,EUR\n2026-03-15,Shop,-4.50,EUR,-4.50,EUR\n"
)
SETTLED = [(-910, "EUR"), (-530, "EUR"), (-450, "EUR")]
GIVEN = [(-1000, "USD"), (-450, "GBP"), (-450, "EUR")]


def moves(text, currency=None, mapping=None):
    reading = read(text.encode(), "file.csv", Hints(currency=currency, mapping=mapping))
    assert not reading.errors
    lines = [(line["units"], line["currency"]) for line in reading.lines.to_pylist()]
    return lines, [warning.column for warning in reading.warnings]


def test_the_pair_in_the_accounts_own_currency_throughout_is_read():
    assert moves(PAID, "EUR") == (SETTLED, [])


@pytest.mark.parametrize("currency", [None, "GBP"])
def test_where_nothing_says_which_pair_is_meant_the_other_is_told(currency):
    assert moves(PAID, currency) == (GIVEN, ["Settlement Amount"])


@pytest.mark.parametrize(
    "change",
    [
        ("-4.50,EUR,-4.50,EUR", "-4.50,EUR,-4.20,EUR"),  # after fees, so that it is not the same amount
        ("-5.30,EUR", "-5.30,GBP"),  # not throughout
    ],
)
def test_another_pair_is_read_only_if_all_of_it_fits(change):
    assert moves(PAID.replace(*change), "EUR") == (GIVEN, ["Settlement Amount"])


@pytest.mark.parametrize("word", ["Base", "Original"])
def test_what_is_reported_or_paid_abroad_is_not_the_accounts(word):
    """A wallet of several currencies that reports in one of them keeps its own amounts."""
    assert moves(PAID.replace("Settlement", word), "EUR") == (GIVEN, [])


def test_columns_that_somebody_chose_stay():
    chosen = Mapping(
        {"booking_date": ("Date",), "amount": ("Transaction Amount",), "currency": ("Transaction Currency",)}
    )
    assert moves(PAID, "EUR", chosen) == (GIVEN, [])
