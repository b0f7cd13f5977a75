"""Taking pairs from the top: the first pair takes both its sides, then the first of those that are still possible.

A side may be a row, which is used up at once, or a cell of many rows that nothing tells apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from recon.engine.pairs import LAST, Flags, Ints, Ranked, Rows, firsts

_AT_ONCE = 200_000
_FEW = 5_000
_SLOW = 0.9
"""A round that leaves more than this share of the pairs is not worth another."""
_FEW_OF = 16
"""One in so many rows, at most, are few of them."""


class Takes(NamedTuple):
    """The pairs that took something (by rank, in no order), how much, and how much either side had left before."""

    rank: Ints
    taken: Rows
    before: tuple[Rows, Rows]


def from_the_top(pairs: Ranked, sizes: tuple[Rows, Rows], check: Callable[[], None]) -> Takes:
    """What each of the pairs, in order, takes: as much as both sides have left of their ``sizes``.

    In rounds: whatever is the first possible pair of both its sides takes. A round costs a few passes over arrays;
    when rounds bring little (long chains of rivals), the rest is taken one by one. ``check`` may raise to stop.
    """
    left = (sizes[0].astype(np.int32), sizes[1].astype(np.int32))
    if not (left[0].all() and left[1].all()):
        pairs = pairs.only(_possible(pairs, left))
    rounds = []
    slow = False
    while len(pairs.rank) > _FEW and not slow:
        check()
        first, first_of_other = (
            firsts(rows, pairs.rank, len(size)) for rows, size in zip((pairs.line, pairs.entry), left, strict=True)
        )
        first = first[first != LAST]
        first = first[first_of_other[pairs.read(first).entry] == first]
        rounds.append(_take(first, pairs, left))
        rest = pairs.only(_possible(pairs, left))
        slow = len(rest.rank) > len(pairs.rank) * _SLOW
        pairs = rest
    rounds.append(_one_by_one(pairs, left, check))
    return Takes(
        np.concatenate([each.rank for each in rounds]),
        np.concatenate([each.taken for each in rounds]),
        (
            np.concatenate([each.before[0] for each in rounds]),
            np.concatenate([each.before[1] for each in rounds]),
        ),
    )


def _possible(pairs: Ranked, left: tuple[Rows, Rows]) -> Flags:
    """The pairs both of whose sides have something left."""
    return (left[0][pairs.line] > 0) & (left[1][pairs.entry] > 0)


def _take(rank: Ints, pairs: Ranked, left: tuple[Rows, Rows]) -> Takes:
    """Pairs of which no two share a side."""
    mutual = pairs.read(rank)
    before = left[0][mutual.line], left[1][mutual.entry]
    count = np.minimum(*before)
    left[0][mutual.line] -= count
    left[1][mutual.entry] -= count
    return Takes(rank, count, before)


def _one_by_one(pairs: Ranked, left: tuple[Rows, Rows], check: Callable[[], None]) -> Takes:
    """The definition itself."""
    pairs = pairs.only(np.argsort(pairs.rank))
    line, left_one = _listed(pairs.line, left[0])
    entry, left_other = _listed(pairs.entry, left[1])
    places: list[int] = []
    counts: list[int] = []
    before: tuple[list[int], list[int]] = ([], [])
    for start in range(0, len(pairs.rank), _AT_ONCE):
        check()
        some = slice(start, start + _AT_ONCE)
        both = zip(line[some].tolist(), entry[some].tolist(), strict=True)
        for place, (this, that) in enumerate(both, start):
            has, wants = left_one[this], left_other[that]
            if has and wants:
                count = has if has < wants else wants
                left_one[this] = has - count
                left_other[that] = wants - count
                places.append(place)
                counts.append(count)
                before[0].append(has)
                before[1].append(wants)
    return Takes(
        pairs.rank[np.array(places, np.int64)],
        np.array(counts, np.int32),
        (np.array(before[0], np.int32), np.array(before[1], np.int32)),
    )


def _listed(rows: Rows, left: Rows) -> tuple[Rows, list[int]]:
    """What rows have left as a list, and their places in it. A list of millions takes longer than a few pairs."""
    if len(rows) * _FEW_OF > len(left):
        return rows, left.tolist()
    own, place = np.unique(rows, return_inverse=True)
    return place.astype(np.int32), left[own].tolist()
