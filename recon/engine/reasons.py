"""Why an item stayed open, and what came nearest.

Each criterion in turn is left out: whoever meets all the others is a near miss, and the one left out is the reason.
The miss that keeps the most telling criteria wins: the same reference at another amount says more than the same day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from recon.engine.candidates import Band, Join, amount_cells, date_cells, estimate, pair_query, plain_join, widest_gap
from recon.engine.outcome import UNMATCHED
from recon.engine.plan import CURRENCY, SIGN, Part, Plan, make_plan
from recon.engine.session import Session
from recon.engine.sides import Sides, grouped_sides
from recon.engine.units import Units, make_units, open_units, with_every_text
from rules.criteria import Criterion, Rule
from rules.criteria.scope import ALIAS, Side

SIDES: tuple[Side, Side] = ("statement", "ledger")

_PAIRS_PER_ROW = 50
_ALWAYS_CHEAP = 500_000
_TELLING = {"text": 8, "amount": 4, "date": 2, "currency": 1}
_DUPLICATE, _AMBIGUOUS, _CLAIMED, _NEAR = 0, 100, 200, 300


@dataclass(frozen=True)
class Leftovers:
    """The units of both sides, and the tables of those that are open."""

    units: tuple[Units, Units]
    open: tuple[str, str]


def unmatched_table(session: Session, sides: Sides, rules: Sequence[Rule]) -> pa.Table:
    """All rows of both sides that are in no match, each with its reason and the nearest miss."""
    session.run(
        "CREATE TABLE near (side TINYINT, u BIGINT, rank INTEGER, reason VARCHAR, rule INTEGER, criterion INTEGER,"
        " other_side TINYINT, other BIGINT, difference HUGEINT)"
    )
    searched = bool(grouped_sides(session.options.strategy)) and not session.options.grouping
    for index, rule in enumerate(() if searched else rules):
        leftovers = _leftovers(session, sides, rule)
        if all(session.count(table) for table in leftovers.open):
            _near_misses(session, sides, index, rule, leftovers)
        _claimed_by_another(session, sides, index, rule, leftovers)
    _duplicates(session)
    return _told(session, sides)


def _leftovers(session: Session, sides: Sides, rule: Rule) -> Leftovers:
    units = (make_units(session, sides, "statement", rule), make_units(session, sides, "ledger", rule))
    open_ = [
        session.create("left", f"SELECT t.* FROM {each.table} t ANTI JOIN kept k ON t.u = k.{ALIAS[each.side]}")
        for each in units
    ]
    return Leftovers(units, (open_[0], open_[1]))


def _near_misses(session: Session, sides: Sides, index: int, rule: Rule, left: Leftovers) -> None:
    options = session.options
    _note(session, sides, index, make_plan(rule, sides, options), left, left.open, "ambiguous", _AMBIGUOUS)
    for criterion in rule.criteria:
        plan = make_plan(rule, sides, options, without={criterion.number})
        _note(session, sides, index, plan, left, left.open, _reason(criterion), _NEAR, criterion)
    if not sides.one_currency and not rule.cross_currency:
        plan = make_plan(rule, sides, options, without={CURRENCY, *_on_currency(rule)})
        _note(session, sides, index, plan, left, left.open, "currency_differs", _NEAR + 40)
    if options.sign != "unsigned":
        plan = make_plan(rule, sides, options, without={SIGN})
        negated = session.create("negated", f"SELECT t.* REPLACE (-amt AS amt) FROM {left.open[0]} t WHERE amt <> 0")
        _note(session, sides, index, plan, left, (negated, left.open[1]), "opposite_sign", _NEAR + 40)


def _on_currency(rule: Rule) -> set[Part]:
    return {each.number for each in rule.criteria if each.field.kind == "currency" and not each.is_constant}


def _claimed_by_another(session: Session, sides: Sides, index: int, rule: Rule, left: Leftovers) -> None:
    """Who would match exactly what another match has taken; pairs of open units have been noted as ambiguous."""
    plan = make_plan(rule, sides, session.options)
    group = any(units.grouped for units in left.units)
    reason = "group_already_settled" if group else "claimed_by_another"
    everything = [units.table for units in left.units]
    for tables in ((left.open[0], everything[1]), (everything[0], left.open[1])):
        if all(session.count(table) for table in tables):
            _note(session, sides, index, plan, left, tables, reason, _CLAIMED)


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
) -> None:
    """Note for each open unit the best of its pairs under the plan; nothing if there would be too many pairs."""
    filtered = [
        open_units(session, units, plan.criteria, sides, table)
        for units, table in zip(left.units, tables, strict=True)
    ]
    sources = [with_every_text(units, table, plan.criteria) for units, table in zip(left.units, filtered, strict=True)]
    join = _affordable(session, plan, sources[0], sources[1], sides)
    if join is None:
        return
    columns = ", ".join(name for name, _ in plan.order)
    query = pair_query(plan, join, once=any(units.several for units in left.units))
    pairs = session.create("near_pairs", f"FROM ({query}) ORDER BY {columns}, s, l")
    rank = base + 40 - sum(_TELLING[each.field.kind] for each in plan.criteria if not each.is_constant)
    code = reason
    if criterion is not None and criterion.field.kind == "date":
        code = "date"
    for side, row, other in ((0, "s", "l"), (1, "l", "s")):
        if tables[side] == left.units[side].table:
            continue
        session.run(
            f"""INSERT INTO near SELECT {side}, p.{row}, {max(rank, base)}, '{code}', {index},
                    {criterion.number if criterion else 0}, {1 - side}, p.{other}, NULL FROM {pairs} p
                SEMI JOIN (SELECT min(rowid) AS r FROM {pairs} GROUP BY {row}) b ON p.rowid = b.r"""
        )
    session.drop(pairs)


def _affordable(session: Session, plan: Plan, left: str, right: str, sides: Sides) -> Join | None:
    """The cheapest join that finds the plan's pairs, if it stays in proportion to the rows."""
    count = session.number(
        f"SELECT (SELECT count(*) FROM ({_query(left)})) + (SELECT count(*) FROM ({_query(right)}))"
    )
    limit = max(_ALWAYS_CHEAP, _PAIRS_PER_ROW * count)
    join = plain_join(plan, left, right)
    if estimate(session, join) <= limit:
        return join
    if plan.amount is not None and not plan.exact_amount:
        join = amount_cells(join, plan, Band(0, widest_gap(plan, sides)), sides)
    narrower = date_cells(join, plan) or join
    return narrower if estimate(session, narrower) <= limit else None


