"""Many rows that a rule cannot tell apart: collapse them into cells with counts, and resolve cells instead of rows.

A cell holds the rows that agree in everything the rule reads, in amount and in day. Ten thousand payments of one price
on one day are one cell on each side and one pair, not a hundred million. This is exact only where a cell of one side
has at most one cell of the other at each place of the order: equal keys and amount, a window of whole days, no lag.
"""

from __future__ import annotations

from collections.abc import Callable

from recon.engine.candidates import Join, pair_query
from recon.engine.decide import Resolved
from recon.engine.plan import Plan
from recon.engine.rounds import resolve_counts
from recon.engine.session import Session
from recon.engine.sides import Sides


def fits_cells(plan: Plan, sides: Sides) -> bool:
    """Whether the plan's rows may be resolved by cells."""
    single = all(each.operator.blocking(each, plan.scope) for each in plan.criteria if not each.is_constant)
    lagging = any(each.expected_days for each in plan.criteria)
    simple = single and not plan.texts and not lagging and not plan.rule.cross_currency
    return simple and plan.exact_amount and sides.dated and not sides.scope.times and plan.rule.on_ambiguity != "date"


def settle_cells(
    session: Session, plan: Plan, tables: tuple[str, str], twins: tuple[str, str], join_of: Callable[[str, str], Join]
) -> Resolved:
    """Like `decide.settle`, on cells of the two tables; ``join_of`` makes the join of two tables.

    There is one level only, as all amounts are equal: a pair is decided if its cells have no other and hold one kind.
    """
    left = _cells(session, tables[0], "s", plan, twins[0])
    right = _cells(session, tables[1], "l", plan, twins[1])
    names = ", ".join(name for name, _ in plan.order if name != "gap")
    ordered = session.create("ordered", f"FROM ({pair_query(plan, join_of(left, right))}) ORDER BY {names}, s, l")
    ranked = session.create(
        "ranked",
        f"""SELECT p.s, p.l, a.size AS left_s, b.size AS left_l, 0::BIGINT AS used_s, 0::BIGINT AS used_l, p.rowid AS r
            FROM {ordered} p JOIN {left} a ON p.s = a.u JOIN {right} b ON p.l = b.u""",
    )
    won = resolve_counts(session, ranked)
    rival_s = session.create("rivals", _rivals(won, ranked, "s", "l"))
    rival_l = session.create("rivals", _rivals(won, ranked, "l", "s"))
    rows_s, rows_l = _places(session, tables[0], left, "s", plan), _places(session, tables[1], right, "l", plan)
    taken = session.create(
        "settled",
        f"""SELECT a.u AS s, b.u AS l, 0::BIGINT AS gap, if(ca.size + cb.size > 2, 'twins', 'sole') AS how,
                coalesce(x.r, CASE WHEN cb.kinds > 1 THEN w.r END) AS rank_s, x.rival AS rival_s, 0::HUGEINT AS gap_s,
                coalesce(y.r, CASE WHEN ca.kinds > 1 THEN w.r END) AS rank_l, y.rival AS rival_l, 0::HUGEINT AS gap_l
            FROM (SELECT *, unnest(range(taken)) AS i FROM {won}) w
            JOIN {left} ca ON ca.u = w.s JOIN {right} cb ON cb.u = w.l
            JOIN {rows_s} a ON a.cell = w.s AND a.place = w.used_s + w.i
            JOIN {rows_l} b ON b.cell = w.l AND b.place = w.used_l + w.i
            LEFT JOIN {rival_s} x ON x.won = w.r LEFT JOIN {rival_l} y ON y.won = w.r""",
    )
    session.drop(ordered, won, rival_s, rival_l, left, right)
    live_s = f"SELECT u FROM {rows_s} WHERE cell IN (SELECT s FROM {ranked})"
    live_l = f"SELECT u FROM {rows_l} WHERE cell IN (SELECT l FROM {ranked})"
    return Resolved(taken, live_s, live_l, session.count(ranked))


def _cells(session: Session, table: str, alias: str, plan: Plan, twins: str) -> str:
    """Table of cells: called by their first row, with their size and how many kinds of twins they hold."""
    kept = ", ".join(_keys(plan, alias))
    kind = "coalesce(t.kin, r.u)"
    return session.create(
        "cells",
        f"""SELECT min(r.u) AS u, {kept}, NULL::BIGINT AS instant, min(r.ord) AS ord, count(*) AS size,
                CASE WHEN min({kind}) = max({kind}) THEN 1 ELSE 2 END AS kinds
            FROM {table} r LEFT JOIN {twins} t ON r.u = t.u GROUP BY {kept}""",
    )


def _rivals(won: str, ranked: str, row: str, partner: str) -> str:
    """Query: for each taken cell pair the best other pair of its cell, by the first row of that other cell."""
    return (
        f"SELECT w.r AS won, min(q.r) AS r, arg_min(q.{partner}, q.r) AS rival FROM {won} w JOIN {ranked} q"
        f" ON w.{row} = q.{row} AND w.{partner} <> q.{partner} GROUP BY w.r"
    )


def _places(session: Session, table: str, cells: str, alias: str, plan: Plan) -> str:
    """Table of the rows of cells, with their place in the cell from 0, in the order of the side."""
    keys = _keys(plan, alias)
    same = " AND ".join(f"r.{key} = c.{key}" for key in keys)
    found = f"FROM {table} r JOIN {cells} c ON {same}"
    return session.create(
        "places",
        f"""SELECT r.u, c.u AS cell, 0::BIGINT AS place {found} WHERE c.size = 1 UNION ALL
            SELECT r.u, c.u, row_number() OVER (PARTITION BY c.u ORDER BY r.u) - 1 {found} WHERE c.size > 1""",
    )


def _keys(plan: Plan, alias: str) -> list[str]:
    side = 0 if alias == "s" else 1
    return sorted({pair[side].removeprefix(f"{alias}.") for pair in plan.equal} | {"amt", "ccy", "day"})
