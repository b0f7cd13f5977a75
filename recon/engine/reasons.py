"""Why an item stayed open, and what came nearest.

Each criterion in turn is left out: whoever meets all the others is a near miss, and the one left out is the reason.
The miss that keeps the most telling criteria wins: the same reference at another amount says more than the same day.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon.engine.candidates import (
    Alias,
    Band,
    Join,
    amount_cells,
    count_of,
    date_cells,
    estimate,
    pair_query,
    plain_join,
    widening,
    widest_gap,
)
from recon.engine.conversion import in_every_currency
from recon.engine.notes import NOTES, noted
from recon.engine.ordering import ranked
from recon.engine.outcome import UNMATCHED
from recon.engine.pairs import LAST, Flags, Rows, firsts
from recon.engine.plan import CURRENCY, FAR, SIGN, Part, Plan, make_plan, may_be_far, not_far
from recon.engine.session import Session
from recon.engine.sides import SIDES, Sides, grouped_sides
from recon.engine.standing import Met, Standing, limit_of
from recon.engine.subset_sum import Missed
from recon.engine.telling import Taken, reasons_told, units_told
from recon.engine.twins import row_twins
from recon.engine.units import Units, open_units, partly_claimed, with_every_text
from rules.criteria import Criterion, Rule
from rules.criteria.scope import ALIAS, Side, quoted

_PAIRS_PER_ROW = 20
_ALWAYS_CHEAP = 500_000
_TELLING = {"text": 8, "amount": 4, "date": 2, "currency": 1}
_PARTLY, _DUPLICATE, _AMBIGUOUS, _CLAIMED, _NEAR = 0, 50, 100, 200, 300


@dataclass(frozen=True)
class Leftovers:
    """The units of both sides, which of them are in no match, and the tables of these."""

    units: tuple[Units, Units]
    free: tuple[Flags, Flags]
    open: tuple[str, str]


@dataclass(frozen=True)
class Seen:
    """What was seen on the way: by rule whom units could have had; after a search for sums, where units are rows,
    whom it could not place."""

    met: Sequence[Met] = ()
    missed: Sequence[Missed] = ()


def unmatched_table(session: Session, sides: Sides, rules: Sequence[Rule], kept: Standing, seen: Seen) -> pa.Table:
    """All rows of the sides to be told that are in no match, each with its reason and the nearest miss."""
    if not any(_has_open_rows(session, sides, side, kept) for side in session.options.told):
        return UNMATCHED.empty_table()
    taken = _taken(session, kept)
    notes: list[pa.Table] = []
    for index, rule in enumerate(rules):
        leftovers = _leftovers(session, sides, rule, taken)
        if any(session.count(leftovers.open[SIDES.index(side)]) for side in session.options.told):
            met = seen.met[index] if seen.met else None
            notes += _near_misses(session, sides, index, rule, leftovers, met)
            if met is not None:
                notes += _claimed_by_another(session, sides, index, rule, leftovers, met)
        notes += _without_a_rate(session, sides, index, rule, leftovers)
        session.drop(*leftovers.open)
    notes += [_in_no_sum(seen.missed), *_duplicates(session, sides, taken), *_partly_claimed(session)]
    return reasons_told(session, sides, taken, pa.concat_tables(notes))


def _has_open_rows(session: Session, sides: Sides, side: Side, kept: Standing) -> bool:
    """False only if every row of the side is in a match; of groups that is not known without looking."""
    matched = len(kept.line if side == "statement" else kept.entry)
    return side in grouped_sides(session.options.strategy) or matched < sides.rows[side].num_rows


def _taken(session: Session, kept: Standing) -> tuple[Taken, Taken]:
    found = []
    for side, units in zip(SIDES, (kept.line, kept.entry), strict=True):
        rows, confirmed = units, kept.confirmed
        if session.options.searches_sums and side in grouped_sides(session.options.strategy):
            members = session.arrow(f"SELECT u, row FROM members_{ALIAS[side]}")
            at = {unit: place for place, unit in enumerate(units.tolist())}
            rows = members["row"].to_numpy()
            confirmed = kept.confirmed[[at[unit] for unit in members["u"].to_pylist()]]
        found.append(Taken(rows, confirmed))
    return found[0], found[1]


def _leftovers(session: Session, sides: Sides, rule: Rule, taken: tuple[Taken, Taken]) -> Leftovers:
    units = (units_told(session, sides, "statement", rule), units_told(session, sides, "ledger", rule))
    free = (np.ones(sides.sizes[0], np.bool_), np.ones(sides.sizes[1], np.bool_))
    for flags, own in zip(free, taken, strict=True):
        flags[own.units] = False
    left, right = (
        _without(session, each, own.units)
        if each.grouped  # which are far fewer than rows
        else session.some_of("left", each.table, np.flatnonzero(flags).astype(np.int32))
        for each, own, flags in zip(units, taken, free, strict=True)
    )
    return Leftovers(units, free, (left, right))


def _without(session: Session, units: Units, taken: Rows) -> str:
    query = f"SELECT t.* FROM {units.table} t ANTI JOIN given USING (u)"
    return session.create_from("left", pa.table({"u": taken}), query)


def _near_misses(
    session: Session, sides: Sides, index: int, rule: Rule, left: Leftovers, met: Met | None
) -> Iterator[pa.Table]:
    options = session.options
    if not all(session.count(table) for table in left.open):
        return
    aside = _left_aside(session, rule)
    if met is not None and any(free[took].any() for free, took in zip(left.free, met.took, strict=True)):
        yield from _notes(
            session, sides, index, make_plan(rule, sides, options), left, left.open, "ambiguous", _AMBIGUOUS
        )
    for criterion in rule.criteria:
        if criterion.number not in aside:
            plan = make_plan(rule, sides, options, without={criterion.number, *aside})
            yield from _notes(session, sides, index, plan, left, left.open, _reason(criterion, left), _NEAR, criterion)
    if may_be_far(rule, sides) and not options.searches_sums:
        plan = make_plan(rule, sides, options, without=aside)
        if near := not_far(rule, sides, options, exact=plan.exact_amount):
            plan = replace(plan, conditions=(*plan.conditions, f"NOT ({' AND '.join(near)})"))
        yield from _notes(session, sides, index, plan, left, left.open, _amount_reason(left), _NEAR)
    if not sides.one_currency and not rule.cross_currency:
        plan = make_plan(rule, sides, options, without={CURRENCY, *_on_currency(rule), *aside})
        yield from _notes(session, sides, index, plan, left, left.open, "currency_differs", _NEAR + 40)
    if options.sign != "unsigned" and sides.signed and SIGN not in aside:
        plan = make_plan(rule, sides, options, without={SIGN, *aside})
        negated = session.create("negated", f"SELECT t.* REPLACE (-amt AS amt) FROM {left.open[0]} t WHERE amt <> 0")
        yield from _notes(session, sides, index, plan, left, (negated, left.open[1]), "opposite_sign", _NEAR + 40)
        session.drop(negated)


def _left_aside(session: Session, rule: Rule) -> set[Part]:
    """What a near miss need not meet: how far amounts may be apart at all; where sums are sought, single rows' amounts
    and their signs."""
    if not session.options.searches_sums:
        return {FAR}
    amounts = (each.number for each in rule.criteria if each.field.kind == "amount" and not each.is_constant)
    return {FAR, SIGN, *amounts}


def _in_no_sum(missed: Sequence[Missed]) -> pa.Table:
    """What a search for sums said of rows; of several sums the nearest."""
    rank = {
        "ambiguous": _AMBIGUOUS, "too_many_candidates": _AMBIGUOUS, "claimed_by_another": _CLAIMED,
        "group_total_differs": _NEAR,
    }  # fmt: skip
    best: dict[tuple[int, int, str], Missed] = {}
    for each in missed:
        key = each.side, each.row, each.reason
        if key not in best or _how_far(each) < _how_far(best[key]):
            best[key] = each
    return pa.Table.from_pylist(
        [
            {
                "side": each.side, "u": each.row, "rank": rank[each.reason], "reason": each.reason, "rule": each.rule,
                "other_side": 1 - each.side, "other": each.other, "difference": each.difference,
            }
            for each in best.values()
        ],
        schema=NOTES,
    )  # fmt: skip


def _how_far(missed: Missed) -> tuple[int, int, int]:
    far = 2**63 if missed.difference is None else abs(missed.difference)
    return missed.rule, far, -1 if missed.other is None else missed.other


def _on_currency(rule: Rule) -> set[Part]:
    return {each.number for each in rule.criteria if each.field.kind == "currency" and not each.is_constant}


def _claimed_by_another(
    session: Session, sides: Sides, index: int, rule: Rule, left: Leftovers, met: Met
) -> Iterator[pa.Table]:
    """Who would match exactly what another match has taken; pairs of open units have been noted as ambiguous.

    Whom a unit could best have had is known of those that were open when the rule began, so only that one and what was
    gone by then is looked at.
    """
    plan = make_plan(rule, sides, session.options)
    group = any(units.grouped for units in left.units)
    reason = "group_already_settled" if group else "claimed_by_another"
    for own, side in enumerate(SIDES):
        could_have, open_ = met.could_have(own, left.free[own]), left.open[own]
        if side not in session.options.told or not len(could_have):
            continue
        others = session.some_of("others", left.units[1 - own].table, could_have)
        free = left.free[own].copy()
        for band in _bands(session, plan, sides, (open_, others) if own == 0 else (others, open_)):
            if not session.count(open_) or not session.count(others):
                break
            tables = (open_, others) if own == 0 else (others, open_)
            found = _notes(session, sides, index, plan, left, tables, reason, _CLAIMED, band=band, told=(side,))
            yield from found
            if band is None:
                break
            # Whoever found somebody at this difference finds nobody nearer at a wider one.
            free[pa.concat_tables([NOTES.empty_table(), *found])["u"].to_numpy()] = False
            session.drop(*{open_} - {left.open[own]})
            open_ = session.some_of("unclaimed", left.units[own].table, np.flatnonzero(free).astype(np.int32))
        session.drop(others, *{open_} - {left.open[own]})


def _bands(session: Session, plan: Plan, sides: Sides, tables: tuple[str, str]) -> Iterable[Band | None]:
    """Widening bands of the plan's amount window; all differences at once where it has none, or pairs are few."""
    if plan.amount is None or plan.exact_amount or _cheap(sides, *map(session.count, tables)):
        return (None,)
    if estimate(session, plain_join(plan, *tables)) <= _ALWAYS_CHEAP:
        return (None,)
    return widening(widest_gap(session, plan, sides, tables[1]))