def _query(source: str) -> str:
    return source if " " in source else f"FROM {source}"


def _reason(criterion: Criterion) -> str:
    if criterion.field.kind == "date":
        return "date_outside_window"
    return f"{criterion.field.name}_differs"


def _duplicates(session: Session) -> None:
    """Rows whose interchangeable twin has been matched: the file has one more of them than the other side."""
    for side, alias in enumerate(("s", "l")):
        twins = f"twins_{alias}"
        if session.exists(twins):
            session.run(
                f"""INSERT INTO near SELECT {side}, t.u, {_DUPLICATE}, 'possible_duplicate', NULL, NULL, {side},
                        min(o.u), NULL FROM {twins} t JOIN {twins} o USING (kin) SEMI JOIN
                        (SELECT {alias} AS u FROM kept WHERE state = 'confirmed') k ON o.u = k.u GROUP BY t.u"""
            )


def _told(session: Session, sides: Sides) -> pa.Table:
    """One row for each open row: its best note, with the ids and the difference of the units concerned."""
    parts = []
    for number, side in enumerate(SIDES):
        units, alias = make_units(session, sides, side, None), ALIAS[side]
        rows = f"SELECT r.u, r.u AS unit, r.id, r.part, r.scale FROM {alias} r"
        kept = f"SELECT {alias} AS u FROM kept"
        if units.members is not None:
            rows = f"SELECT r.u, coalesce(m.u, -1) AS unit, r.id, r.part, r.scale FROM {alias} r"
            rows += f" LEFT JOIN {units.members} m ON m.row = r.u"
            kept = f"SELECT m.row AS u FROM {units.members} m SEMI JOIN kept ON m.u = kept.{alias}"
        parts.append(f"SELECT {number}::TINYINT AS side, t.* FROM ({rows}) t ANTI JOIN ({kept}) k USING (u)")
    lines, entries = make_units(session, sides, "statement", None), make_units(session, sides, "ledger", None)
    first = "SELECT side, u, min(rank * 10000 + coalesce(rule, 0)) AS rank FROM near GROUP BY ALL"
    best = (
        f"SELECT near.* FROM near JOIN ({first}) b ON near.side = b.side AND near.u = b.u"
        " AND near.rank * 10000 + coalesce(near.rule, 0) = b.rank"
        " QUALIFY row_number() OVER (PARTITION BY near.side, near.u ORDER BY near.criterion) = 1"
    )
    units_of_both = (
        f"SELECT 0::TINYINT AS side, u, amt, day FROM {lines.table}"
        f" UNION ALL SELECT 1, u, amt, day FROM {entries.table}"
    )
    names = "SELECT 0::TINYINT AS side, u, id FROM s UNION ALL SELECT 1, u, id FROM l"
    grouped = lines.grouped or entries.grouped
    amount_reason = "group_total_differs" if grouped else "amount_differs"
    difference = (
        "CASE WHEN n.side <> n.other_side THEN CASE n.side WHEN 0 THEN a.amt - b.amt ELSE b.amt - a.amt END END"
    )
    return session.arrow(
        f"""WITH units AS ({units_of_both})
            SELECT o.side, o.id, o.part, CASE n.reason
                    WHEN 'date' THEN if(a.day IS NULL OR b.day IS NULL, 'date_missing', 'date_outside_window')
                    WHEN 'amount_differs' THEN '{amount_reason}'
                    ELSE coalesce(n.reason, 'no_candidate') END AS reason,
                n.rule AS rule_index, n.criterion, i.id AS nearest_id, {difference} AS difference_units,
                {sides.scope.scale} AS scale, NULL AS detail
            FROM ({" UNION ALL ".join(parts)}) o LEFT JOIN ({best}) n ON n.side = o.side AND n.u = o.unit
            LEFT JOIN units a ON a.side = n.side AND a.u = n.u
            LEFT JOIN units b ON b.side = n.other_side AND b.u = n.other
            LEFT JOIN ({names}) i ON i.side = n.other_side AND i.u = n.other
            ORDER BY o.side, o.u"""
    ).cast(UNMATCHED)
