"""A run's summary, from what was kept with it: nothing here counts rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from recon.models import DifferenceType, MatchingRun, PassedOver, RunRule
from recon.usecases.grouping import grouping_fields
from recon.usecases.runs.engine_options import rule_in
from recon.usecases.runs.found_by import pairs_found_by
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
class RuleFacts:
    """What a rule did in a run, and how the engine went about it: nothing of that if it did not come to the rule."""

    rule: RunRule
    plan: dict[str, Any]
    found_by: str  # in words; empty if it compared nothing


@dataclass(frozen=True)
class RunFacts:
    """What the summary of a run shows."""

    match_rate: Decimal | None  # percent of lines, one decimal; none without lines
    by_rule: list[RuleFacts]
    totals: list[CurrencyTotals]
    differences: list[dict[str, Any]]
    reasons: list[dict[str, Any]]
    rates_missing: list[str]  # such as GBP/EUR, for which rows were left
    since: dict[str, int]
    reading_estimate: str  # what the choice how to read the ledger was made from
    of_other_days: int  # entries that were read, but are dated outside of what the run reports on
    passed_over: str  # what becomes of the entries that were not read
    previous: MatchingRun | None  # the completed run of the same account before this one


def run_facts(run: MatchingRun) -> RunFacts:
    """The summary of a run that completed."""
    earlier = MatchingRun.objects.finished().filter(account=run.account, number__lt=run.number)
    return RunFacts(
        match_rate=percent(run.lines_matched, run.lines_total),
        by_rule=facts_by_rule(run),
        totals=currency_totals(run.totals.get("money", [])),
        differences=[
            {**each, "label": DifferenceType(each["type"]).label, "amount": Decimal(each["amount"])}
            for each in run.totals.get("differences", [])
        ],
        reasons=run.totals.get("reasons", []),
        rates_missing=run.totals.get("rates_missing", []),
        since=since_completion(run),
        reading_estimate=reading_estimate(run.explanation.get("rows", {})),
        of_other_days=of_other_days(run),
        passed_over=passed_over(run),
        previous=earlier.order_by("-number").first(),
    )


def facts_by_rule(run: MatchingRun) -> list[RuleFacts]:
    """The rules of a run in order, each with how the engine went about it."""
    plans, grouping = iter(run.explanation.get("rules", [])), grouping_fields(run.grouping)
    return [_rule_facts(rule, next(plans, {}), grouping) for rule in run.run_rules.select_related("version__rule")]


def _rule_facts(rule: RunRule, plan: dict[str, Any], grouping: Sequence[str]) -> RuleFacts:
    compared = bool(plan.get("plan"))
    return RuleFacts(
        rule, plan, pairs_found_by(plan["blocking_key"], rule_in(rule.version.body), grouping) if compared else ""
    )


def reading_estimate(rows: dict[str, Any]) -> str:
    """What the choice how to read the ledger was made from; nothing if there was no choice."""
    said = []
    if "in_scope" in rows:
        said.append(f"about {rows['in_scope']:,} open entries in scope")
    if "lookups" in rows:
        said.append(f"{rows['lookups']:,} amounts and references looked up")
    if "found" in rows:
        said.append(f"{rows['found']:,} entries found")
    return ", ".join(said)


def of_other_days(run: MatchingRun) -> int:
    """How many entries were read, but are dated after the statement's end or before the account's cut-over."""
    if run.applied_from_id or not run.account.scope:
        return 0
    read: int = run.explanation.get("rows", {}).get("entries", 0)
    return max(0, read - run.entries_total)


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
