"""Taking pairs from the top: the first pair takes both its sides, then the first of those that are still possible.

A side may be a row, which is used up at once, or a cell of many rows that nothing tells apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]
_AT_ONCE = 200_000
_FEW = 20_000
_SLOW = 0.9
"""A round that leaves more than this share of the pairs is not worth another."""


class Takes(NamedTuple):
    """The pairs that took something (by place, in no order), how much, and how much either side had left before."""

    at: Ints
    taken: Rows
    before: tuple[Rows, Rows]


def from_the_top(one: Rows, other: Rows, sizes: tuple[Rows, Rows], check: Callable[[], None]) -> Takes:
    """What each of the pairs ``(one, other)``, in order, takes: as much as both sides have left of their ``sizes``.

    In rounds: whatever is the first possible pair of both its sides takes. A round costs a few passes over arrays;
    when rounds bring little (long chains of rivals), the rest is taken one by one. ``check`` may raise to stop.
    """
    left = (sizes[0].astype(np.int32), sizes[1].astype(np.int32))
    first = (np.empty(len(left[0]), np.int32), np.empty(len(left[1]), np.int32))
    at = np.flatnonzero((left[0][one] > 0) & (left[1][other] > 0))
    one, other = one[at], other[at]
    rounds = []
    slow = False
    while len(at) > _FEW and not slow:
        check()
        place = np.arange(len(at), dtype=np.int32)
        # Written backwards: of several pairs of one row the first is what stays.
        first[0][one[::-1]] = first[1][other[::-1]] = place[::-1]
        mutual = np.flatnonzero((first[0][one] == place) & (first[1][other] == place))
        rounds.append(_take(at[mutual], one[mutual], other[mutual], left))
        rest = np.flatnonzero((left[0][one] > 0) & (left[1][other] > 0))
        slow = len(rest) > len(at) * _SLOW
        at, one, other = at[rest], one[rest], other[rest]
    rounds.append(_one_by_one(at, one, other, left, check))
    return Takes(
        np.concatenate([each.at for each in rounds]),
        np.concatenate([each.taken for each in rounds]),
        (
            np.concatenate([each.before[0] for each in rounds]),
            np.concatenate([each.before[1] for each in rounds]),
        ),
    )


def _take(at: Ints, one: Rows, other: Rows, left: tuple[Rows, Rows]) -> Takes:
    """Pairs of which no two share a side."""
    before = left[0][one], left[1][other]
    count = np.minimum(*before)
    left[0][one] -= count
    left[1][other] -= count
    return Takes(at, count, before)


def _one_by_one(at: Ints, one: Rows, other: Rows, left: tuple[Rows, Rows], check: Callable[[], None]) -> Takes:
    """The definition itself."""
    left_one, left_other = left[0].tolist(), left[1].tolist()
    places: list[int] = []
    counts: list[int] = []
    before: tuple[list[int], list[int]] = ([], [])
    for start in range(0, len(at), _AT_ONCE):
        check()
        some = slice(start, start + _AT_ONCE)
        for place, (this, that) in enumerate(zip(one[some].tolist(), other[some].tolist(), strict=True), start):
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
        at[np.array(places, np.int64)],
        np.array(counts, np.int32),
        (np.array(before[0], np.int32), np.array(before[1], np.int32)),
    )
