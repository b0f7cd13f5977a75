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
from recon.engine.contest import NOBODY, Contest
from recon.engine.ordering import ranked
from recon.engine.pairs import LAST, Ints, Pairs, Ranked, Rows, firsts, in_groups
from recon.engine.plan import Plan
from recon.engine.session import Session
from recon.engine.sides import Sides
from recon.engine.taking import Takes, from_the_top


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
    sizes: Rows
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
    found = session.arrow(pair_query(plan, join_of(sides[0].table, sides[1].table)))
    pairs = ranked(session, found, [name for name, _ in plan.order])
    session.drop(sides[0].table, sides[1].table)
    for side in range(2):
        _remember(contest, side, sides, pairs)
    takes = from_the_top(pairs, (sides[0].sizes, sides[1].sizes), session.check)
    contest.give(_rows_of(sides, takes, pairs.read(takes.rank)))
    contest.pairs += len(pairs.rank)
    return len(pairs.rank)


def _cells(session: Session, table: str, alias: str, plan: Plan, kin: Rows | None) -> Cells:
    keys = sorted({pair[alias == "l"].removeprefix(f"{alias}.") for pair in plan.equal} | {"amt", "ccy", "day"})
    listed = ", ".join(keys)
    kinds = session.create("kinds", f"SELECT {listed} FROM {table} GROUP BY {listed}")
    cells = session.create("cells", f"SELECT rowid::INTEGER AS u, *, NULL::BIGINT AS instant FROM {kinds}")
    session.drop(kinds)
    return filled(session, cells, table, " AND ".join(f"r.{key} = c.{key}" for key in keys), kin)


def filled(session: Session, cells: str, table: str, same: str, kin: Rows | None) -> Cells:
    """A table of cells with the rows of a table in them: a row ``r`` is in the cell ``c`` for which ``same`` holds."""
    found = session.arrow(f"SELECT c.u AS cell, r.u AS row FROM {table} r JOIN {cells} c ON {same}")
    row, count = found["row"].to_numpy(), session.count(cells)
    cell_of = np.full(row.max(initial=-1) + 1, NOBODY, np.int32)
    cell_of[row] = found["cell"].to_numpy()
    rows = np.flatnonzero(cell_of != NOBODY).astype(np.int32)
    rows = rows[in_groups(cell_of[rows], count)]
    cell = cell_of[rows]
    sizes = np.bincount(cell, minlength=count).astype(np.int32)
    starts = np.cumsum(sizes) - sizes
    return Cells(cells, rows, sizes, starts, _others(rows, cell, sizes, starts, kin))


def _others(rows: Rows, cell: Ints, sizes: Rows, starts: Ints, kin: Rows | None) -> Rows:
    """The first row of each cell that is no twin of its very first, or NOBODY."""
    other = np.full(len(sizes), NOBODY, np.int32)
    kind = rows if kin is None else kin[rows]
    differs = np.flatnonzero(kind != kind[starts[cell]])[::-1]  # backwards: the first of a cell is what stays
    other[cell[differs]] = rows[differs]
    return other


def _remember(contest: Contest, side: int, sides: tuple[Cells, Cells], pairs: Ranked) -> None:
    """The two best candidates of every row of a side: of its cell's best cell, and of the next."""
    mine, theirs = sides[side], sides[1 - side]
    own, _ = pairs.of(side)
    first = firsts(own, pairs.rank, len(mine.sizes))
    later = pairs.rank != first[own]
    second = firsts(own[later], pairs.rank[later], len(mine.sizes))
    cell = np.repeat(np.arange(len(mine.sizes)), mine.sizes)
    for rank, of_first in ((first, True), (first, False), (second, True)):
        has = rank[cell] != LAST
        row, chosen = mine.rows[has], pairs.read(rank[cell[has]])
        _, other = chosen.of(side)
        who = theirs.rows[theirs.starts[other]] if of_first else theirs.other[other]
        known = who != NOBODY
        contest.note(side, row[known], who[known], chosen.gap[known], chosen.apart[known])
        contest.seen[side].several[row] |= (theirs.sizes[other] > 1) | (second[cell[has]] != LAST)


def _rows_of(sides: tuple[Cells, Cells], takes: Takes, cells: Pairs) -> Pairs:
    """The pairs of rows that pairs of cells took: in both cells the next in order."""
    place = np.arange(takes.taken.sum()) - np.repeat(np.cumsum(takes.taken) - takes.taken, takes.taken)
    lines, entries = (
        side.rows[np.repeat((side.starts + side.sizes)[own] - before, takes.taken) + place]
        for side, own, before in zip(sides, (cells.line, cells.entry), takes.before, strict=True)
    )
    return Pairs(lines, entries, np.repeat(cells.gap, takes.taken), np.repeat(cells.apart, takes.taken))
