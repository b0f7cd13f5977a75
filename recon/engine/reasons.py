"""Why an item stayed open, and what came nearest.

Each criterion in turn is left out: whoever meets all the others is a near miss, and the one left out is the reason.
The miss that keeps the most telling criteria wins: the same reference at another amount says more than the same day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from recon.engine.candidates import (
    Band,
    Join,
    amount_cells,
    date_cells,
    estimate,
    pair_query,
    plain_join,
    widening,
    widest_gap,
)
from recon.engine.conversion import in_every_currency
from recon.engine.outcome import UNMATCHED
from recon.engine.pairs import Flags
from recon.engine.plan import CURRENCY, SIGN, Part, Plan, make_plan
from recon.engine.session import Session
from recon.engine.sides import SIDES, Sides, grouped_sides
from recon.engine.standing import Met, Standing, limit_of
from recon.engine.subset_sum import Missed
from recon.engine.telling import Taken, reasons_told, units_told
from recon.engine.twins import row_twins
from recon.engine.units import Units, open_units, partly_claimed, with_every_text
from rules.criteria import Criterion, Rule
from rules.criteria.scope import ALIAS, Side

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
    session.run(
        "CREATE TABLE near (side TINYINT, u INTEGER, rank INTEGER, reason VARCHAR, rule INTEGER, criterion INTEGER,"
        " other_side TINYINT, other INTEGER, difference BIGINT)"
    )
    taken = _taken(session, kept)
    for index, rule in enumerate(rules):
        leftovers = _leftovers(session, sides, rule, taken)
        if any(session.count(leftovers.open[SIDES.index(side)]) for side in session.options.told):
            _near_misses(session, sides, index, rule, leftovers)
            if seen.met:
                _claimed_by_another(session, sides, index, rule, leftovers, seen.met[index])
        session.drop(*leftovers.open)
    _in_no_sum(session, seen.missed)
    _duplicates(session, sides, taken)
    _partly_claimed(session)
    return reasons_told(session, sides, taken)


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
        session.some_of("left", each.table, np.flatnonzero(flags).astype(np.int32))
        for each, flags in zip(units, free, strict=True)
    )
    return Leftovers(units, free, (left, right))


def _near_misses(session: Session, sides: Sides, index: int, rule: Rule, left: Leftovers) -> None:
    options = session.options
    if not all(session.count(table) for table in left.open):
        return
    aside = _left_aside(session, rule)
    if not aside:
        _note(session, sides, index, make_plan(rule, sides, options), left, left.open, "ambiguous", _AMBIGUOUS)
    for criterion in rule.criteria:
        if criterion.number not in aside:
            plan = make_plan(rule, sides, options, without={criterion.number, *aside})
            _note(session, sides, index, plan, left, left.open, _reason(criterion, left), _NEAR, criterion)
    if not sides.one_currency and not rule.cross_currency:
        plan = make_plan(rule, sides, options, without={CURRENCY, *_on_currency(rule), *aside})
        _note(session, sides, index, plan, left, left.open, "currency_differs", _NEAR + 40)
    if options.sign != "unsigned" and sides.signed and not aside:
        plan = make_plan(rule, sides, options, without={SIGN})
        negated = session.create("negated", f"SELECT t.* REPLACE (-amt AS amt) FROM {left.open[0]} t WHERE amt <> 0")
        _note(session, sides, index, plan, left, (negated, left.open[1]), "opposite_sign", _NEAR + 40)
        session.drop(negated)


def _left_aside(session: Session, rule: Rule) -> set[Part]:
    """What single rows need not meet where sums are sought: amounts, and their signs."""
    if not session.options.searches_sums:
        return set()
    return {SIGN, *(each.number for each in rule.criteria if each.field.kind == "amount" and not each.is_constant)}


def _in_no_sum(session: Session, missed: Sequence[Missed]) -> None:
    """What a search for sums said of rows; of several sums the nearest."""
    rank = {"ambiguous": _AMBIGUOUS, "claimed_by_another": _CLAIMED, "group_total_differs": _NEAR}
    best: dict[tuple[int, int, str], Missed] = {}
    for each in missed:
        key = each.side, each.row, each.reason
        if key not in best or _how_far(each) < _how_far(best[key]):
            best[key] = each
    if not best:
        return
    rows = list(best.values())
    given = pa.table(
        {
            "side": [each.side for each in rows],
            "u": [each.row for each in rows],
            "rank": [rank[each.reason] for each in rows],
            "reason": [each.reason for each in rows],
            "rule": [each.rule for each in rows],
            "criterion": pa.nulls(len(rows), pa.int32()),
            "other_side": [1 - each.side for each in rows],
            "other": pa.array([each.other for each in rows], pa.int32()),
            "difference": pa.array([each.difference for each in rows], pa.int64()),
        }
    )
    table = session.create_from("missed", given, "FROM given")
    session.run(f"INSERT INTO near FROM {table}")


def _how_far(missed: Missed) -> tuple[int, int, int]:
    far = 2**63 if missed.difference is None else abs(missed.difference)
    return missed.rule, far, -1 if missed.other is None else missed.other


def _on_currency(rule: Rule) -> set[Part]:
    return {each.number for each in rule.criteria if each.field.kind == "currency" and not each.is_constant}


def _claimed_by_another(session: Session, sides: Sides, index: int, rule: Rule, left: Leftovers, met: Met) -> None:
    """Who would match exactly what another match has taken; pairs of open units have been noted as ambiguous.

    Whom a unit could best have had is known of those that were open when the rule began, so only that one and what was
    gone by then is looked at.
    """
    plan = make_plan(rule, sides, session.options)
    group = any(units.grouped for units in left.units)
    reason = "group_already_settled" if group else "claimed_by_another"
    for own, side in enumerate(SIDES):
        if side not in session.options.told:
            continue
        others = session.some_of("others", left.units[1 - own].table, met.could_have(own, left.free[own]))
        open_ = left.open[own]
        for band in _bands(session, plan, sides, (open_, others) if own == 0 else (others, open_)):
            if not session.count(open_) or not session.count(others):
                break
            tables = (open_, others) if own == 0 else (others, open_)
            _note(session, sides, index, plan, left, tables, reason, _CLAIMED, band=band, told=(side,))
            # Whoever found somebody at this difference finds nobody nearer at a wider one.
            found = (
                f"SELECT u FROM near WHERE side = {own} AND rule = {index} AND rank BETWEEN {_CLAIMED} AND {_NEAR - 1}"
            )
            rest = session.create("unclaimed", f"SELECT t.* FROM {open_} t ANTI JOIN ({found}) n USING (u)")
            if open_ != left.open[own]:
                session.drop(open_)
            open_ = rest
        session.drop(others, *{open_} - {left.open[own]})


def _bands(session: Session, plan: Plan, sides: Sides, tables: tuple[str, str]) -> Iterable[Band | None]:
    """Widening bands of the plan's amount window; all differences at once where it has none, or pairs are few."""
    if plan.amount is None or plan.exact_amount or math.prod(map(session.count, tables)) <= _ALWAYS_CHEAP:
        return (None,)
    if estimate(session, plain_join(plan, *tables)) <= _ALWAYS_CHEAP:
        return (None,)
    return widening(widest_gap(session, plan, sides, tables[1]))


