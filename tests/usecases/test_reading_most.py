"""Rows that are read without sending what all of them have in common are the same rows."""

from __future__ import annotations

import datetime as dt

import pytest

from recon.models import Claim, RowPart, Side
from recon.usecases.accounts.scope import entries_in_scope, lines_in_scope, open_rows
from tests.cast import make_account, make_entries, make_statement, row

SAME = [row(1, "10.00"), row(2, "20.00", reference="INV"), row(3, "30.00")]
ALL_FILLED = [row(number, "1.00", counterparty="Kim", type_code="X", description=f"{number}") for number in (1, 2, 3)]
SOME_FILLED = [
    row(1, "10.00", currency="EUR", value_date=dt.date(2026, 3, 2)),
    row(2, "2.125", currency="USD", booked_at=dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC), source=""),
    row(3, "30.00", date=None, extra='{"a": 1}'),
]


def both_ways(account, side, rows):
    """As usual, and as most of a table is read."""
    usual, most = (open_rows(account, side, rows, most=most).sort_by("id") for most in (False, True))
    assert most.schema == usual.schema
    return usual.to_pylist(), most.to_pylist()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("rows", [[], SAME, ALL_FILLED, SOME_FILLED])
def test_whatever_they_have_in_common(rows):
    account = make_account()
    make_statement(account, rows)
    make_entries(account, [{**each, "destination": "B"} for each in rows])
    make_entries(None, [row(9, "9.00", currency="CHF", counterparty="Lou")])
    for side, asked in ((Side.STATEMENT, lines_in_scope(account)), (Side.LEDGER, entries_in_scope(account))):
        usual, most = both_ways(account, side, asked)
        assert len(usual) == len(rows)
        assert most == usual


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("taken", ["claimed", "split", "another account's"])
def test_without_those_that_are_taken(taken):
    account = make_account(scope={})
    first = make_entries(None, SAME)[0]
    if taken == "split":
        RowPart.objects.create(account_id=account.pk, side=Side.LEDGER, row_id=first.pk, part=1, units=400)
        RowPart.objects.create(account_id=account.pk, side=Side.LEDGER, row_id=first.pk, part=2, units=600)
    else:
        account_id = account.pk if taken == "claimed" else account.pk + 1
        Claim.objects.create(account_id=account_id, side=Side.LEDGER, row_id=first.pk, part=0, match_id=1)
    usual, most = both_ways(account, Side.LEDGER, entries_in_scope(account))
    assert len(usual) == {"claimed": 2, "split": 4, "another account's": 3}[taken]
    assert most == usual


@pytest.mark.django_db(transaction=True)
def test_seen_from_a_balance():
    account = make_account(scope={"balances": ["bank"]})
    make_entries(None, [row(1, "10.00", source="bank", destination="shop"), row(2, "5.00", source="bank")])
    usual, most = both_ways(account, Side.LEDGER, entries_in_scope(account))
    assert [each["units"] for each in usual] == [-1000, -500]
    assert most == usual
