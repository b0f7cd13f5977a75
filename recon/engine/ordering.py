"""Where candidate pairs stand in the contract's order, as one number each.

The columns that order pairs are packed into 62 bits, the first in the highest, and are read from there again. Where
they need more, the database sorts those that share a row, and the rank of a pair is its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon.engine.pairs import Ints, Pairs, Ranked, Rows, listed
from recon.engine.session import Session

_BITS = 62
"""One less than there are, so that no pair's rank is LAST."""


def ranked(session: Session, found: pa.Table, order: Sequence[str]) -> Ranked:
    """The pairs of a table ``(s, l, …)`` ranked by the columns ``order``, then by line and entry."""
    names = [*order, "s", "l"]
    packing = _Packing.of({name: found[name] for name in names})
    if packing is not None:
        return Ranked(found["s"].to_numpy(), found["l"].to_numpy(), packing.rank, packing.read)
    # Where nobody contests a pair, any rank will do.
    lines, entries = found["s"].to_numpy(), found["l"].to_numpy()
    contested = pa.array((np.bincount(lines)[lines] > 1) | (np.bincount(entries)[entries] > 1))
    columns = ["s", "l", "gap", "apart"]
    session.connection.register("unordered", found.filter(contested))
    try:
        ordered = session.arrow(f"SELECT {', '.join(columns)} FROM unordered ORDER BY {', '.join(names)}")
    finally:
        session.connection.unregister("unordered")
    both = pa.concat_tables([ordered, found.select(columns).filter(pc.invert(contested))])
    return listed(Pairs(*(both[name].to_numpy() for name in columns)))


@dataclass(frozen=True)
class _Packing:
    """``fields``: by how many bits a column is shifted, how many it has, and the value that is zero there."""

    rank: Ints
    fields: dict[str, tuple[int, int, int]]

    @classmethod
    def of(cls, columns: dict[str, pa.ChunkedArray]) -> Self | None:
        """The columns in one number, the first in the highest bits; None where they do not fit."""
        rows = len(next(iter(columns.values())))
        if not rows or any(each.null_count or not pa.types.is_integer(each.type) for each in columns.values()):
            return None
        arrays = {name: column.to_numpy() for name, column in columns.items()}
        lows = {name: int(array.min()) for name, array in arrays.items()}
        widths = {name: (int(array.max()) - lows[name]).bit_length() for name, array in arrays.items()}
        if sum(widths.values()) > _BITS:
            return None
        rank, shift, fields = np.zeros(rows, np.int64), sum(widths.values()), {}
        for name, array in arrays.items():
            shift -= widths[name]
            fields[name] = (shift, widths[name], lows[name])
            if widths[name]:
                rank |= (array.astype(np.int64) - lows[name]) << shift
        return cls(rank, fields)

    def read(self, rank: Ints) -> Pairs:
        return Pairs(
            self._rows("s", rank), self._rows("l", rank), self._value("gap", rank), self._value("apart", rank)
        )

    def _rows(self, name: str, rank: Ints) -> Rows:
        return self._value(name, rank).astype(np.int32)

    def _value(self, name: str, rank: Ints) -> Ints:
        shift, width, low = self.fields[name]
        return (rank >> shift & (1 << width) - 1) + low
