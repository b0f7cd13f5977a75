"""Why an item stayed open, and what came nearest.

Each criterion in turn is left out: whoever meets all the others is a near miss, and the one left out is the reason.
The miss that keeps the most telling criteria wins: the same reference at another amount says more than the same day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
from recon.engine.contest import Flags
from recon.engine.outcome import UNMATCHED
from recon.engine.plan import CURRENCY, SIGN, Part, Plan, make_plan
from recon.engine.session import Session
from recon.engine.sides import SIDES, Sides, grouped_sides
from recon.engine.standing import Standing, limit_of
from recon.engine.subset_sum import Missed
from recon.engine.taking import Rows
from recon.engine.units import Units, make_units, open_units, partly_claimed, with_every_text
from rules.criteria import Criterion, Rule
from rules.criteria.scope import ALIAS, Side

_PAIRS_PER_ROW = 20
_ALWAYS_CHEAP = 500_000
_TELLING = {"text": 8, "amount": 4, "date": 2, "currency": 1}
_PARTLY, _DUPLICATE, _AMBIGUOUS, _CLAIMED, _NEAR = 0, 50, 100, 200, 300


@dataclass(frozen=True)
class Leftovers:
    """The units of both sides, and the tables of those that are open."""

    units: tuple[Units, Units]
    open: tuple[str, str]


@dataclass(frozen=True)
class Taken:
    """The units of a side that are in some match, and which of these matches are confirmed."""

    units: Rows
    confirmed: Flags


def unmatched_table(
    session: Session, sides: Sides, rules: Sequence[Rule], kept: Standing, missed: Sequence[Missed] = ()
) -> pa.Table:
    """All rows of the sides to be told that are in no match, each with its reason and the nearest miss.

    ``missed``: whom a search for sums could not place. After one, units are rows.
    """
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
            if session.options.searches_sums:
                _near_sums(session, sides, index, rule, leftovers)
            else:
                _near_misses(session, sides, index, rule, leftovers)
                _claimed_by_another(session, sides, index, rule, leftovers)
        session.drop(*leftovers.open)
    _in_no_sum(session, missed)
    _duplicates(session, taken)
    _partly_claimed(session)
    return _told(session, sides, taken)


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


def _units(session: Session, sides: Sides, side: Side, rule: Rule | None) -> Units:
    return Units(side, ALIAS[side]) if session.options.searches_sums else make_units(session, sides, side, rule)


def _leftovers(session: Session, sides: Sides, rule: Rule, taken: tuple[Taken, Taken]) -> Leftovers:
    units = (_units(session, sides, "statement", rule), _units(session, sides, "ledger", rule))
    open_ = []
    for each, own, count in zip(units, taken, sides.sizes, strict=True):
        listed, join = own.units, "ANTI"
        if not each.grouped:  # what is left is mostly less than what was taken
            free = np.ones(count, np.bool_)
            free[own.units] = False
            listed, join = np.flatnonzero(free).astype(np.int32), "SEMI"
        query = f"SELECT t.* FROM {each.table} t {join} JOIN given USING (u)"
        open_.append(session.create_from("left", pa.table({"u": listed}), query))
    return Leftovers(units, (open_[0], open_[1]))


def _near_misses(session: Session, sides: Sides, index: int, rule: Rule, left: Leftovers) -> None:
    options = session.options
    if not all(session.count(table) for table in left.open):
        return
    _note(session, sides, index, make_plan(rule, sides, options), left, left.open, "ambiguous", _AMBIGUOUS)
    for criterion in rule.criteria:
        plan = make_plan(rule, sides, options, without={criterion.number})
        _note(session, sides, index, plan, left, left.open, _reason(criterion, left), _NEAR, criterion)
    if not sides.one_currency and not rule.cross_currency:
        plan = make_plan(rule, sides, options, without={CURRENCY, *_on_currency(rule)})
        _note(session, sides, index, plan, left, left.open, "currency_differs", _NEAR + 40)
    if options.sign != "unsigned" and sides.signed:
        plan = make_plan(rule, sides, options, without={SIGN})
        negated = session.create("negated", f"SELECT t.* REPLACE (-amt AS amt) FROM {left.open[0]} t WHERE amt <> 0")
        _note(session, sides, index, plan, left, (negated, left.open[1]), "opposite_sign", _NEAR + 40)
        session.drop(negated)


def _near_sums(session: Session, sides: Sides, index: int, rule: Rule, left: Leftovers) -> None:
    """Rows that would be summed with somebody but for one criterion; what they would add up to is left aside."""
    if not all(session.count(table) for table in left.open):
        return
    sums: set[Part] = {each.number for each in rule.criteria if each.field.kind == "amount" and not each.is_constant}
    for criterion in rule.criteria:
        if criterion.number not in sums:
            plan = make_plan(rule, sides, session.options, without={criterion.number, SIGN, *sums})
            _note(session, sides, index, plan, left, left.open, _reason(criterion, left), _NEAR, criterion)
    if not sides.one_currency:
        plan = make_plan(rule, sides, session.options, without={CURRENCY, SIGN, *_on_currency(rule), *sums})
        _note(session, sides, index, plan, left, left.open, "currency_differs", _NEAR + 40)


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
    rows = [
        (
            each.side,
            each.row,
            rank[each.reason],
            each.reason,
            each.rule,
            None,
            1 - each.side,
            each.other,
            each.difference,
        )
        for each in best.values()
    ]
    columns = ("side", "u", "rank", "reason", "rule", "criterion", "other_side", "other", "difference")
    given = pa.table({name: pa.array(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)})
    table = session.create_from("missed", given, "FROM given")
    session.run(f"INSERT INTO near FROM {table}")


def _how_far(missed: Missed) -> tuple[int, int, int]:
    far = 2**63 if missed.difference is None else abs(missed.difference)
    return missed.rule, far, -1 if missed.other is None else missed.other


def _on_currency(rule: Rule) -> set[Part]:
    return {each.number for each in rule.criteria if each.field.kind == "currency" and not each.is_constant}


def _claimed_by_another(session: Session, sides: Sides, index: int, rule: Rule, left: Leftovers) -> None:
    """Who would match exactly what another match has taken; pairs of open units have been noted as ambiguous."""
    plan = make_plan(rule, sides, session.options)
    group = any(units.grouped for units in left.units)
    reason = "group_already_settled" if group else "claimed_by_another"
    for side, own in zip(SIDES, (0, 1), strict=True):
        if side not in session.options.told:
            continue
        open_, everything = left.open[own], left.units[1 - own].table
        for band in _bands(session, plan, sides, (open_, everything)):
            if not session.count(open_) or not session.count(everything):
                break
            tables = (open_, everything) if own == 0 else (everything, open_)
            _note(session, sides, index, plan, left, tables, reason, _CLAIMED, band=band)
            # Whoever found somebody at this difference finds nobody nearer at a wider one.
            found = (
                f"SELECT u FROM near WHERE side = {own} AND rule = {index} AND rank BETWEEN {_CLAIMED} AND {_NEAR - 1}"
            )
            rest = session.create("unclaimed", f"SELECT t.* FROM {open_} t ANTI JOIN ({found}) n USING (u)")
            if open_ != left.open[own]:
                session.drop(open_)
            open_ = rest
        if open_ != left.open[own]:
            session.drop(open_)


def _bands(session: Session, plan: Plan, sides: Sides, tables: Sequence[str]) -> Iterable[Band | None]:
    """Widening bands of the plan's amount window; all differences at once where it has none, or rows are few."""
    few = math.prod(session.count(table) for table in tables) <= _ALWAYS_CHEAP
    return (None,) if few or plan.amount is None or plan.exact_amount else widening(widest_gap(plan, sides))


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
) -> None:
    """Note for each open unit the best of its pairs under the plan; nothing if there would be too many pairs."""
    filtered = [
        open_units(session, units, plan.criteria, sides, among=table)
        for units, table in zip(left.units, tables, strict=True)
    ]
    sources = [with_every_text(units, table, plan.criteria) for units, table in zip(left.units, filtered, strict=True)]
    join = _affordable(session, plan, sources[0], sources[1], sides, band)
    if join is None:
        return
    columns = ", ".join(name for name, _ in plan.order)
    query = pair_query(plan, join, once=any(units.several for units in left.units))
    pairs = session.create("near_pairs", f"FROM ({query}) ORDER BY {columns}, s, l")
    rank = base + 40 - sum(_TELLING[each.field.kind] for each in plan.criteria if not each.is_constant)
    code = f"'{reason}'"
    if criterion is not None and criterion.field.kind == "date":
        code = f"'date {' '.join(criterion.sides if criterion.is_constant else SIDES)}'"
    limit = limit_of(plan.rule, session.options, sides.scope.scale)
    if criterion is None and limit is not None and base in (_AMBIGUOUS, _CLAIMED):
        code = f"CASE WHEN p.gap > {limit} THEN 'difference_over_limit' ELSE {code} END"
    for side, row, other in ((0, "s", "l"), (1, "l", "s")):
        if tables[side] == left.units[side].table or SIDES[side] not in session.options.told:
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
        wanted = band or Band(0, widest_gap(plan, sides))
        fewer = session.number(f"SELECT count(*) FROM ({_query(left)})") <= count / 2
        join = amount_cells(plain_join(plan, left, right), wanted, sides, spread="s" if fewer else "l")
    narrower = date_cells(join, plan) or join
    return narrower if estimate(session, narrower) <= limit else None


