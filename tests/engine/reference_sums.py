"""The judge of sums that are sought without a grouping: every group of the few rows that meet the rest of the rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import combinations
from typing import Any

from tests.engine.reference import Rule, Taken, verdict
from tests.engine.reference_criteria import holds, is_constant
from tests.engine.reference_rows import Books, Key, Row, Unit, signed_total, too_far, units


@dataclass
class SumBooks(Books):
    """Sums are sought of at most so many rows, among at most so many."""

    sum_pool: int = 20
    sum_size: int = 5


@dataclass(frozen=True)
class Sum:
    one: Unit
    group: tuple[Unit, ...]
    difference: Decimal
    """Statement minus ledger."""

    @property
    def kinds(self) -> frozenset[Any]:
        """Of which kinds of interchangeable rows it takes how many."""
        kinds = [row.twins for row in self.group]
        return frozenset((kind, kinds.count(kind)) for kind in kinds)


def judge_sums(
    rules: Sequence[Rule], lines: Sequence[Row], entries: Sequence[Row], books: SumBooks
) -> tuple[list[Taken], dict[Key, str]]:
    """Every match of a run, and why the rows for which a sum was sought have none under the last rule."""
    many = 1 if books.strategy == "one_to_many" else 0
    confirmed: list[Taken] = []
    suggested: list[Taken] = []
    reasons: dict[Key, str] = {}
    for index, rule in enumerate(rules):
        gone = {key for match in confirmed for key in match.rows}
        single = replace(books, strategy="one_to_one")
        sides = [units(side, rows, rule, single, gone) for side, rows in enumerate((lines, entries))]
        made, reasons = apply(index, rule, sides[1 - many], sides[many], many, books)
        for match in made:
            (confirmed if match.state == "confirmed" else suggested).append(match)
    claimed = {key for match in confirmed for key in match.rows}
    for match in suggested:
        if not match.rows & claimed:
            claimed |= match.rows
            confirmed.append(match)
    return confirmed, {key: why for key, why in reasons.items() if (1 - many, key) not in claimed}


def apply(
    index: int, rule: Rule, ones: list[Unit], rows: list[Unit], many: int, books: SumBooks
) -> tuple[list[Taken], dict[Key, str]]:
    """One rule: whoever is nearest first; decided is who has one sum, of rows that nobody else could need."""
    ones, rows = _in_order(ones, 1 - many), _in_order(rows, many)
    pools = {one: [row for row in rows if _meets(rule, one, row, many)] for one in ones}
    sums = {one: _sums(rule, one, pool, many, books) for one, pool in pools.items() if len(pool) <= books.sum_pool}
    made, used, reasons = [], set[Unit](), dict[Key, str]()
    for one, pool in pools.items():
        if pool:
            reasons[next(iter(one.keys))] = "group_total_differs" if one in sums else "too_many_candidates"
    for each in sorted((each for found in sums.values() for each in found), key=lambda each: abs(each.difference)):
        if each.one in used:
            continue
        if used & set(each.group):
            reasons[next(iter(each.one.keys))] = "claimed_by_another"
            continue
        used |= {each.one, *each.group}
        kinds = {row.twins for row in each.group}
        wanted = [row for one, found in sums.items() if one is not each.one for other in found for row in other.group]
        wanted += [row for one, pool in pools.items() if one not in sums for row in pool]
        sole = {other.kinds for other in sums[each.one]} == {each.kinds}
        decided = sole and not any(row.twins in kinds for row in wanted)
        how = {**rule, "on_ambiguity": "skip" if rule.get("on_ambiguity") == "skip" else "review"}
        state = verdict(how, decided, each.difference, books.tolerance_limit)
        reasons[next(iter(each.one.keys))] = "ambiguous"
        if state:
            group = frozenset(key for row in each.group for key in row.keys)
            lines, entries = (each.one.keys, group) if many else (group, each.one.keys)
            made.append(Taken(index, lines, entries, state, each.difference))
    return made, reasons


def _in_order(some: list[Unit], side: int) -> list[Unit]:
    return sorted(some, key=lambda row: (row.day is None, row.day or date.max, row.order) if side else row.order)


def _compares_amounts(criterion: Mapping[str, Any]) -> bool:
    return criterion["field"] == "amount" and not is_constant(criterion)


def _meets(rule: Rule, one: Unit, row: Unit, many: int) -> bool:
    """Whether a row meets all of the rule but its amounts, which are of the sum."""
    rest = {**rule, "criteria": [c for c in rule["criteria"] if not _compares_amounts(c)]}
    line, entry = (one, row) if many else (row, one)
    return line.currency == entry.currency and holds(rest, line, line.amount, entry)


def _sums(rule: Rule, one: Unit, pool: list[Unit], many: int, books: SumBooks) -> list[Sum]:
    """Every sum of few rows that meets the rule's amounts, first those of fewer rows, and of first rows."""
    amounts = {**rule, "criteria": [c for c in rule["criteria"] if _compares_amounts(c)]}
    found = []
    for size in range(1, books.sum_size + 1):
        for group in combinations(pool, size):
            total = replace(group[0], amount=signed_total(many, [row.members[0] for row in group], books))
            line, entry = (one, total) if many else (total, one)
            far = too_far(line.amount - entry.amount, books)
            if line.amount * entry.amount >= 0 and not far and holds(amounts, line, line.amount, entry):
                found.append(Sum(one, group, line.amount - entry.amount))
    return found
