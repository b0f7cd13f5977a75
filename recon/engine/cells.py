"""Many rows that a rule cannot tell apart: collapse them into cells with counts, and resolve cells instead of rows.

A cell holds the rows that agree in everything the rule reads, in amount and in day. Ten thousand payments of one price
on one day are one cell on each side and one pair, not a hundred million. This is exact only where a cell of one side
has at most one cell of the other at each place of the order: equal keys and amount, a window of whole days, no lag.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from recon.engine.candidates import Join, pair_query
from recon.engine.contest import NOBODY, Contest
from recon.engine.ordering import ranked
from recon.engine.pairs import LAST, Flags, Ints, Pairs, Ranked, Rows, firsts, in_groups
from recon.engine.plan import Plan
from recon.engine.session import Session
from recon.engine.sides import Sides
from recon.engine.taking import Takes, from_the_top


def fits_cells(plan: Plan, sides: Sides) -> bool:
    """Whether the plan's rows may be resolved by cells."""
    single = all(each.operator.blocking(each, plan.scope) for each in plan.criteria if not each.is_constant)
    lagging = any(each.expected_days for each in plan.criteria)
    simple = single and not plan.coarse and not plan.texts and not lagging and not plan.rule.cross_currency
    return (
        simple
        and plan.exact_amount
        and sides.dated
        and not (sides.scope.times or sides.wide)
        and plan.rule.on_ambiguity != "date"
    )


_WIDE = 2**31
"""Values that are farther apart are counted before they are numbers of anything."""


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
    found = session.arrow(f"SELECT u, {', '.join(keys)} FROM {table}").drop_null()  # what is missing equals nothing
    row = found["u"].to_numpy()
    if np.any(row[1:] < row[:-1]):
        order = np.argsort(row)
        row, found = row[order], found.take(pa.array(order))
    number = row_kinds([found[key] for key in keys])
    order = in_groups(number, int(number.max(initial=0)) + 1)
    number = number[order]
    first = np.ones(len(number), np.bool_)  # of its cell
    first[1:] = number[1:] != number[:-1]
    starts, cell = np.flatnonzero(first), np.cumsum(first, dtype=np.int32) - 1
    sizes = np.diff(starts, append=len(number)).astype(np.int32)
    made = found.take(pa.array(order[starts])).set_column(0, "u", pa.array(np.arange(len(starts), dtype=np.int32)))
    table = session.create_from("cells", made, "SELECT *, NULL::BIGINT AS instant FROM given")
    return Cells(table, row[order], sizes, starts, _others(row[order], cell, sizes, starts, kin))


def row_kinds(columns: Sequence[pa.ChunkedArray]) -> Ints:
    """For each row a number from 0 that it shares with the rows that are equal in all columns, and only with those."""
    number, span = np.zeros(len(columns[0]), np.int64), 1
    for column in columns if len(number) else ():
        code = column.to_numpy() if pa.types.is_integer(column.type) else None
        if code is None or int(code.max()) - int(code.min()) >= _WIDE:
            encoded = column.dictionary_encode().unify_dictionaries()
            code = np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks])
        low, values = int(code.min()), int(code.max()) - int(code.min()) + 1
        if span * values > LAST:
            number = np.unique(number, return_inverse=True)[1]
            span = int(number.max()) + 1
        number *= values
        number += code
        number -= low
        span *= values
    return number


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


def _others(rows: Rows, cell: Rows, sizes: Rows, starts: Ints, kin: Rows | None) -> Rows:
    """The first row of each cell that is no twin of its very first, or NOBODY."""
    other = np.full(len(sizes), NOBODY, np.int32)
    kind = rows if kin is None else kin[rows]
    differs = np.flatnonzero(kind != kind[starts[cell]])[::-1]  # backwards: the first of a cell is what stays
    other[cell[differs]] = rows[differs]
    return other


def _remember(contest: Contest, side: int, sides: tuple[Cells, Cells], pairs: Ranked) -> None:
    """The two best candidates of every row of a side: the first two kinds of rows of its cell's best cell, else the
    first of the next cell. Nobody has any candidates yet."""
    mine, theirs = sides[side], sides[1 - side]
    own, _ = pairs.of(side)
    first = firsts(own, pairs.rank, len(mine.sizes))
    later = pairs.rank != first[own]
    second = firsts(own[later], pairs.rank[later], len(mine.sizes))
    best, other = _Best.of(first, side, pairs, theirs), _Best.of(second, side, pairs, theirs)
    known = best.other != NOBODY
    places = (
        (best.who, best.apart),
        (np.where(known, best.other, other.who), np.where(known, best.apart, other.apart)),
    )
    seen = contest.seen[side]
    for place, (who, apart) in enumerate(places):
        seen.who[place][mine.rows] = np.repeat(who, mine.sizes)
        seen.apart[place][mine.rows] = np.repeat(apart, mine.sizes)
    seen.several[mine.rows] = np.repeat(best.crowded | (second != LAST), mine.sizes)


@dataclass(frozen=True)
class _Best:
    """Of a pair of each cell: the first row of the other cell, the first that is no twin of that one, how far apart
    the dates are, and whether the other cell has several rows."""

    who: Rows
    other: Rows
    apart: Ints
    crowded: Flags

    @classmethod
    def of(cls, rank: Ints, side: int, pairs: Ranked, theirs: Cells) -> Self:
        who, other = np.full(len(rank), NOBODY, np.int32), np.full(len(rank), NOBODY, np.int32)
        apart, crowded = np.zeros(len(rank), np.int64), np.zeros(len(rank), np.bool_)
        has = np.flatnonzero(rank != LAST)
        chosen = pairs.read(rank[has])
        cell = chosen.of(side)[1]
        who[has], other[has] = theirs.rows[theirs.starts[cell]], theirs.other[cell]
        apart[has], crowded[has] = chosen.apart, theirs.sizes[cell] > 1
        return cls(who, other, apart, crowded)


def _rows_of(sides: tuple[Cells, Cells], takes: Takes, cells: Pairs) -> Pairs:
    """The pairs of rows that pairs of cells took: in both cells the next in order."""
    place = np.arange(takes.taken.sum()) - np.repeat(np.cumsum(takes.taken) - takes.taken, takes.taken)
    lines, entries = (
        side.rows[np.repeat((side.starts + side.sizes)[own] - before, takes.taken) + place]
        for side, own, before in zip(sides, (cells.line, cells.entry), takes.before, strict=True)
    )
    return Pairs(lines, entries, np.repeat(cells.gap, takes.taken), np.repeat(cells.apart, takes.taken))