def _query(source: str) -> str:
    return source if " " in source else f"FROM {source}"


def _reason(criterion: Criterion, left: Leftovers) -> str:
    if criterion.field.kind == "amount" and any(units.grouped for units in left.units):
        return "group_total_differs"
    return f"{criterion.field.name}_differs"


def _duplicates(session: Session, taken: tuple[Taken, Taken]) -> None:
    """Rows whose interchangeable twin has been matched: the file has one more of them than the other side."""
    for side, (alias, own) in enumerate(zip(ALIAS.values(), taken, strict=True)):
        twins = f"twins_{alias}"
        if session.exists(twins) and session.count(twins):
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


def _told(session: Session, sides: Sides, taken: tuple[Taken, Taken]) -> pa.Table:
    """One row for each open row: its best note, with the ids and the difference of the units concerned."""
    best = ", ".join(
        f"'{name}': {name}" for name in ("reason", "rule", "criterion", "other_side", "other", "difference")
    )
    noted = session.arrow(
        f"""SELECT side, u, arg_min({{{best}}}, (rank, coalesce(rule, 0), coalesce(criterion, 0), coalesce(other, 0)))
            AS best FROM near GROUP BY side, u"""
    )
    parts = [UNMATCHED.empty_table()]
    for number, (side, own) in enumerate(zip(SIDES, taken, strict=True)):
        if side not in session.options.told:
            continue
        unit = _units_of_rows(session, sides, side)
        free = np.ones(len(unit) + 1, np.bool_)
        free[own.units] = False
        rows = np.flatnonzero(free[unit]).astype(np.int32)
        if not len(rows):
            continue
        of_side = noted.filter(pc.equal(noted["side"], number))
        parts.append(_reasons_of(session, sides, number, rows, unit[rows], of_side))
    return pa.concat_tables(parts)


