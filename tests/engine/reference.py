"""The judge: the matching contract as plainly as it can be said. List the pairs, sort them, take them.

Slow on purpose (every line meets every entry) and written without looking at the engine. `docs/matching.md` is the
contract in words; where the engine and this file disagree on any input, one of them is wrong. What a unit is, in which
order pairs stand and whether a criterion holds is said beside it, in `reference_rows` and `reference_criteria`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from tests.engine.reference_criteria import holds
from tests.engine.reference_rows import Books, Key, Row, Unit, comparable, order, units

Rule = Mapping[str, Any]


@dataclass(frozen=True)
class Taken:
    rule: int
    lines: frozenset[Key]
    entries: frozenset[Key]
    state: str
    """confirmed or suggested"""
    difference: Decimal

    @property
    def rows(self) -> set[tuple[int, Key]]:
        return {(0, key) for key in self.lines} | {(1, key) for key in self.entries}


def judge(rules: Sequence[Rule], lines: Sequence[Row], entries: Sequence[Row], books: Books) -> list[Taken]:
    """Every match of a run: what a rule confirms is gone for later rules, what it suggests is not."""
    if books.within is not None:
        return reversals(rules, (lines, entries)[books.within], books)
    confirmed: list[Taken] = []
    suggested: list[Taken] = []
    for index, rule in enumerate(rules):
        gone = {key for match in confirmed for key in match.rows}
        sides = [units(side, rows, rule, books, gone) for side, rows in enumerate((lines, entries))]
        for match in apply(index, rule, sides[0], sides[1], books):
            (confirmed if match.state == "confirmed" else suggested).append(match)
    claimed = {key for match in confirmed for key in match.rows}
    for match in suggested:  # withdrawn where any rule confirmed one of its rows; an earlier suggestion stands
        if not match.rows & claimed:
            claimed |= match.rows
            confirmed.append(match)
    return confirmed


def reversals(rules: Sequence[Rule], rows: Sequence[Row], books: Books) -> list[Taken]:
    """One side by itself: its money in is matched with as much money out. Whatever comes of it is a suggestion."""
    same: Rule = {"field": "amount", "operator": "eq"}
    exact = [{**rule, "cross_currency": False, "criteria": [*rule["criteria"], same]} for rule in rules]
    money_in = [row for row in rows if row["units"] > 0]
    money_out = [{**row, "units": -row["units"]} for row in rows if row["units"] < 0]
    found = judge(exact, money_in, money_out, replace(books, strategy="one_to_one", sign="as_given"))
    both = [(m, m.lines | m.entries) for m in found]
    sides = [(keys, frozenset()) if books.within == 0 else (frozenset(), keys) for _, keys in both]
    return [replace(m, lines=s, entries=e, state="suggested") for (m, _), (s, e) in zip(both, sides, strict=True)]


def apply(index: int, rule: Rule, lines: list[Unit], entries: list[Unit], books: Books) -> list[Taken]:
    """One rule: list the pairs, sort them, take them. Decided is who has no rival."""
    pairs = [
        (order(rule, s, at, e), s, e, at - e.amount)
        for s in lines
        for e in entries
        if (at := comparable(rule, s, e, books)) is not None and holds(rule, s, at, e)
    ]
    taken: set[Unit] = set()
    made = []
    for place, s, e, difference in sorted(pairs, key=lambda pair: pair[0]):
        if not taken & {s, e}:
            taken |= {s, e}
            rivals = [
                other
                for other, s2, e2, _ in pairs
                if ((s2 is s and e2.twins != e.twins) or (e2 is e and s2.twins != s.twins))
                and (rule.get("on_ambiguity") != "date" or other[1:4] <= place[1:4])  # its date is strictly farther
            ]
            if state := verdict(rule, not rivals, difference, books.tolerance_limit):
                made.append(Taken(index, s.keys, e.keys, state, difference))
    return made


def verdict(rule: Rule, decided: bool, difference: Decimal, limit: Decimal | None) -> str | None:
    """Confirmed, suggested, or nothing."""
    how = rule.get("on_ambiguity", "review")
    if not decided and how == "skip":
        return None
    limits = [Decimal(str(x)) for x in (rule.get("max_difference"), limit) if x is not None]
    over = any(abs(difference) > x for x in limits)
    clear = (decided or how == "best") and not over and not rule.get("suggest_only")
    return "confirmed" if clear else "suggested"
