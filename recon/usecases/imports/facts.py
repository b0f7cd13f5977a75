"""What a statement adds up to: totals, and whether its own balances agree with its lines.

A file may hold several statements, each with balances of its own. They are checked one by one, as the file says them:
also lines that were left out because they were there already count. `Statement.sections` keeps what that takes, a
list of ``{"name", "currency", "lines", "in", "out", "opening", "closing"}`` with decimals as texts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from django.db.models import Case, Count, F, Sum, Value, When

from recon.models import Statement, StatementBalance, StatementLine
from recon.rows import amount
from recon.statements.model import Reading
from recon.statements.model import Statement as ReadStatement

HALF = 10**9

Verdict = Literal["ok", "differs", "unknown"]


@dataclass(frozen=True)
class CurrencyFacts:
    """One currency of a statement. `money_out` is a positive sum. `difference` is the stated closing balance less
    opening + movements; None if the statement does not state both. `name` tells several statements of a file apart."""

    currency: str
    lines: int
    money_in: Decimal
    money_out: Decimal
    opening: Decimal | None
    closing: Decimal | None
    name: str = ""

    @property
    def net(self) -> Decimal:
        return self.money_in - self.money_out

    @property
    def difference(self) -> Decimal | None:
        if self.opening is None or self.closing is None:
            return None
        return self.closing - (self.opening + self.net)

    @property
    def verdict(self) -> Verdict:
        if self.difference is None:
            return "unknown"
        return "differs" if self.difference else "ok"

    def with_line(self, value: Decimal) -> CurrencyFacts:
        """The facts with one more line."""
        money_in, money_out = max(value, Decimal(0)), max(-value, Decimal(0))
        return replace(
            self, lines=self.lines + 1, money_in=self.money_in + money_in, money_out=self.money_out + money_out
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        opening, closing = (None if each is None else str(each) for each in (self.opening, self.closing))
        return {
            "name": self.name, "currency": self.currency, "lines": self.lines,
            "in": str(self.money_in), "out": str(self.money_out), "opening": opening, "closing": closing,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> CurrencyFacts:
        """The facts written as plain data."""
        opening, closing = (None if plain[key] is None else Decimal(plain[key]) for key in ("opening", "closing"))
        money_in, money_out = Decimal(plain["in"]), Decimal(plain["out"])
        return cls(plain["currency"], plain["lines"], money_in, money_out, opening, closing, plain["name"])


def reading_facts(reading: Reading) -> list[CurrencyFacts]:
    """The facts of every statement in a file that was read."""
    several = len(reading.statements) > 1
    return [
        facts
        for place, statement in enumerate(reading.statements, start=1)
        for facts in _read_facts(statement, _name(statement, place) if several else "")
    ]


def _name(statement: ReadStatement, place: int) -> str:
    days = f"{statement.period_start} – {statement.period_end}" if statement.period_start else ""
    return " · ".join(part for part in (f"No. {statement.number}" if statement.number else f"{place}.", days) if part)


def _read_facts(statement: ReadStatement, name: str) -> list[CurrencyFacts]:
    totals = {total.currency: total for total in statement.totals()}
    facts = []
    for check in statement.balance_checks():
        total = totals.get(check.currency)
        lines, money_in, money_out = (
            (total.lines, total.credits, total.debits) if total else (0, Decimal(0), Decimal(0))
        )
        facts.append(CurrencyFacts(check.currency, lines, money_in, money_out, check.opening, check.closing, name))
    return facts


def statement_facts(statement: Statement) -> list[CurrencyFacts]:
    """Per statement of the file and currency: what its lines move and whether the balances prove it."""
    if statement.sections is not None:
        return [CurrencyFacts.from_dict(section) for section in statement.sections]
    return _counted(statement)


def worst_verdict(facts: Sequence[CurrencyFacts]) -> Verdict:
    """One word for all: "ok" only if something was checked and nothing differs."""
    verdicts = {each.verdict for each in facts}
    if "differs" in verdicts:
        return "differs"
    return "ok" if "ok" in verdicts else "unknown"


def balance_verdict(statement: Statement) -> Verdict:
    """One word for a list: what the statement's own page says in full, without counting anything."""
    return worst_verdict([CurrencyFacts.from_dict(section) for section in statement.sections or []])


def add_line(statement: Statement, currency: str, value: Decimal) -> None:
    """Count a line that was repaired; of several statements in the file, in the one whose difference it explains.

    The caller saves the statement.
    """
    facts = statement_facts(statement)
    own = [place for place, each in enumerate(facts) if each.currency == currency]
    if not own:
        facts.append(CurrencyFacts(currency, 1, max(value, Decimal(0)), max(-value, Decimal(0)), None, None))
    else:
        place = next((each for each in own if facts[each].difference == value), None)
        if place is None:
            place = next((each for each in own if facts[each].difference), own[0])
        facts[place] = facts[place].with_line(value)
    statement.sections = [each.to_dict() for each in facts]


def _counted(statement: Statement) -> list[CurrencyFacts]:
    """Per currency in alphabetical order, from the stored lines and balances."""
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
