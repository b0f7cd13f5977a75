"""Many rows that a rule cannot tell apart: collapse them into cells with counts, and resolve cells instead of rows.

A cell holds the rows that agree in everything the rule reads, in amount and in day. Ten thousand payments of one price
on one day are one cell on each side and one pair, not a hundred million. This is exact only where a cell of one side
has at most one cell of the other at each place of the order: equal keys and amount, a window of whole days, no lag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recon.engine.candidates import Join, pair_query
from recon.engine.contest import NOBODY, Contest, Ints, Pairs, Rows
from recon.engine.plan import Plan
from recon.engine.session import Session
from recon.engine.sides import Sides

_AT_ONCE = 200_000


def fits_cells(plan: Plan, sides: Sides) -> bool:
    """Whether the plan's rows may be resolved by cells."""
    single = all(each.operator.blocking(each, plan.scope) for each in plan.criteria if not each.is_constant)
    lagging = any(each.expected_days for each in plan.criteria)
    simple = single and not plan.texts and not lagging and not plan.rule.cross_currency
    return simple and plan.exact_amount and sides.dated and not sides.scope.times and plan.rule.on_ambiguity != "date"


@dataclass(frozen=True)
class Cells:
    """One side's cells, called by numbers from 0: a table of them, their rows one cell after the other, each in order.

    ``other`` is the first row of each cell that is no twin of its very first, or NOBODY.
    """

    table: str
    rows: Rows
    sizes: Ints
    starts: Ints
    other: Rows


def settle_cells(
    session: Session, plan: Plan, tables: tuple[str, str], contest: Contest, join_of: Callable[[str, str], Join]
) -> int:
    """Feed a contest with the pairs of equal amounts of two tables; gives the number of pairs of cells."""
    sides = (
        _cells(session, tables[0], "s", plan, contest.kin(0)),
        _cells(session, tables[1], "l", plan, contest.kin(1)),
    )
    names = ", ".join(name for name, _ in plan.order if name != "gap")
    pairs = session.arrow(
        f"SELECT s, l, apart FROM ({pair_query(plan, join_of(sides[0].table, sides[1].table))}) ORDER BY {names}, s, l"
    )
    lines, entries, apart = (pairs[name].to_numpy() for name in ("s", "l", "apart"))
    session.drop(sides[0].table, sides[1].table)
    _remember(contest, 0, sides, lines, entries, apart)
    _remember(contest, 1, sides, entries, lines, apart)
    contest.give(_rows_of(sides, _take(session, sides, lines, entries), lines, entries, apart))
    contest.pairs += len(lines)
    return len(lines)


def _cells(session: Session, table: str, alias: str, plan: Plan, kin: Rows | None) -> Cells:
    keys = sorted({pair[alias == "l"].removeprefix(f"{alias}.") for pair in plan.equal} | {"amt", "ccy", "day"})
    listed = ", ".join(keys)
    kinds = session.create("kinds", f"SELECT {listed} FROM {table} GROUP BY {listed}")
    cells = session.create("cells", f"SELECT rowid::INTEGER AS u, *, NULL::BIGINT AS instant FROM {kinds}")
    same = " AND ".join(f"r.{key} = c.{key}" for key in keys)
    found = session.arrow(f"SELECT (c.u::BIGINT << 32) | r.u AS placed FROM {table} r JOIN {cells} c ON {same}")
    placed = np.sort(found["placed"].to_numpy())
    rows, cell = (placed & 0xFFFF_FFFF).astype(np.int32), placed >> 32
    sizes = np.bincount(cell, minlength=session.count(cells)).astype(np.int64)
    starts = np.cumsum(sizes) - sizes
    session.drop(kinds)
    return Cells(cells, rows, sizes, starts, _others(rows, cell, sizes, starts, kin))


def _others(rows: Rows, cell: Ints, sizes: Ints, starts: Ints, kin: Rows | None) -> Rows:
    other = np.full(len(sizes), NOBODY, np.int32)
    kind = rows if kin is None else kin[rows]
    differs = np.flatnonzero(kind != kind[starts[cell]])[::-1]  # backwards: the first of a cell is what stays
    other[cell[differs]] = rows[differs]
    return other


def _remember(contest: Contest, side: int, sides: tuple[Cells, Cells], own: Rows, other: Rows, apart: Ints) -> None:
    """The two best candidates of every row of a side: of its cell's best cell, and of the next."""
    mine, theirs = sides[side], sides[1 - side]
    first = np.full(len(mine.sizes), NOBODY, np.int64)
    second = first.copy()
    backwards = np.arange(len(own))[::-1]
    first[own[backwards]] = backwards
    later = backwards[backwards != first[own[backwards]]]
    second[own[later]] = later
    cell = np.repeat(np.arange(len(mine.sizes)), mine.sizes)
    for pair, of_first in ((first, True), (first, False), (second, True)):
        has = pair[cell] != NOBODY
        row, chosen = mine.rows[has], pair[cell[has]]
        who = theirs.rows[theirs.starts[other[chosen]]] if of_first else theirs.other[other[chosen]]
        known = who != NOBODY
        no_gap = np.zeros(int(known.sum()), np.int64)
        contest.seen[side].add(row[known], who[known], no_gap, apart[chosen[known]])
        contest.seen[side].several[row] |= (theirs.sizes[other[chosen]] > 1) | (second[cell[has]] != NOBODY)


Counts = tuple[Ints, Ints, Ints, Ints]
"""The pairs of cells that took something, how many rows each took, and how many of either cell went before."""


def _take(session: Session, sides: tuple[Cells, Cells], line_cells: Rows, entry_cells: Rows) -> Counts:
    """Take pairs of cells in order, each with as many rows as both have left."""
    left_s, left_l = sides[0].sizes.tolist(), sides[1].sizes.tolist()
    kept: list[tuple[int, int, int, int]] = []
    for start in range(0, len(line_cells), _AT_ONCE):
        session.check()
        some = slice(start, start + _AT_ONCE)
        cells = zip(line_cells[some].tolist(), entry_cells[some].tolist(), strict=True)
        for pair, (one, other) in enumerate(cells, start):
            lines, entries = left_s[one], left_l[other]
            if lines and entries:
                count = lines if lines < entries else entries
                kept.append((pair, count, lines, entries))
                left_s[one] = lines - count
                left_l[other] = entries - count
    at, taken, before_s, before_l = np.array(kept, np.int64).reshape(-1, 4).T
    return at, taken, sides[0].sizes[line_cells[at]] - before_s, sides[1].sizes[entry_cells[at]] - before_l


def _rows_of(sides: tuple[Cells, Cells], counts: Counts, line_cells: Rows, entry_cells: Rows, apart: Ints) -> Pairs:
    at, count, used_s, used_l = counts
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    lines = sides[0].rows[np.repeat(sides[0].starts[line_cells[at]] + used_s, count) + place]
    entries = sides[1].rows[np.repeat(sides[1].starts[entry_cells[at]] + used_l, count) + place]
    return Pairs(lines, entries, np.zeros(len(place), np.int64), np.repeat(apart[at], count))
