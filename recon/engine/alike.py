"""Rows that a rule cannot tell apart, whatever it reads: resolve kinds of rows with counts instead of rows.

`cells` does so where prices, days and keys are all that counts. Here a cell holds the rows of a side that agree in
everything the rule reads, known or missing. All pairs of rows of two cells stand at the same place of the contract's
order, up to the order of rows; where several cells of a side stand at one place, their rows are taken one by one.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.compute as pc

from recon.engine.candidates import Join, pair_query
from recon.engine.cells import Cells, filled
from recon.engine.contest import NOBODY, Contest
from recon.engine.pairs import Flags, Ints, Pairs, Rows
from recon.engine.plan import Plan
from recon.engine.session import Session
from rules.criteria.scope import ALIAS

_AT_ONCE = 200_000
_ALIKE = 4
"""Rows to a cell, on average, from which on cells are worth their making."""


def alike(session: Session, plan: Plan, tables: tuple[str, str]) -> bool:
    """Whether both sides have many times as many rows as cells."""
    return all(
        # There are at least as many cells as amounts, and those are soon counted.
        session.count(table) >= _ALIKE * _amounts(session, table)
        and session.count(table) >= _ALIKE * session.number(f"SELECT count(*) FROM ({_kinds(plan, table, alias)})")
        for table, alias in zip(tables, ALIAS.values(), strict=True)
    )


def _amounts(session: Session, table: str) -> int:
    """How many different amounts a table has; or its first half, where those are too many already."""
    rows = session.lent(table)
    if rows is None:
        return session.number(f"SELECT count(DISTINCT amt) FROM {table}")
    some = int(pc.count_distinct(rows["amt"].slice(0, len(rows) // 2)).as_py())
    return some if some * _ALIKE > len(rows) else int(pc.count_distinct(rows["amt"]).as_py())


def _kinds(plan: Plan, table: str, alias: str) -> str:
    keys = ", ".join(_keys(plan, alias))
    return f"SELECT {keys}, min(u) AS first FROM {table} GROUP BY {keys}"


def kinds(session: Session, plan: Plan, table: str, alias: str) -> str:
    """A table of the kinds of rows of a table, each called by its first row."""
    return session.create("kinds", f"SELECT * EXCLUDE (first), first AS u FROM ({_kinds(plan, table, alias)})")


def _keys(plan: Plan, alias: str) -> list[str]:
    """All columns of a side that the rule, or the order of its pairs, looks at."""
    side = next(side for side, name in ALIAS.items() if name == alias)
    read = {column.name for each in plan.criteria if not each.is_constant for column in each.columns(side)}
    keys = {pair[alias == "l"].removeprefix(f"{alias}.") for pair in plan.equal if "(" not in pair[0]}
    return sorted(read | keys | {"amt", "ccy", "day"} | ({"instant"} if plan.scope.times else set()))


@dataclass(frozen=True)
class CellPairs:
    """Pairs of cells in order; ``level`` numbers the places of the order."""

    line: Rows
    entry: Rows
    gap: Ints
    apart: Ints
    level: Ints

    def only(self, which: Ints) -> CellPairs:
        return CellPairs(self.line[which], self.entry[which], self.gap[which], self.apart[which], self.level[which])


def settle_alike(
    session: Session,
    plan: Plan,
    tables: tuple[str, str],
    contest: Contest,
    join_of: Callable[[str, str], Join],
) -> int:
    """Feed a contest with the pairs of two tables that the plan admits; gives the number of pairs of cells."""
    sides = (
        _cells(session, tables[0], "s", plan, contest.kin(0)),
        _cells(session, tables[1], "l", plan, contest.kin(1)),
    )
    pairs = _ordered(session, plan, join_of(sides[0].table, sides[1].table))
    session.drop(sides[0].table, sides[1].table)
    for side in range(2) if len(pairs.line) else ():
        _remember(contest, side, sides, pairs)
    free = (_only(sides[0], contest.free(0)), _only(sides[1], contest.free(1)))
    for each in _take(session, free, pairs, _crowded(pairs)):
        contest.give(each)
    contest.pairs += len(pairs.line)
    return len(pairs.line)


def _only(cells: Cells, which: Flags) -> Cells:
    """The same cells with some of their rows."""
    cell = np.repeat(np.arange(len(cells.sizes)), cells.sizes)
    kept = which[cells.rows]
    sizes = np.bincount(cell[kept], minlength=len(cells.sizes)).astype(np.int32)
    return replace(cells, rows=cells.rows[kept], sizes=sizes, starts=np.cumsum(sizes) - sizes)


def _ordered(session: Session, plan: Plan, join: Join) -> CellPairs:
    order = [name for name, _ in plan.order]
    found = session.arrow(f"FROM ({pair_query(plan, join)}) ORDER BY {', '.join([*order, 's', 'l'])}")
    later = np.zeros(found.num_rows, np.bool_)
    for name in order:
        column = found[name].to_numpy()
        later[1:] |= column[1:] != column[:-1]
    line, entry, gap, apart = (found[name].to_numpy() for name in ("s", "l", "gap", "apart"))
    return CellPairs(line, entry, gap, apart, np.cumsum(later))


def _cells(session: Session, table: str, alias: str, plan: Plan, kin: Rows | None) -> Cells:
    keys = _keys(plan, alias)
    made = session.create("kinds", f"{_kinds(plan, table, alias)} ORDER BY first")
    without_time = "" if "instant" in keys else ", NULL::BIGINT AS instant"
    cells = session.create("cells", f"SELECT rowid::INTEGER AS u, *{without_time} FROM {made}")
    session.drop(made)
    return filled(session, cells, table, " AND ".join(f"r.{key} IS NOT DISTINCT FROM c.{key}" for key in keys), kin)


def _remember(contest: Contest, side: int, sides: tuple[Cells, Cells], pairs: CellPairs) -> None:
    """The best candidates of every row of a side, among them the two best of whom none is the other's twin."""
    mine, theirs = sides[side], sides[1 - side]
    cell = np.repeat(np.arange(len(mine.sizes)), mine.sizes)
    for some in (pairs, pairs.only(np.argsort(pairs.apart, kind="stable"))) if contest.by_date else (pairs,):
        own, other = (some.line, some.entry) if side == 0 else (some.entry, some.line)
        first, second = _first_two(own, len(mine.sizes))
        # A twin shares the cell, so the next is the other kind in the best cell or whoever is first in the next cell.
        level, sooner = some.level, np.zeros(len(first), np.bool_)
        both = np.flatnonzero(second != NOBODY)
        tied = level[first[both]] == level[second[both]]
        sooner[both] = tied & (theirs.rows[theirs.starts[other[second[both]]]] < theirs.other[other[first[both]]])
        later = (theirs.other, first), (theirs.rows[theirs.starts], second)
        for who_of, pair, which in (
            (theirs.rows[theirs.starts], first, np.ones(len(first), np.bool_)),
            (*later[1], sooner),
            (*later[0], np.ones(len(first), np.bool_)),
            (*later[1], ~sooner),
        ):
            has = (pair != NOBODY) & which
            has[has] = who_of[other[pair[has]]] != NOBODY
            at = np.flatnonzero(has[cell])
            row, chosen = mine.rows[at], pair[cell[at]]
            contest.note(
                side, row, who_of[other[chosen]], some.gap[chosen], some.apart[chosen], by_date=some is not pairs
            )
        more = (first != NOBODY) & ((second != NOBODY) | (theirs.sizes[other[first]] > 1))
        contest.seen[side].several[mine.rows] |= more[cell]


