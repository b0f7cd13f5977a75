"""Explain pairs criterion by criterion, and plans before they run; by the SQL that the engine itself runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz.distance import Levenshtein

from recon.engine.candidates import plain_join
from recon.engine.contest import Contest
from recon.engine.conversion import in_every_currency
from recon.engine.grouping import grouping_column
from recon.engine.options import Options, TooBroad
from recon.engine.plan import make_plan, shared_grouping
from recon.engine.rule_run import Work, look_ahead
from recon.engine.session import Session, opened
from recon.engine.sides import Sides, grouped_sides, keeps_group_values, load
from recon.engine.twins import Twins
from recon.engine.units import make_units, open_units
from rules.criteria import Criterion, Rule
from rules.criteria.scope import ALIAS, Side
from rules.criteria.text import text_key

RowKey = tuple[int, int]
"""A row part: its id and part."""

Pair = tuple[Sequence[RowKey], Sequence[RowKey]]
"""The lines and the entries of a match, or of a near miss."""

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Verdict:
    """What one criterion says about a pair. ``criterion`` counts from 1; 0 is what every rule asks: currency, sign,
    and of rows that are grouped their grouping values."""

    criterion: int
    sentence: str
    expected: str
    found: str
    difference: str | None
    passed: bool


@dataclass(frozen=True)
class Explanation:
    """All verdicts of one rule on one pair, both counted from 0 as they were given."""

    pair: int
    rule_index: int
    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether the rule matches the pair."""
        return all(verdict.passed for verdict in self.verdicts)


@dataclass(frozen=True)
class PlanEstimate:
    """How a rule would find its candidates, and about how many pairs it would compare."""

    rule_index: int
    blocking_key: str
    estimated_candidates: int
    too_broad: bool


def explain_plan(rules: Sequence[Rule], statement: pa.Table, ledger: pa.Table, options: Options) -> list[PlanEstimate]:
    """Estimate every rule without running any, by the search that it would begin with.

    Each on all rows, as if it were alone: a later rule of a run has only those that earlier ones leave it.
    """
    with opened(options, statement.num_rows + ledger.num_rows) as session:
        sides = load(session, rules, statement, ledger, options)
        return [_planned(session, sides, index, rule) for index, rule in enumerate(rules)]


def _planned(session: Session, sides: Sides, index: int, rule: Rule) -> PlanEstimate:
    plan = make_plan(rule, sides, session.options)
    units = (make_units(session, sides, "statement", rule), make_units(session, sides, "ledger", rule))
    left, right = (open_units(session, each, plan.criteria, sides) for each in units)
    contest = Contest(sides.sizes, Twins(session, sides, units), by_date=False, check=session.check)
    try:
        join, pairs = look_ahead(Work(session, sides, plan, units, left, right, contest))
    except TooBroad as refused:
        return PlanEstimate(index, plain_join(plan, left, right).key, refused.estimate, too_broad=True)
    return PlanEstimate(index, join.key, pairs, too_broad=False)


def explain_pairs(
    rules: Sequence[Rule], statement: pa.Table, ledger: pa.Table, pairs: Sequence[Pair], options: Options
) -> list[Explanation]:
    """Every rule's verdicts on every pair. The tables need hold no other rows than those of the pairs."""
    with opened(options, statement.num_rows + ledger.num_rows) as session:
        sides = load(session, rules, statement, ledger, options)
        _name_pairs(session, sides, pairs)
        shown = _Shown(session, sides, pairs)
        return [
            Explanation(number, index, tuple(verdicts))
            for index, rule in enumerate(rules)
            for number, verdicts in enumerate(_verdicts(session, sides, rule, len(pairs), shown))
        ]


def _name_pairs(session: Session, sides: Sides, pairs: Sequence[Pair]) -> None:
    """Table ``chosen(pair, side, u)``."""
    wanted = {(side, key) for pair in pairs for side in (0, 1) for key in pair[side]}
    places: dict[tuple[int, RowKey], int] = {}
    for side, table in enumerate(sides.rows.values()):
        ids = pa.array({key[0] for of, key in wanted if of == side}, pa.int64())
        some = table.select(["id", "part", "u"]).filter(pc.is_in(table["id"], ids))
        places |= {(side, (row["id"], row["part"])): row["u"] for row in some.to_pylist()}
    rows = [
        (n, side, places[side, key])
        for n, pair in enumerate(pairs) for side in (0, 1) for key in pair[side] if (side, key) in places
    ]  # fmt: skip
    columns = ("pair", "side", "u")
    session.load_rows("chosen", {name: [row[place] for row in rows] for place, name in enumerate(columns)})


