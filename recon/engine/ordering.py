"""Candidate pairs in the contract's order.

Millions of pairs are sorted fastest as single numbers: the columns that order them are packed into 63 bits, the first
in the highest, and come out of the sorted numbers again. Where the columns need more, the database sorts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from recon.engine.contest import Pairs
from recon.engine.session import Session
from recon.engine.taking import Ints

_BITS = 63


def in_order(session: Session, found: pa.Table, order: Sequence[str]) -> Pairs:
    """The pairs of a table ``(s, l, …)`` by the columns ``order``, then by line and entry."""
    names = [*order, "s", "l"]
    columns = _packed_and_sorted([found[name] for name in names])
    if columns is None:
        session.connection.register("unordered", found)
        try:
            return pairs_of(session.arrow(f"SELECT s, l, gap, apart FROM unordered ORDER BY {', '.join(names)}"))
        finally:
            session.connection.unregister("unordered")
    at = {name: columns[place] for place, name in enumerate(names)}
    return Pairs(at["s"].astype(np.int32), at["l"].astype(np.int32), at["gap"], at["apart"])


def pairs_of(table: pa.Table) -> Pairs:
    """The pairs of a table as they come."""
    return Pairs(*(table[name].to_numpy() for name in ("s", "l", "gap", "apart")))


def _packed_and_sorted(columns: Sequence[pa.ChunkedArray]) -> list[Ints] | None:
    """The columns sorted by the first, then the second and so on; None where they do not fit into one number."""
    if not len(columns[0]) or any(column.null_count or not pa.types.is_integer(column.type) for column in columns):
        return None
    arrays = [column.to_numpy() for column in columns]
    lows = [int(array.min()) for array in arrays]
    widths = [(int(array.max()) - low).bit_length() for array, low in zip(arrays, lows, strict=True)]
    if sum(widths) > _BITS:
        return None
    packed = np.zeros(len(arrays[0]), np.int64)
    for array, low, width in zip(arrays, lows, widths, strict=True):
        if width:
            packed <<= width
            packed |= array.astype(np.int64) - low
    packed.sort()
    unpacked = []
    for low, width in zip(reversed(lows), reversed(widths), strict=True):
        unpacked.append((packed & ((1 << width) - 1)) + low if width else np.full(len(packed), low, np.int64))
        packed >>= width
    return unpacked[::-1]