def _first_two(own: Rows, cells: int) -> tuple[Ints, Ints]:
    """For each cell the places of the first two pairs it is in, or NOBODY."""
    first, second = np.full(cells, NOBODY, np.int64), np.full(cells, NOBODY, np.int64)
    backwards = np.arange(len(own))[::-1]
    first[own[backwards]] = backwards
    later = backwards[backwards != first[own[backwards]]]
    second[own[later]] = later
    return first, second


def _take(session: Session, sides: tuple[Cells, Cells], pairs: CellPairs, crowded: Flags) -> list[Pairs]:
    """Take pairs of cells in order, each with as many rows as both have left."""
    left = sides[0].sizes.tolist(), sides[1].sizes.tolist()
    taken = _Taken(sides, pairs, left)
    at = 0
    while at < len(crowded):
        session.check()
        if crowded[at]:
            stop = int(np.searchsorted(pairs.level, pairs.level[at], "right"))
            taken.row_by_row(at, stop)
        else:
            stop = min(at + _AT_ONCE, len(crowded))
            if crowded[at:stop].any():
                stop = at + int(np.argmax(crowded[at:stop]))
            taken.cell_by_cell(at, stop)
        at = stop
    return taken.pairs_of_rows()


def _crowded(pairs: CellPairs) -> Flags:
    """The pairs at places of the order where some cell stands more than once."""
    crowded = np.zeros(len(pairs.level), np.bool_)
    for cells in (pairs.line, pairs.entry):
        places = (pairs.level << 32) | cells
        order = np.argsort(places, kind="stable")
        again = np.flatnonzero(places[order][1:] == places[order][:-1])
        crowded[order[again]] = True
    levels = np.zeros(int(pairs.level[-1]) + 1 if len(pairs.level) else 0, np.bool_)
    levels[pairs.level[crowded]] = True
    return levels[pairs.level]