def _member_query(session: Session, side: int, rule: Rule) -> str:
    """Query: the rows of each pair's side with the amount, date and currency of all of them together."""
    alias = ("s", "l")[side]
    pick = "max" if rule.group_date == "latest" else "min"
    total = "sum(r.amt) OVER p" if session.options.sign != "unsigned" else "abs(sum(r.amt) OVER p)"
    instant = f"CASE WHEN count(r.instant) OVER p = count(*) OVER p THEN {pick}(r.instant) OVER p END"
    return (
        f"SELECT r.* REPLACE ({total} AS amt, {pick}(r.day) OVER p AS day, {instant} AS instant), c.pair"
        f" FROM chosen c JOIN {alias} r USING (u) WHERE c.side = {side} WINDOW p AS (PARTITION BY c.pair)"
    )


def _verdicts(session: Session, sides: Sides, rule: Rule, count: int, shown: _Shown) -> list[list[Verdict]]:
    """By pair, the verdicts of one rule; a criterion is met if it is met for any of the rows of a group."""
    left, right = _member_query(session, 0, rule), _member_query(session, 1, rule)
    signs = "true" if session.options.sign == "unsigned" else "sign(s.amt) * sign(l.amt) >= 0"
    tests = [f"s.ccy = l.ccy AND {signs}", *(criterion.sql(sides.scope) for criterion in rule.criteria)]
    passed = _met(session, tests, left, right, "true")
    if rule.cross_currency:  # what is asked of one row is asked of its own amount, all else of the converted
        constant = [False, *(criterion.is_constant for criterion in rule.criteria)]
        converted = _met(session, tests, in_every_currency(session, sides, left), right, "s.ccy = l.ccy")
        nothing = [False] * len(tests)
        passed = {
            pair: [
                own if alone else other
                for own, alone, other in zip(flags, constant, converted.get(pair, nothing), strict=True)
            ]
            for pair, flags in passed.items()
        }
    return [shown.told(rule, number, passed.get(number, [False] * len(tests))) for number in range(count)]


def _met(session: Session, tests: Sequence[str], left: str, right: str, condition: str) -> dict[int, list[bool]]:
    """By pair, whether each of the tests is met for any of its rows."""
    flags = ", ".join(f"coalesce(bool_or({test}), false)" for test in tests)
    query = (
        f"SELECT s.pair, {flags} FROM ({left}) s JOIN ({right}) l ON s.pair = l.pair AND {condition} GROUP BY s.pair"
    )
    return {pair: met for pair, *met in session.rows(query)}


