"""What arithmetic proves: an amount and a running balance explain each other from row to row.

Files are sorted oldest or newest first, and a few show the balance before the row instead of after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

PROVEN: Final = 0.8
"""Share of the steps that must be right: some files leave out rows that moved the balance."""

Values = Sequence[Decimal | None]


def agreement(amounts: Values, balances: Values, *, before: bool = False) -> float:
    """Share of the steps from row to row that are right, oldest or newest first, whichever is better.

    ``before`` takes the balances as those before their rows. 0 when no step tells anything.
    """
    return max(step_share(amounts, balances, newest_first=each, before=before) for each in (False, True))


def newest_first(amounts: Values, balances: Values) -> bool:
    """Whether the balances agree better when the rows are read from the last to the first."""
    return step_share(amounts, balances, newest_first=True) > step_share(amounts, balances, newest_first=False)


def step_share(amounts: Values, balances: Values, *, newest_first: bool, before: bool = False) -> float:
    """Share of the moving rows whose amount is the step of the balance there, in one order of the rows."""
    other = 1 if newest_first != before else -1
    right = told = 0
    for place, (amount, here) in enumerate(zip(amounts, balances, strict=True)):
        there = balances[place + other] if 0 <= place + other < len(balances) else None
        if not amount or here is None or there is None:
            continue
        told += 1
        right += (there - here if before else here - there) == amount
    return right / told if told else 0.0


def share_of_steps(amounts: pa.Array, balances: pa.Array, *, newest_first: bool) -> float:
    """``step_share`` for whole columns of integers at one scale, without gaps. Raises ArrowInvalid past 64 bits."""
    count = len(amounts)
    if not count:
        return 0.0
    if newest_first:
        moved, here, there = amounts.slice(0, count - 1), balances.slice(0, count - 1), balances.slice(1)
    else:
        moved, here, there = amounts.slice(1), balances.slice(1), balances.slice(0, count - 1)
    told = pc.not_equal(moved, 0)
    right = pc.and_(told, pc.equal(pc.subtract_checked(here, there), moved))
    steps = pc.sum(told).as_py()
    return float(pc.sum(right).as_py() / steps) if steps else 0.0
