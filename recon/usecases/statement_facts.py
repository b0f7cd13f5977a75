"""What a stored statement adds up to: totals, and whether its own balances agree with its lines."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from django.db.models import Case, Count, F, Sum, Value, When

from recon.models import Statement, StatementBalance, StatementLine
from recon.rows import amount

HALF = 10**9

Verdict = Literal["ok", "differs", "unknown"]


@dataclass(frozen=True)
class CurrencyFacts:
    """One currency of a statement. `money_out` is a positive sum. `difference` is the stated closing balance less
    opening + movements; None if the statement does not state both."""

    currency: str
    lines: int
    money_in: Decimal
    money_out: Decimal
    opening: Decimal | None
    closing: Decimal | None

    @property
    def difference(self) -> Decimal | None:
        if self.opening is None or self.closing is None:
            return None
        return self.closing - (self.opening + self.money_in - self.money_out)

    @property
    def verdict(self) -> Verdict:
        if self.difference is None:
            return "unknown"
        return "differs" if self.difference else "ok"


def statement_facts(statement: Statement) -> list[CurrencyFacts]:
    """Per currency in alphabetical order: what its lines move and whether the balances prove it."""
    lines = StatementLine.objects.filter(statement_number=statement.number, superseded=False).order_by()
    sums = lines.values("currency", "scale", is_in=Case(When(units__gt=0, then=Value(1)), default=Value(0))).annotate(
        lines=Count("pk"),
        # Ten amounts of 18 digits do not fit the databases' integers; their upper and lower digits do.
        upper=Sum(F("units") / HALF),
        lower=Sum(F("units") % HALF),
    )
    counts: dict[str, int] = defaultdict(int)
    money_in: dict[str, Decimal] = defaultdict(Decimal)
    money_out: dict[str, Decimal] = defaultdict(Decimal)
    for row in sums:
        counts[row["currency"]] += row["lines"]
        total = amount(int(row["upper"]) * HALF + int(row["lower"]), row["scale"])
        if row["is_in"]:
            money_in[row["currency"]] += total
        else:
            money_out[row["currency"]] -= total
    balances = list(statement.balances.all())
    currencies = sorted(counts.keys() | {balance.currency for balance in balances})
    return [
        CurrencyFacts(
            currency,
            counts[currency],
            money_in[currency],
            money_out[currency],
            stated(balances, "opening", currency),
            stated(balances[::-1], "closing", currency),
        )
        for currency in currencies
    ]


def stated(balances: list[StatementBalance], kind: str, currency: str) -> Decimal | None:
    """The first balance of this kind and currency."""
    return next((each.amount for each in balances if (each.kind, each.currency) == (kind, currency)), None)
