"""Why a match is one: for each criterion of its rule what it expected, what it found and what they differ by."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from recon.usecases.runs.reading import MatchView, Placed, Row
from rules.criteria import Criterion, Rule, parse_rule

SHOWN = 3
"""Texts of a group's members that are shown; more only make the cell long."""


@dataclass(frozen=True)
class Reason:
    """One criterion of the rule that made a match; a match of a rule meets all of them."""

    number: int
    sentence: str
    expected: str
    found: str
    difference: str


def match_reasons(view: MatchView) -> list[Reason]:
    """The reasons of a match, in the order of its rule's criteria; none for a match by hand."""
    if view.rule is None:
        return []
    rule = parse_rule(json.loads(view.rule.body, parse_float=Decimal), stored=True)
    return [_reason(rule, criterion, view) for criterion in rule.criteria]


def _reason(rule: Rule, criterion: Criterion, view: MatchView) -> Reason:
    show, differ = KINDS[criterion.field.kind]
    found = show(view.lines, criterion.field.name, rule)
    other = show(view.entries, criterion.ledger_field.name, rule)
    if criterion.is_constant and criterion.applies_to == "ledger":
        found = other
    difference = "" if criterion.is_constant else differ(view, rule)
    return Reason(criterion.number, criterion.sentence(), criterion.expectation(other or "nothing"), found, difference)


def _amounts(placed: Sequence[Placed], field: str, rule: Rule) -> str:
    return f"{sum((each.amount for each in placed), Decimal(0)):,f}"


def _amount_difference(view: MatchView, rule: Rule) -> str:
    return f"{view.match.difference:+,f}" if view.match.difference else "none"


def _dates(placed: Sequence[Placed], field: str, rule: Rule) -> str:
    day = _day(placed, rule)
    return day.isoformat() if day else "no date"


def _date_difference(view: MatchView, rule: Rule) -> str:
    line, entry = _day(view.lines, rule), _day(view.entries, rule)
    if not line or not entry:
        return ""
    days = (line - entry).days
    return f"{days:+d} day{'s' if abs(days) != 1 else ''}" if days else "none"


def _day(placed: Sequence[Placed], rule: Rule) -> date | None:
    """The date of a row, or the one that stands for a group."""
    pick = max if rule.group_date == "latest" else min
    return pick((each.row.booking_date for each in placed if each.row and each.row.booking_date), default=None)


def _texts(placed: Sequence[Placed], field: str, rule: Rule) -> str:
    texts = list(dict.fromkeys(text for each in placed if each.row and (text := _text(each.row, field))))
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return "; ".join(texts[:SHOWN]) + more


def _text(row: Row, field: str) -> str:
    return str(getattr(row, field) or "")


def _no_difference(view: MatchView, rule: Rule) -> str:
    return ""


KINDS: dict[str, tuple[Callable[[Sequence[Placed], str, Rule], str], Callable[[MatchView, Rule], str]]] = {
    "amount": (_amounts, _amount_difference),
    "date": (_dates, _date_difference),
    "text": (_texts, _no_difference),
    "currency": (_texts, _no_difference),
}
"""How a field of each kind is shown, and what its two sides differ by."""