class _Shown:
    """The rows of the pairs in words."""

    def __init__(self, session: Session, sides: Sides, pairs: Sequence[Pair]) -> None:
        self.scale, self.options = sides.scope.scale, session.options
        self.rows: dict[tuple[Side, RowKey], dict[str, Any]] = {}
        self.pairs = pairs
        for number, (side, alias) in enumerate(ALIAS.items()):
            ids = pa.array([key[0] for pair in pairs for key in pair[number]], pa.int64())
            raw = self._with_grouping(sides.rows[side].filter(pc.is_in(sides.rows[side]["id"], ids)), side)
            amounts = dict(
                session.rows(f"SELECT u, amt FROM {alias} WHERE u IN (SELECT u FROM chosen WHERE side = {number})")
            )
            for row in raw:
                self.rows[side, (row["id"], row["part"])] = row | {"amt": amounts.get(row["u"], 0)}

    def told(self, rule: Rule, number: int, passed: Sequence[bool]) -> list[Verdict]:
        lines = [self.rows["statement", key] for key in self.pairs[number][0] if ("statement", key) in self.rows]
        entries = [self.rows["ledger", key] for key in self.pairs[number][1] if ("ledger", key) in self.rows]
        verdicts = [
            self._verdict(rule, criterion, lines, entries, met=met)
            for criterion, met in zip(rule.criteria, passed[1:], strict=True)
        ]
        if not passed[0]:
            found, other = (
                f"{self._amount(rows)} {_joined(row['currency'] for row in rows)}" for rows in (lines, entries)
            )
            sentence = "Both sides have the same currency and direction"
            verdicts.insert(0, Verdict(0, sentence, other, found, None, passed=False))
        return [*self._no_groups("statement", lines), *self._no_groups("ledger", entries),
                *self._other_groups(rule, lines, entries), *verdicts]  # fmt: skip

    def _with_grouping(self, table: pa.Table, side: Side) -> list[dict[str, Any]]:
        """The rows, each with its ``grouping`` values as they are compared; none where the strategy asks for none."""
        rows: list[dict[str, Any]] = table.to_pylist()
        has_some = side in grouped_sides(self.options.strategy) or keeps_group_values(self.options.strategy)
        names = self.options.grouping if has_some else ()
        columns = [grouping_column(table, name).to_pylist() for name in names]
        return [row | {"grouping": values} for row, *values in zip(rows, *columns, strict=True)]

    def _no_groups(self, side: Side, rows: list[dict[str, Any]]) -> Iterable[Verdict]:
        """What keeps the rows of one side from being a group: values that differ, or that one of them has not."""
        if side not in grouped_sides(self.options.strategy) or not rows:
            return
        for place, name in enumerate(self.options.grouping):
            values = {row["grouping"][place] for row in rows}
            if len(values) > 1 or None in values:
                sentence = f"The rows of the {side}'s group have the same {_field(name)}"
                yield Verdict(0, sentence, "one that all have", self._grouping(name, rows), None, passed=False)

    def _other_groups(
        self, rule: Rule, lines: list[dict[str, Any]], entries: list[dict[str, Any]]
    ) -> Iterable[Verdict]:
        """The grouping values that both sides must share and do not."""
        for place in shared_grouping(rule, self.options):
            name = self.options.grouping[place]
            values, others = ({row["grouping"][place] for row in rows} for rows in (lines, entries))
            if lines and entries and (values != others or None in values):
                sentence = f"Both sides have the same {_field(name)}"
                found, other = self._grouping(name, lines), self._grouping(name, entries)
                yield Verdict(0, sentence, other, found, None, passed=False)

    def _grouping(self, name: str, rows: list[dict[str, Any]]) -> str:
        if name == "amount":
            return _joined(f"{self._amount([row])}" for row in rows)
        if name == "date":
            return _joined(_shown_day(row) for row in rows)
        return _joined(row["external_id" if name == "id" else name] for row in rows)

    def _verdict(
        self,
        rule: Rule,
        criterion: Criterion,
        lines: list[dict[str, Any]],
        entries: list[dict[str, Any]],
        *,
        met: bool,
    ) -> Verdict:
        read = entries if criterion.is_constant and criterion.applies_to == "ledger" else lines
        found = self._value(criterion.field.name, read)
        other = self._value(criterion.ledger_field.name, entries)
        difference = None if criterion.is_constant else self._difference(rule, criterion, lines, entries)
        return Verdict(criterion.number, criterion.sentence(), criterion.expectation(other), found, difference, met)

    def _value(self, field: str, rows: list[dict[str, Any]]) -> str:
        if field == "amount":
            return f"{self._amount(rows)}"
        if field == "date":
            return _joined(_shown_date(row) for row in rows)
        return _joined(row[field] for row in rows)

    def _amount(self, rows: list[dict[str, Any]]) -> Decimal:
        total = Decimal(sum(int(row["amt"]) for row in rows)).scaleb(-self.scale)
        places = max((row["scale"] for row in rows), default=0)
        return total.quantize(Decimal(1).scaleb(-places))

    def _difference(
        self, rule: Rule, criterion: Criterion, lines: list[dict[str, Any]], entries: list[dict[str, Any]]
    ) -> str | None:
        if criterion.field.kind == "amount":
            return f"{self._amount(lines) - self._amount(entries)}"
        if criterion.field.kind == "date":
            days = [[row["day"] for row in rows if row["day"] is not None] for rows in (lines, entries)]
            pick = max if rule.group_date == "latest" else min
            return f"{pick(days[0]) - pick(days[1])} days" if all(days) else None
        if criterion.field.kind == "text" and len(lines) == len(entries) == 1:
            line, entry = text_key(lines[0][criterion.field.name]), text_key(entries[0][criterion.ledger_field.name])
            return f"{100 * Levenshtein.normalized_similarity(line, entry):.0f}% alike" if line and entry else None
        return None


def _shown_date(row: Mapping[str, Any]) -> str | None:
    if row["booked_at"] is not None:
        return str(row["booked_at"].isoformat(timespec="seconds"))
    return _shown_day(row)


def _shown_day(row: Mapping[str, Any]) -> str | None:
    return None if row["day"] is None else (_EPOCH + timedelta(days=row["day"])).isoformat()


def _field(name: str) -> str:
    return name.replace("_", " ")


def _joined(values: Iterable[str | None]) -> str:
    """Each different value once, in order; a missing one is said in a word."""
    return ", ".join(dict.fromkeys(value or "nothing" for value in values)) or "nothing"
