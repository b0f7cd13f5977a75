"""All sums of a few rows that come near the amount of one row of the other side, in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from recon.engine.options import Options
from recon.engine.pairs import Flags, Ints
from recon.engine.plan import MAX_UNITS
from recon.engine.sides import grouped_sides
from rules.criteria import Criterion
from rules.criteria.scope import units_down, units_up


@dataclass(frozen=True)
class Pool:
    """A row of the one side, and the rows of the other it might be the sum of, in order; each with its amount."""

    one: int
    amount: int
    rows: tuple[int, ...]
    amounts: tuple[int, ...]

    def without(self, gone: set[int]) -> Pool:
        """The same without some rows."""
        kept = [place for place, row in enumerate(self.rows) if row not in gone]
        return Pool(self.one, self.amount, tuple(self.rows[at] for at in kept), tuple(self.amounts[at] for at in kept))


@dataclass(frozen=True)
class Sums:
    """The sums of a pool's rows, of fewer rows first, then of first rows. ``places`` in the pool were added; those
    beyond it mean nothing was. ``difference``: statement minus ledger. ``meets``: which ones the rule admits."""

    pool: Pool
    places: npt.NDArray[np.int64]
    difference: npt.NDArray[Any]
    meets: Flags

    def nearest(self, among: Ints | None = None) -> tuple[int, tuple[int, ...]]:
        """The sum with the least difference, perhaps only of some: its difference and its rows."""
        differences = self.difference if among is None else self.difference[among]
        at = int(np.argmin(np.abs(differences)))
        at = at if among is None else int(among[at])
        return int(self.difference[at]), tuple(
            self.pool.rows[place] for place in self.places[at] if place < len(self.pool.rows)
        )


def sums(pool: Pool, criteria: Sequence[Criterion], options: Options, scale: int) -> Sums:
    """All sums of a pool, and which of them meet what a rule asks of amounts."""
    places = _places(len(pool.rows), min(options.sum_size, len(pool.rows)))
    # Numbers too large for 64 bits are summed as Python's.
    exact = max(map(abs, pool.amounts)) < 10**15 and abs(pool.amount) <= MAX_UNITS
    kind = np.int64 if exact else object
    total = np.array([*pool.amounts, 0], kind)[places].sum(axis=1)
    one = np.full(len(total), pool.amount, kind)
    if options.sign == "unsigned":
        total = np.abs(total)
    line, entry = (one, total) if "ledger" in grouped_sides(options.strategy) else (total, one)
    difference = line - entry
    meets = np.asarray((np.sign(line) * np.sign(entry) >= 0) & (np.abs(difference) <= MAX_UNITS), np.bool_)
    for each in criteria:
        meets &= _meets(difference, entry, each, scale)
    return Sums(pool, places, difference, meets)


@lru_cache(maxsize=64)
def _places(count: int, most: int) -> npt.NDArray[np.int64]:
    groups = [group for size in range(1, most + 1) for group in combinations(range(count), size)]
    return np.array([group + (count,) * (most - len(group)) for group in groups], np.int64)


def _meets(gap: npt.NDArray[Any], entry: npt.NDArray[Any], criterion: Criterion, scale: int) -> Flags:
    """Whether each difference meets a criterion. Percentages are compared crosswise."""
    window = criterion.window
    if window is None:
        return np.zeros(len(gap), np.bool_)
    if window.unit == "percent":
        low, high = Fraction(window.low) / 100, Fraction(window.high) / 100
        gap, base = gap.astype(object), np.abs(entry).astype(object)
        met = (gap * low.denominator >= base * low.numerator) & (gap * high.denominator <= base * high.numerator)
    else:
        met = (gap >= units_up(window.low, scale)) & (gap <= units_down(window.high, scale))
    return np.asarray(met, np.bool_)