def _units_of_rows(session: Session, sides: Sides, side: Side) -> Rows:
    """By row the unit it belongs to; -1 where it belongs to no group."""
    units, count = _units(session, sides, side, None), sides.rows[side].num_rows
    if units.members is None:
        return np.arange(count, dtype=np.int32)
    unit = np.full(count, -1, np.int32)
    members = session.arrow(f"SELECT u, row FROM {units.members}")
    unit[members["row"].to_numpy()] = members["u"].to_numpy()
    return unit


def _reasons_of(session: Session, sides: Sides, side: int, rows: Rows, unit: Rows, noted: pa.Table) -> pa.Table:
    """The rows of one side with the best note on their unit."""
    count = len(rows)
    note = np.full(sides.rows[SIDES[side]].num_rows + 1, -1, np.int64)
    note[noted["u"].to_numpy()] = np.arange(noted.num_rows)
    places = note[unit]
    at = pa.array(places, mask=places < 0)
    best = {name: pc.struct_field(noted["best"], name).take(at) for name in ("reason", "rule", "criterion")}
    other, other_side = (pc.struct_field(noted["best"], name).take(at) for name in ("other", "other_side"))
    across = pc.fill_null(pc.not_equal(other_side, side), False)
    nearest = pc.coalesce(*(_ids(sides, each, other, pc.equal(other_side, each)) for each in range(2)))
    amounts, days = _values(session, sides, side)
    other_amounts, other_days = _values(session, sides, 1 - side)
    partner = pc.if_else(across, other, None)
    own = pa.array(unit, mask=unit < 0)
    pair = amounts.take(own), other_amounts.take(partner)
    # The difference to one of several rows that are summed would mean nothing.
    sums, between = session.options.searches_sums, pc.subtract(*(pair if side == 0 else pair[::-1]))
    difference = pc.struct_field(noted["best"], "difference").take(at) if sums else between
    lacks = {SIDES[side]: pc.is_null(days.take(own)), SIDES[1 - side]: pc.is_null(other_days.take(partner))}
    undated = pc.or_(*(pc.and_(pc.match_substring(best["reason"], each), lacks[each]) for each in SIDES))
    date = pc.if_else(undated, "date_missing", "date_outside_window")
    reason = pc.if_else(
        pc.fill_null(pc.starts_with(best["reason"], "date "), False),
        date,
        pc.fill_null(best["reason"], "no_candidate"),
    )
    table = sides.rows[SIDES[side]]
    columns = {
        "side": pa.array(np.full(count, side, np.int8)),
        "id": table["id"].take(pa.array(rows)),
        "part": table["part"].take(pa.array(rows)),
        "reason": reason,
        "rule_index": best["rule"],
        "criterion": best["criterion"],
        "nearest_id": nearest,
        "difference_units": difference,
        "scale": pa.array(np.full(count, sides.scope.scale, np.int16)),
        "detail": pa.nulls(count, pa.string()),
    }
    return pa.table(columns).cast(UNMATCHED)


def _ids(sides: Sides, side: int, rows: pa.ChunkedArray, which: pa.ChunkedArray) -> pa.ChunkedArray:
    return sides.rows[SIDES[side]]["id"].take(pc.if_else(which, rows, None))


def _values(session: Session, sides: Sides, side: int) -> tuple[pa.Array, pa.Array]:
    """Amount and day of every unit of a side, by its ``u``."""
    units, rows = _units(session, sides, SIDES[side], None), sides.rows[SIDES[side]]
    if not (units.grouped or sides.wide):
        return rows["amt"], rows["day"]
    # Sums beyond 64 bits have no place in a difference either.
    found = session.arrow(
        f"SELECT u, CASE WHEN abs(amt) < {2**62} THEN amt::BIGINT END AS amt, day FROM {units.table}"
    )
    place = np.full(rows.num_rows, -1, np.int64)
    place[found["u"].to_numpy()] = np.arange(found.num_rows)
    at = pa.array(place, mask=place < 0)
    return found["amt"].take(at), found["day"].take(at)
