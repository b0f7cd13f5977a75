"""Records for pages to show."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from recon.models import (
    Account,
    Claim,
    LedgerEntry,
    LoadState,
    Match,
    MatchRow,
    MatchState,
    Origin,
    Side,
    Statement,
    StatementLine,
    reserve_ids,
)

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def account(db) -> Account:
    return Account.objects.create(name="House bank", scope={"owned": True})


@pytest.fixture
def make_entries(db):
    def make(count: int = 1, **values: Any) -> list[LedgerEntry]:
        first = reserve_ids(LedgerEntry, count)
        fields = {"units": 15275, "currency": "EUR", "booking_date": date(2026, 3, 2), "created_at": NOON, **values}
        return LedgerEntry.objects.bulk_create(
            LedgerEntry(
                id=first + place,
                **{"reference": f"INV-{place:04}", "reference_key": f"inv-{place:04}", **fields},
            )
            for place in range(count)
        )

    return make


@pytest.fixture
def make_statement(db, account):
    def make(count: int = 1, **values: Any) -> Statement:
        fields = {"account": account, "name": "march.csv", "sha256": "0" * 64, "format": "csv", **values}
        number = reserve_ids(Statement, 1)
        made = Statement.objects.create(
            **{"number": number, "state": LoadState.READY, "record_count": count, **fields}
        )
        first = reserve_ids(StatementLine, count)
        StatementLine.objects.bulk_create(
            StatementLine(
                id=first + place,
                statement_number=number,
                account_id=made.account_id,
                position=place + 1,
                units=15275,
                currency="EUR",
                booking_date=date(2026, 3, 3),
                reference=f"INV-{place:04}",
                reference_key=f"inv-{place:04}",
            )
            for place in range(count)
        )
        return made

    return make


@pytest.fixture
def settle(account):
    """A confirmed match by hand of one line and one entry."""

    def make(line: StatementLine, entry: LedgerEntry) -> Match:
        match = Match.objects.create(
            id=reserve_ids(Match, 1),
            account_id=account.pk,
            origin=Origin.MANUAL,
            state=MatchState.CONFIRMED,
            currency="EUR",
            scale=2,
            line_units=line.units,
            entry_units=entry.units,
            created_at=NOON,
        )
        for side, row in ((Side.STATEMENT, line), (Side.LEDGER, entry)):
            MatchRow.objects.create(match_id=match.pk, side=side, row_id=row.pk, units=row.units)
            Claim.objects.create(account_id=account.pk, side=side, row_id=row.pk, match_id=match.pk)
        return match

    return make
