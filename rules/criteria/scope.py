"""What SQL compiled from criteria may rely on: the columns of the two sides, and the facts of one run.

The statement side has the alias ``s``, the ledger side ``l``. Both have ``amt`` (integer units at the scale of
the run), ``ccy``, ``day`` (days since 1970 in the account's zone), ``instant`` (microseconds since 1970 UTC, only
where the row has a time of day) and the text columns that the criteria ask for (`TextColumn`). A missing value is NULL
and satisfies nothing.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal
from zoneinfo import ZoneInfo

from rules.criteria.values import Moment, Window

Side = Literal["statement", "ledger"]
Form = Literal["key", "tokens", "loose", "loose_tokens", "both_loose", "both_loose_tokens"]

ALIAS: dict[Side, str] = {"statement": "s", "ledger": "l"}
DAY_SECONDS = 86_400
_MICROSECONDS = 1_000_000
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Scope:
    """The facts of a run: decimal places of all amounts, whether any row has a time of day, the account's zone; and
    whether any text that is compared loosely has another compact key than loose key."""

    scale: int
    times: bool
    time_zone: str = "UTC"
    compact: bool = True


@dataclass(frozen=True)
class TextColumn:
    """A text of one side in the form a criterion compares: the key, its tokens, or loose; perhaps extracted first.
    Of "both_loose" see `rules.criteria.text.both_loose_sql`.

    ``must_match``: a text that the pattern does not match is no text at all (else it is taken whole).
    """

    field: str
    form: Form
    pattern: str | None = None
    must_match: bool = False

    @property
    def name(self) -> str:
        """The name of the column, the same for equal columns of different criteria."""
        if self.pattern is None:
            return f"{self.field}_{self.form}"
        digest = hashlib.sha256(f"{self.must_match} {self.pattern}".encode()).hexdigest()[:16]
        return f"{self.field}_{self.form}_{digest}"


def units_up(number: Decimal, scale: int) -> int:
    """The smallest whole number of units not below ``number``: a lower bound, exactly."""
    return math.ceil(Fraction(number) * Fraction(10**scale))


def units_down(number: Decimal, scale: int) -> int:
    """The largest whole number of units not above ``number``: an upper bound, exactly."""
    return math.floor(Fraction(number) * Fraction(10**scale))


def amount_within(window: Window, scope: Scope, left: str = "s.amt", right: str = "l.amt") -> str:
    """SQL: left minus right lies in the window. Percentages are compared crosswise, so nothing is rounded."""
    if window.unit == "absolute":
        low, high = units_up(window.low, scope.scale), units_down(window.high, scope.scale)
        return f"{left} - {right} BETWEEN {low} AND {high}"
    least, most = Fraction(window.low) / 100, Fraction(window.high) / 100
    gap, base = f"({left} - {right})::HUGEINT", f"abs({right})::HUGEINT"
    return (
        f"({gap} * {least.denominator} >= {base} * {least.numerator}"
        f" AND {gap} * {most.denominator} <= {base} * {most.numerator})"
    )


def date_within(window: Window, scope: Scope) -> str:
    """SQL: statement minus ledger date lies in the window; whole days where either side has no time of day."""
    low, high = whole_days(window)
    days = f"s.day - l.day BETWEEN {low} AND {high}"
    if window.unit == "days" or not scope.times:
        return days
    first, last = (math.trunc(end * _MICROSECONDS) for end in (window.low, window.high))
    seconds = f"s.instant - l.instant BETWEEN {first} AND {last}"
    return f"CASE WHEN s.instant IS NULL OR l.instant IS NULL THEN {days} ELSE {seconds} END"


def whole_days(window: Window) -> tuple[int, int]:
    """A date window cut down to whole calendar days (1800 seconds -> the same day, 36 hours -> one day)."""
    if window.unit == "days":
        return int(window.low), int(window.high)
    return math.trunc(window.low / DAY_SECONDS), math.trunc(window.high / DAY_SECONDS)


def date_compared(alias: str, sign: str, moment: Moment, scope: Scope) -> str:
    """SQL: the date of one side compared with a constant; by the instant where both have one, by the day otherwise."""
    days = f"{alias}.day {sign} {day_number(moment, scope)}"
    if moment.at is None or not scope.times:
        return days
    return f"CASE WHEN {alias}.instant IS NULL THEN {days} ELSE {alias}.instant {sign} {microseconds(moment.at)} END"


def microseconds(at: datetime) -> int:
    """An instant as `instant` has it: since 1970 UTC, exactly."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def day_number(moment: Moment, scope: Scope) -> int:
    """Days since 1970 of a constant date, of an instant in the account's zone."""
    day = moment.day if moment.at is None else moment.at.astimezone(ZoneInfo(scope.time_zone)).date()
    return (day - _EPOCH).days


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