def _notes(
    session: Session,
    sides: Sides,
    index: int,
    plan: Plan,
    left: Leftovers,
    tables: tuple[str, str],
    reason: str,
    base: int,
    criterion: Criterion | None = None,
    band: Band | None = None,
    told: Sequence[Side] = SIDES,
) -> list[pa.Table]:
    """Of each open unit the best of its pairs under the plan; nothing if there would be too many pairs."""
    filtered = [
        open_units(session, units, plan.criteria, sides, among=table)
        for units, table in zip(left.units, tables, strict=True)
    ]
    sources = [with_every_text(units, table, plan.criteria) for units, table in zip(left.units, filtered, strict=True)]
    if plan.rule.cross_currency:
        sources[0] = in_every_currency(session, sides, sources[0])
    join = _affordable(session, plan, sources[0], sources[1], sides, band)
    if join is None:
        return []
    several = plan.rule.cross_currency or any(units.several for units in left.units)
    found = session.arrow(pair_query(plan, join, once=several))
    if not found.num_rows:
        return []
    pairs = ranked(session, found, [name for name, _ in plan.order])
    rank = base + 40 - sum(_TELLING[each.field.kind] for each in plan.criteria if not each.is_constant)
    if criterion is not None and criterion.field.kind == "date":
        reason = f"date {' '.join(criterion.sides if criterion.is_constant else SIDES)}"
    limit = limit_of(plan.rule, session.options, sides.scope.scale)
    notes = []
    for side, row in enumerate((pairs.line, pairs.entry)):
        if SIDES[side] not in told or SIDES[side] not in session.options.told:
            continue
        first = firsts(row, pairs.rank, sides.sizes[side])
        best = pairs.read(first[first != LAST])
        unit, other = best.of(side)
        why: str | pa.Array = reason
        if criterion is None and limit is not None and base in (_AMBIGUOUS, _CLAIMED):
            why = pc.if_else(pa.array(best.gap > limit), "difference_over_limit", reason)
        number = criterion.number if criterion else 0
        notes.append(noted(side, unit, max(rank, base), why, rule=index, criterion=number, other=(1 - side, other)))
    return notes


