"""A run's summary, from what was kept with it: nothing here counts rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from recon.models import DifferenceType, MatchingRun, PassedOver, RunRule
from recon.usecases.runs.reading import since_completion

OUTCOMES = ("confirmed", "suggested", "unmatched")


@dataclass
class CurrencyTotals:
    """The sums of one side in one currency, by outcome."""

    side: str
    currency: str
    amounts: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, Decimal(0)))

    @property
    def total(self) -> Decimal:
        return sum(self.amounts.values(), Decimal(0))


@dataclass(frozen=True)
class RunFacts:
    """What the summary of a run shows."""

    match_rate: Decimal | None  # percent of lines, one decimal; none without lines
    by_rule: list[tuple[RunRule, dict[str, Any]]]  # with how the engine went about it
    totals: list[CurrencyTotals]
    differences: list[dict[str, Any]]
    reasons: list[dict[str, Any]]
    since: dict[str, int]
    reading_estimate: str  # what the choice how to read the ledger was made from
    passed_over: str  # what becomes of the entries that were not read
    previous: MatchingRun | None  # the completed run of the same account before this one


def run_facts(run: MatchingRun) -> RunFacts:
    """The summary of a run that completed."""
    earlier = MatchingRun.objects.finished().filter(account=run.account, number__lt=run.number)
    return RunFacts(
        match_rate=percent(run.lines_matched, run.lines_total),
        by_rule=plans_by_rule(run),
        totals=currency_totals(run.totals.get("money", [])),
        differences=[
            {**each, "label": DifferenceType(each["type"]).label, "amount": Decimal(each["amount"])}
            for each in run.totals.get("differences", [])
        ],
        reasons=run.totals.get("reasons", []),
        since=since_completion(run),
        reading_estimate=reading_estimate(run.explanation.get("rows", {})),
        passed_over=passed_over(run),
        previous=earlier.order_by("-number").first(),
    )


def plans_by_rule(run: MatchingRun) -> list[tuple[RunRule, dict[str, Any]]]:
    """The rules of a run with how the engine went about each; nothing of those it did not come to."""
    explained = run.explanation.get("rules", [])
    rules = list(run.run_rules.select_related("version__rule"))
    return list(zip(rules, explained + [{}] * (len(rules) - len(explained)), strict=True))


def reading_estimate(rows: dict[str, Any]) -> str:
    """What the choice how to read the ledger was made from; nothing if there was no choice."""
    said = []
    if "in_scope" in rows:
        said.append(f"about {rows['in_scope']:,} entries in scope")
    if "lookups" in rows:
        said.append(f"{rows['lookups']:,} look-ups by reference and amount")
    if "found" in rows:
        said.append(f"{rows['found']:,} entries found by them")
    return ", ".join(said)


def passed_over(run: MatchingRun) -> str:
    """What becomes of the open entries that no line implied and that were not read; nothing if all were."""
    if run.is_dry_run or not run.explanation.get("rows", {}).get("narrowed") or not run.account.scope:
        return ""
    if PassedOver.objects.filter(account_id=run.account_id).exists():
        return "The other open entries are being put on the list of open items."
    return "The other open entries are on the list of open items."


def percent(part: int, whole: int) -> Decimal | None:
    """``percent(2, 3) == Decimal("66.7")``; 100 only if it is all of it."""
    if not whole:
        return None
    rounded = (Decimal(part) * 100 / whole).quantize(Decimal("0.1"))
    return min(rounded, Decimal("99.9")) if part < whole else rounded


def currency_totals(money: list[dict[str, Any]]) -> list[CurrencyTotals]:
    """The kept sums, one row for each side and currency."""
    rows: dict[tuple[str, str], CurrencyTotals] = {}
    for each in money:
        key = each["side"], each["currency"]
        rows.setdefault(key, CurrencyTotals(*key)).amounts[each["outcome"]] = Decimal(each["amount"])
    return sorted(rows.values(), key=lambda row: (row.currency, row.side != "statement"))
