"""Who gets whom under one rule, and who else each row could have had.

Pairs come with their rank in the contract's order, in one piece or band by band, smallest amount differences first.
They are taken from the top, each row once. A taken pair is decided if neither of its rows has another candidate, twins
apart. Rows are numbers (``u``); everything about them is in arrays, so a million of them cost little more than their
memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

from recon.engine.pairs import LAST, Flags, Ints, Pairs, Ranked, Rows, firsts, listed, pairs_of
from recon.engine.taking import from_the_top

Codes = npt.NDArray[np.int8]
NOBODY = -1
DECIDED_BY = ("ambiguous", "sole", "twins", "date", "best", "limit", "suggest_only")
AMBIGUOUS, SOLE, TWINS, DATE, BEST, LIMIT, SUGGEST_ONLY = range(7)
_FEW_PAIRS = 2
"""For each row of the smaller side, at most: some of so few have rows that are in no other."""


class Kin(Protocol):
    """Who is a twin of whom."""

    def first(self, side: int) -> Rows | None:
        """The first twin of each row of a side; None if no row has any."""

    def apart(self, side: int, one: Rows, other: Rows) -> Flags:
        """Which of two rows of a side are no twins of each other."""


@dataclass(frozen=True)
class Taken:
    """The pairs that a rule took. ``how`` tells why one is decided (SOLE, TWINS, DATE) or that it is AMBIGUOUS.

    ``rival`` has the best other entry of each line, then the best other line of each entry (or NOBODY) with
    ``rival_gap``; ``line_first``: the rival of the line is the nearer of the two.
    """

    pairs: Pairs
    how: Codes
    rival: tuple[Rows, Rows]
    rival_gap: tuple[Ints, Ints]
    line_first: Flags


class Candidates:
    """For each row of a side its best candidate, and the best of those that are no twins of that one."""

    def __init__(self, rows: int, apart: Callable[[Rows, Rows], Flags]) -> None:
        self._apart = apart
        self.who = [np.full(rows, NOBODY, np.int32) for _ in range(2)]
        self.gap = [np.zeros(rows, np.int64) for _ in range(2)]
        self.apart = [np.zeros(rows, np.int64) for _ in range(2)]
        self.several = np.zeros(rows, np.bool_)

    def add(self, pairs: Ranked, side: int) -> None:
        """Candidates of rows of a side, all of them after those that were added before."""
        row, who = pairs.of(side)
        self._put(0, self.who[0][row] == NOBODY, pairs, side)
        first = self.who[0][row]
        other = first != who
        self.several[row[other]] = True
        if other.any():
            other &= self.who[1][row] == NOBODY
            other[other] = self._apart(first[other], who[other])
            self._put(1, other, pairs, side)

    def _put(self, place: int, new: Flags, pairs: Ranked, side: int) -> None:
        rank, row = pairs.rank, pairs.of(side)[0]
        if not new.all():
            rank, row = rank[new], row[new]
        first = firsts(row, rank, len(self.several))
        self.put(place, pairs.read(first[first != LAST]), side)

    def put(self, place: int, found: Pairs, side: int) -> None:
        """The candidates of rows of a side that had none in this place, one of each row."""
        rows, who = found.of(side)
        self.who[place][rows], self.gap[place][rows], self.apart[place][rows] = who, found.gap, found.apart

    def besides(self, row: Rows, partner: Rows) -> tuple[Rows, Ints, Ints]:
        """The best candidate of each row that is no twin of its partner: who, amount difference, dates apart."""
        first = self.who[0][row]
        use_first = (first != NOBODY) & (first != partner)
        if use_first.any():
            use_first[use_first] = self._apart(first[use_first], partner[use_first])
        who = np.where(use_first, first, self.who[1][row])
        gap, apart = np.zeros(len(row), np.int64), np.zeros(len(row), np.int64)
        for place, which in enumerate((use_first, ~use_first & (who != NOBODY))):
            at = np.flatnonzero(which)
            gap[at], apart[at] = self.gap[place][row[at]], self.apart[place][row[at]]
        return who, gap, apart


class Contest:
    """All candidates of one rule.

    ``by_date``: a candidate whose date is strictly farther is no rival. ``check`` may raise to
    stop the work.
    """

    def __init__(self, rows: tuple[int, int], kin: Kin, *, by_date: bool, check: Callable[[], None]) -> None:
        self.pairs = 0
        self.by_date = by_date
        self._check = check
        self._kin = kin
        self._partner = tuple(np.full(count, NOBODY, np.int32) for count in rows)
        self._gap, self._apart = np.zeros(rows[0], np.int64), np.zeros(rows[0], np.int64)
        self.seen = self._nobody()
        self._nearest = self._nobody() if by_date else self.seen

    def _nobody(self) -> list[Candidates]:
        return [Candidates(len(rows), partial(self._kin.apart, 1 - side)) for side, rows in enumerate(self._partner)]

    def kin(self, side: int) -> Rows | None:
        """The first twin of each row of a side."""
        return self._kin.first(side)

    def free(self, side: int) -> Flags:
        """The rows of a side that nobody has got."""
        return np.equal(self._partner[side], NOBODY)

    def looking(self, side: int) -> Flags:
        """The rows for which one more candidate could still change whether their pair is decided."""
        if not self.by_date:
            return np.equal(self.seen[side].who[1], NOBODY)
        # With two candidates on the expected day itself, no date can be strictly nearer than all others.
        nearest = self._nearest[side]
        return np.equal(nearest.who[1], NOBODY) | np.greater(nearest.apart[1], 0)

    def best(self, side: int) -> Rows:
        """For each row of a side the first of all its candidates in the contract's order, or NOBODY.

        Whoever has none yet is looking, and so is searched among all rows, whatever the plan is.
        """
        return self.seen[side].who[0]

    def may_have_sole(self, pairs: int) -> bool:
        """Whether so many pairs are few enough that it is worth to look for those of rows that are in no other."""
        return pairs <= _FEW_PAIRS * min(len(partner) for partner in self._partner)

    def sole(self, line: Rows, entry: Rows) -> Flags:
        """Which of some pairs are the only ones of both their rows, of all that have come so far."""
        sole = np.ones(len(line), np.bool_)
        for seen, row in zip(self.seen, (line, entry), strict=True):
            sole &= np.bincount(row)[row] == 1
            if self.pairs:
                sole &= seen.who[0][row] == NOBODY
        return sole

    def add_sole(self, pairs: Pairs) -> None:
        """Pairs that nobody contests: each is taken, wherever it stands in the order."""
        self.pairs += len(pairs.line)
        for side in range(2):
            self.seen[side].put(0, pairs, side)
            if self.by_date:
                self._nearest[side].put(0, replace(pairs, gap=pairs.apart), side)
        self.give(pairs)

    def add(self, pairs: Ranked) -> None:
        """Remember who could have whom, and take from the top what is free."""
        self.pairs += len(pairs.rank)
        for side in range(2):
            self.seen[side].add(pairs, side)
        if self.by_date:
            in_order = pairs.read(np.sort(pairs.rank))
            for side in range(2):
                self.note(side, *in_order.of(side), in_order.gap, in_order.apart, by_date=True)
        free = self.free(0).astype(np.int32), self.free(1).astype(np.int32)
        self.give(pairs.read(from_the_top(pairs, free, self._check).rank))

    def give(self, pairs: Pairs) -> None:
        """Pairs of free rows that belong together from now on."""
        self._partner[0][pairs.line], self._partner[1][pairs.entry] = pairs.entry, pairs.line
        self._gap[pairs.line], self._apart[pairs.line] = pairs.gap, pairs.apart

    def note(self, side: int, row: Rows, who: Rows, gap: Ints, apart: Ints, *, by_date: bool = False) -> None:
        """Candidates of rows of a side, in order; or whichever of them are the nearest by date."""
        if by_date:
            self._nearest[side] = self._by_date(side, row, who, apart)
        else:
            self.seen[side].add(listed(pairs_of(side, row, who, gap, apart)), side)

    def _by_date(self, side: int, row: Rows, who: Rows, apart: Ints) -> Candidates:
        """Candidates by how far apart the dates are: the best of the old ones and the new."""
        old = self._nearest[side]
        for place in (1, 0):
            known = np.flatnonzero(old.who[place] != NOBODY).astype(np.int32)
            row, who = np.concatenate((known, row)), np.concatenate((old.who[place][known], who))
            apart = np.concatenate((old.apart[place][known], apart))
        order = np.argsort(apart, kind="stable")
        row, who, apart = row[order], who[order], apart[order]
        made = self._nobody()[side]
        made.add(listed(pairs_of(side, row, who, apart, apart)), side)
        return made

    def result(self) -> Taken:
        """What was taken, and what else there was."""
        lines = np.flatnonzero(~self.free(0)).astype(np.int32)
        pairs = Pairs(lines, self._partner[0][lines], self._gap[lines], self._apart[lines])
        several = self.seen[0].several[pairs.line] | self.seen[1].several[pairs.entry]
        others = [self._others(side, pairs, several) for side in range(2)]
        rivals = [who != NOBODY for who, _, _ in others]
        contested = rivals[0] | rivals[1]
        how = np.where(contested, AMBIGUOUS, np.where(several, TWINS, SOLE)).astype(np.int8)
        if self.by_date:
            how[contested & self._nearer_than_others(pairs)] = DATE
        (_, line_gap, line_apart), (_, entry_gap, entry_apart) = others
        nearer = (line_gap < entry_gap) | ((line_gap == entry_gap) & (line_apart <= entry_apart))
        line_first = rivals[0] & (~rivals[1] | nearer)
        return Taken(pairs, how, (others[0][0], others[1][0]), (line_gap, entry_gap), line_first)

    def _others(self, side: int, pairs: Pairs, several: Flags) -> tuple[Rows, Ints, Ints]:
        """Who else the rows of a side could have had. Only rows of ``several`` candidates could have had anybody."""
        who = np.full(len(several), NOBODY, np.int32)
        gap, apart = np.zeros(len(several), np.int64), np.zeros(len(several), np.int64)
        some = np.flatnonzero(several)
        who[some], gap[some], apart[some] = self.seen[side].besides(*pairs.only(some).of(side))
        return who, gap, apart

    def _nearer_than_others(self, pairs: Pairs) -> Flags:
        nearer = np.ones(len(pairs.line), np.bool_)
        for side, (row, partner) in enumerate(((pairs.line, pairs.entry), (pairs.entry, pairs.line))):
            who, _, apart = self._nearest[side].besides(row, partner)
            nearer &= (who == NOBODY) | (apart > pairs.apart)
        return nearer
