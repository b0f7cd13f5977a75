"""Candidate pairs as arrays, in any order: a number tells which of two that share a row comes first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
LAST = np.iinfo(np.int64).max
"""No pair has this rank."""


@dataclass(frozen=True)
class Pairs:
    """Line, entry, amount difference, and how far apart their dates are."""

    line: Rows
    entry: Rows
    gap: Ints
    apart: Ints

    def of(self, side: int) -> tuple[Rows, Rows]:
        """The rows of a side, and whom they could have."""
        return (self.line, self.entry) if side == 0 else (self.entry, self.line)

    def only(self, which: Flags | Ints) -> Pairs:
        return Pairs(self.line[which], self.entry[which], self.gap[which], self.apart[which])


@dataclass(frozen=True)
class Ranked:
    """Candidates: line, entry and ``rank``, which ascends in the contract's order. ``read`` tells the rest by rank.

    The first of millions is found sooner by comparing ranks than by putting all of them in order.
    """

    line: Rows
    entry: Rows
    rank: Ints
    read: Callable[[Ints], Pairs]

    def of(self, side: int) -> tuple[Rows, Rows]:
        """The rows of a side, and whom they could have."""
        return (self.line, self.entry) if side == 0 else (self.entry, self.line)

    def only(self, which: Flags | Ints) -> Ranked:
        return Ranked(self.line[which], self.entry[which], self.rank[which], self.read)


def pairs_of(side: int, row: Rows, who: Rows, gap: Ints, apart: Ints) -> Pairs:
    """Rows of a side with whom they could have."""
    return Pairs(*((row, who) if side == 0 else (who, row)), gap, apart)


def listed(pairs: Pairs) -> Ranked:
    """Pairs that are in order already."""
    return Ranked(pairs.line, pairs.entry, np.arange(len(pairs.line)), pairs.only)


def in_groups(number: Ints, numbers: int) -> Ints:
    """The places of so many numbers (from 0) in their order, equal ones as they come."""
    # Sixteen bits at a time: numpy counts those instead of comparing them.
    order = np.argsort(number.astype(np.uint16), kind="stable")
    for shift in range(16, numbers.bit_length(), 16):
        order = order[np.argsort((number[order] >> shift).astype(np.uint16), kind="stable")]
    return order


def firsts(row: Rows, rank: Ints, rows: int) -> Ints:
    """For each of so many rows the lowest rank among its pairs, or LAST."""
    lowest = np.full(rows, LAST, np.int64)
    np.minimum.at(lowest, row, rank)
    return lowest
