"""What arithmetic proves: an amount and a running balance explain each other from row to row.

Files are sorted oldest or newest first, and a few show the balance before the row instead of after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

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