def _affordable(session: Session, plan: Plan, left: str, right: str, sides: Sides, band: Band | None) -> Join | None:
    """The cheapest join that finds the plan's pairs (in a band), if it stays in proportion to the rows."""
    rows = count_of(session, left), count_of(session, right)
    limit = max(_ALWAYS_CHEAP, _PAIRS_PER_ROW * sum(rows))
    join = plain_join(plan, left, right, band)
    if _cheap(sides, *rows) or estimate(session, join) <= limit:
        return join
    if plan.amount is not None and not plan.exact_amount and not (band and band.high == 0):
        wanted = band or Band(0, widest_gap(session, plan, sides, right))
        spread: Alias = "s" if rows[0] <= rows[1] else "l"
        join = amount_cells(replace(plain_join(plan, left, right), spread=spread), wanted, sides)
    narrower = date_cells(join, plan) or join
    return narrower if estimate(session, narrower) <= limit else None


def _cheap(sides: Sides, left: int, right: int) -> bool:
    """Whether so many rows may be compared with each other; those of several books are few in each."""
    return bool(sides.lots) or left * right <= _ALWAYS_CHEAP


def _without_a_rate(session: Session, sides: Sides, index: int, rule: Rule, left: Leftovers) -> Iterator[pa.Table]:
    """Open units that a rule across currencies compares with nothing: for no currency of the other side a rate was
    given. They say which rates that would be."""
    if not rule.cross_currency or sides.one_currency:
        return
    lot = "lot" if sides.lots else "0"
    found = [session.rows(f"SELECT DISTINCT {lot}, ccy FROM {ALIAS[side]} ORDER BY ALL") for side in SIDES]
    for own, side in enumerate(SIDES):
        for book, currency in found[own]:
            others = [other for its, other in found[1 - own] if its == book]
            rates = [(currency, other) if side == "statement" else (other, currency) for other in others]
            if not rates or currency in others or any(rate in session.options.rates for rate in rates):
                continue
            query = f"SELECT u FROM {left.open[own]} WHERE {lot} = {book} AND ccy = {quoted(currency)}"
            detail = json.dumps({"rates_missing": ["/".join(rate) for rate in rates]}, separators=(", ", ":"))
            units = session.arrow(query)["u"].to_numpy()
            yield noted(own, units, _NEAR + 39, "no_rate", rule=index, criterion=0, detail=detail)


