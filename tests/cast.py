"""Accounts, statements and ledger entries for tests that begin where the imports end."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

from django.utils import timezone

from recon.models import Account, LedgerEntry, LoadState, Statement, StatementLine, Via, reserve_ids
from recon.usecases.events import Actor
from rules.models import MatchingRule, RuleVersion


def actor(user) -> Actor:
    return Actor(user, Via.SCREEN)


def make_account(name="Bank", **settings) -> Account:
    settings.setdefault("scope", {"owned": True})
    return Account.objects.create(name=name, **settings)


def units_of(text) -> tuple[int, int]:
    value = Decimal(text)
    scale = max(2, len(text.partition(".")[2]))
    return int(value.scaleb(scale)), scale


def row(number, amount, date="2026-03-02", reference=None, currency="EUR", **more):
    """One row of either side; `number` is its id in the file."""
    units, scale = units_of(amount)
    day = dt.date.fromisoformat(date) if date else None
    return {
        "external_id": str(number),
        "units": units,
        "scale": scale,
        "currency": currency,
        "booking_date": day,
        "reference": reference,
        "reference_key": reference.lower() if reference else None,
        **more,
    }


def make_statement(account, rows, **settings) -> Statement:
    """A statement that is ready, with the given `row(…)`s in this order."""
    settings = {"name": "march.csv", "sha256": "0" * 64, "format": "csv", "state": LoadState.READY, **settings}
    statement = Statement.objects.create(
        number=reserve_ids(Statement, 1), account=account, record_count=len(rows), **settings
    )
    first = reserve_ids(StatementLine, len(rows))
    StatementLine.objects.bulk_create(
        StatementLine(
            id=first + place, statement_number=statement.number, account_id=account.pk, position=place + 1, **each
        )
        for place, each in enumerate(rows)
    )
    return statement


def make_entries(account, rows) -> list[LedgerEntry]:
    """Ledger entries owned by `account`, or nobody's if it is None."""
    first = reserve_ids(LedgerEntry, len(rows))
    return LedgerEntry.objects.bulk_create(
        LedgerEntry(
            id=first + place,
            account_id=account.pk if account else None,
            status="APPLIED",
            created_at=timezone.now(),
            **each,
        )
        for place, each in enumerate(rows)
    )


def lines(statement) -> list[StatementLine]:
    return list(StatementLine.objects.filter(statement_number=statement.number).order_by("position"))


def make_rule(name, *criteria, **more) -> RuleVersion:
    """A saved rule's first version; criteria as in the rule API."""
    body = {"name": name, "criteria": list(criteria), **more}
    rule = MatchingRule.objects.create(name=name)
    return RuleVersion.objects.create(rule=rule, number=1, body=json.dumps(body))


SAME_REFERENCE = {"field": "reference", "operator": "eq"}
SAME_AMOUNT = {"field": "amount", "operator": "eq"}
WITHIN_TWO_DAYS = {"field": "date", "operator": "within_range", "value": "2d"}