class _Taken:
    """What has been taken so far; ``left`` counts the rows that each cell of either side has left."""

    def __init__(self, sides: tuple[Cells, Cells], pairs: CellPairs, left: tuple[list[int], list[int]]) -> None:
        self.sides, self.pairs, self.left = sides, pairs, left
        self.by_cell: list[tuple[int, int, int, int]] = []  # pair, rows taken, rows left of either cell before
        self.by_row: list[tuple[int, int, int]] = []  # line, entry, pair

    def cell_by_cell(self, start: int, stop: int) -> None:
        """Where each cell stands once at a place, rows meet in order."""
        left_s, left_l = self.left
        cells = zip(self.pairs.line[start:stop].tolist(), self.pairs.entry[start:stop].tolist(), strict=True)
        for pair, (one, other) in enumerate(cells, start):
            lines, entries = left_s[one], left_l[other]
            if lines and entries:
                count = lines if lines < entries else entries
                self.by_cell.append((pair, count, lines, entries))
                left_s[one] = lines - count
                left_l[other] = entries - count

    def row_by_row(self, start: int, stop: int) -> None:
        """All pairs of one place: each line in order takes the first entry that is left in any of its cells."""
        choices: dict[int, list[tuple[int, int, int]]] = defaultdict(list)  # by cell of lines: entry, its cell, pair
        for pair in range(start, stop):
            other = int(self.pairs.entry[pair])
            if self.left[1][other]:
                choices[int(self.pairs.line[pair])].append((self._next(1, other), other, pair))
        for heap in choices.values():
            heapq.heapify(heap)
        lines = sorted((line, cell) for cell in choices for line in self._rest(cell))
        for line, cell in lines:
            heap = choices[cell]
            while heap:
                entry, other, pair = heap[0]
                if not self.left[1][other]:
                    heapq.heappop(heap)
                elif entry != self._next(1, other):
                    heapq.heapreplace(heap, (self._next(1, other), other, pair))
                else:
                    self.by_row.append((line, entry, pair))
                    self.left[0][cell] -= 1
                    self.left[1][other] -= 1
                    break

    def _next(self, side: int, cell: int) -> int:
        cells = self.sides[side]
        return int(cells.rows[cells.starts[cell] + cells.sizes[cell] - self.left[side][cell]])

    def _rest(self, cell: int) -> list[int]:
        cells = self.sides[0]
        stop = int(cells.starts[cell] + cells.sizes[cell])
        return [int(row) for row in cells.rows[stop - self.left[0][cell] : stop]]

    def pairs_of_rows(self) -> list[Pairs]:
        return [self._expanded(), self._listed()]

    def _expanded(self) -> Pairs:
        at, count, before_s, before_l = np.array(self.by_cell, np.int64).reshape(-1, 4).T
        place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        rows = []
        for cells, own, before in zip(
            self.sides, (self.pairs.line, self.pairs.entry), (before_s, before_l), strict=True
        ):
            first = cells.starts[own[at]] + cells.sizes[own[at]] - before
            rows.append(cells.rows[np.repeat(first, count) + place])
        return Pairs(rows[0], rows[1], np.repeat(self.pairs.gap[at], count), np.repeat(self.pairs.apart[at], count))

    def _listed(self) -> Pairs:
        line, entry, at = np.array(self.by_row, np.int64).reshape(-1, 3).T
        return Pairs(line.astype(np.int32), entry.astype(np.int32), self.pairs.gap[at], self.pairs.apart[at])