def _reason(criterion: Criterion, left: Leftovers) -> str:
    return _amount_reason(left) if criterion.field.kind == "amount" else f"{criterion.field.name}_differs"


def _amount_reason(left: Leftovers) -> str:
    return "group_total_differs" if any(units.grouped for units in left.units) else "amount_differs"


def _duplicates(session: Session, sides: Sides, taken: tuple[Taken, Taken]) -> Iterator[pa.Table]:
    """Rows whose interchangeable twin has been matched: the file has one more of them than the other side.

    Where no row had several candidates, nobody has asked for twins, and there are none of this kind.
    """
    for side, own in enumerate(taken):
        twins = f"twins_{ALIAS[SIDES[side]]}"
        if twins in session.wanted and session.count(row_twins(session, sides, SIDES[side])):
            # By kind, never twin with twin: of a hundred thousand equal rows that would be ten thousand million pairs.
            confirmed = pa.table({"u": own.units[own.confirmed]})
            matched = session.create_from(
                "matched",
                confirmed,
                f"SELECT t.kin, min(t.u) AS u FROM {twins} t SEMI JOIN given USING (u) GROUP BY t.kin",
            )
            found = session.arrow(f"SELECT t.u, m.u AS other FROM {twins} t JOIN {matched} m USING (kin)")
            other = side, found["other"].to_numpy()
            yield noted(side, found["u"].to_numpy(), _DUPLICATE, "possible_duplicate", other=other)


def _partly_claimed(session: Session) -> Iterator[pa.Table]:
    for number, side in enumerate(SIDES):
        if groups := partly_claimed(session, side):
            yield noted(number, session.arrow(groups)["u"].to_numpy(), _PARTLY, "group_partly_claimed")