def _note(
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
) -> None:
    """Note for each open unit the best of its pairs under the plan; nothing if there would be too many pairs."""
    filtered = [
        open_units(session, units, plan.criteria, sides, among=table)
        for units, table in zip(left.units, tables, strict=True)
    ]
    sources = [with_every_text(units, table, plan.criteria) for units, table in zip(left.units, filtered, strict=True)]
    if plan.rule.cross_currency:
        sources[0] = in_every_currency(session, sides, sources[0])
    join = _affordable(session, plan, sources[0], sources[1], sides, band)
    if join is None:
        return
    columns = ", ".join(name for name, _ in plan.order)
    query = pair_query(plan, join, once=plan.rule.cross_currency or any(units.several for units in left.units))
    pairs = session.create("near_pairs", f"FROM ({query}) ORDER BY {columns}, s, l")
    rank = base + 40 - sum(_TELLING[each.field.kind] for each in plan.criteria if not each.is_constant)
    code = f"'{reason}'"
    if criterion is not None and criterion.field.kind == "date":
        code = f"'date {' '.join(criterion.sides if criterion.is_constant else SIDES)}'"
    limit = limit_of(plan.rule, session.options, sides.scope.scale)
    if criterion is None and limit is not None and base in (_AMBIGUOUS, _CLAIMED):
        code = f"CASE WHEN p.gap > {limit} THEN 'difference_over_limit' ELSE {code} END"
    for side, row, other in ((0, "s", "l"), (1, "l", "s")):
        if SIDES[side] not in told or SIDES[side] not in session.options.told:
            continue
        session.run(
            f"""INSERT INTO near SELECT {side}, p.{row}, {max(rank, base)}, {code}, {index},
                    {criterion.number if criterion else 0}, {1 - side}, p.{other}, NULL FROM {pairs} p
                SEMI JOIN (SELECT min(rowid) AS r FROM {pairs} GROUP BY {row}) b ON p.rowid = b.r"""
        )
    session.drop(pairs)


def _affordable(session: Session, plan: Plan, left: str, right: str, sides: Sides, band: Band | None) -> Join | None:
    """The cheapest join that finds the plan's pairs (in a band), if it stays in proportion to the rows."""
    count = session.number(
        f"SELECT (SELECT count(*) FROM ({_query(left)})) + (SELECT count(*) FROM ({_query(right)}))"
    )
    limit = max(_ALWAYS_CHEAP, _PAIRS_PER_ROW * count)
    join = plain_join(plan, left, right, band)
    if estimate(session, join) <= limit:
        return join
    if plan.amount is not None and not plan.exact_amount and not (band and band.high == 0):
        wanted = band or Band(0, widest_gap(session, plan, sides, right))
        fewer = session.number(f"SELECT count(*) FROM ({_query(left)})") <= count / 2
        join = amount_cells(replace(plain_join(plan, left, right), spread="s" if fewer else "l"), wanted, sides)
    narrower = date_cells(join, plan) or join
    return narrower if estimate(session, narrower) <= limit else None


def _query(source: str) -> str:
    return source if " " in source else f"FROM {source}"


def _reason(criterion: Criterion, left: Leftovers) -> str:
    if criterion.field.kind == "amount" and any(units.grouped for units in left.units):
        return "group_total_differs"
    return f"{criterion.field.name}_differs"


def _duplicates(session: Session, sides: Sides, taken: tuple[Taken, Taken]) -> None:
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
            session.run(
                f"INSERT INTO near SELECT {side}, t.u, {_DUPLICATE}, 'possible_duplicate', NULL, NULL, {side}, m.u,"
                f" NULL FROM {twins} t JOIN {matched} m USING (kin)"
            )


def _partly_claimed(session: Session) -> None:
    for number, side in enumerate(SIDES):
        if groups := partly_claimed(session, side):
            session.run(
                f"INSERT INTO near SELECT {number}, u, {_PARTLY}, 'group_partly_claimed', NULL, NULL, NULL, NULL, NULL"
                f" FROM ({groups})"
            )
