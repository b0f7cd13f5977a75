"""Notes on what came near the units that are left. Of each unit the best note is told."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon.engine.pairs import Ints, Rows, firsts

NOTES = pa.schema(
    [
        pa.field("side", pa.int8()),
        pa.field("u", pa.int32()),
        pa.field("rank", pa.int32()),  # the lower the more telling
        pa.field("reason", pa.string()),
        pa.field("rule", pa.int32()),
        pa.field("criterion", pa.int32()),
        pa.field("other_side", pa.int8()),
        pa.field("other", pa.int32()),
        pa.field("difference", pa.int64()),
        pa.field("detail", pa.string()),  # JSON
    ]
)


def noted(
    side: int,
    unit: Rows,
    rank: int,
    reason: str | pa.Array,
    *,
    rule: int | None = None,
    criterion: int | None = None,
    other: tuple[int, Rows] | None = None,
    detail: str | None = None,
) -> pa.Table:
    """The same note on some units of a side, with the ``other`` unit of each and the side that it is of."""
    given = {
        "side": side, "u": unit, "rank": rank, "reason": reason, "rule": rule, "criterion": criterion,
        "other_side": other and other[0], "other": other and other[1], "difference": None,
        "detail": detail,
    }  # fmt: skip
    return pa.table(
        [
            pa.array(value, field.type) if isinstance(value, np.ndarray)
            else value if isinstance(value, pa.Array)
            else pa.repeat(pa.scalar(value, field.type), len(unit))
            for field in NOTES for value in (given[field.name],)
        ],
        schema=NOTES,
    )  # fmt: skip


def best_of(notes: pa.Table, units: int) -> Ints:
    """The place of the best of the notes on each of so many units of a side, or -1; one more -1 for no unit at all.

    Of notes of one rank, the one of the earlier rule, then criterion, then other unit.
    """
    unit = notes["u"].to_numpy()
    # Ranks are below 512, criteria at most 20, and there is room for 16,384 rules.
    key = np.zeros(len(unit), np.int64)
    for name, bits in (("rank", 9), ("rule", 14), ("criterion", 8), ("other", 32)):
        key = key << bits | pc.fill_null(notes[name], 0).to_numpy()
    best = np.flatnonzero(key == firsts(unit, key, units)[unit])[::-1]  # backwards: the first of equals is what stays
    place = np.full(units + 1, -1, np.int64)
    place[unit[best]] = best
    return place
