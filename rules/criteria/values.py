"""Reading the values of criteria: numbers, ranges, lengths of time, dates. Exact, and refusing what is not meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

from rules.criteria.problems import ExpectedError

Unit = Literal["absolute", "percent", "seconds", "days"]

DRIFT_UNITS: tuple[Unit, ...] = ("absolute", "percent", "seconds", "days")
RESERVED_UNITS = ("business_days",)
MAX_DIGITS = 18
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_ZERO = re.compile(r"[+-]?0+(\.0*)?")
_LAG = re.compile(r"\s*([+-]?[0-9]{1,5})\s*d?\s*")
_LENGTH = re.compile(r"\s*([+-]?[0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([a-z]*)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Window:
    """How far the statement may lie from the ledger (statement minus ledger), both bounds included.

    ``absolute`` is in the row's currency, ``percent`` of the absolute ledger amount, ``days`` are calendar days.
    """

    low: Decimal
    high: Decimal
    unit: Unit

    @property
    def exact(self) -> bool:
        """No difference at all is allowed."""
        return self.low == 0 == self.high


@dataclass(frozen=True)
class Moment:
    """A calendar day, or an instant where ``at`` (UTC) is given."""

    day: date
    at: datetime | None = None


@dataclass(frozen=True)
class AmountSpan:
    """A constant range of amounts, both bounds included."""

    low: Decimal
    high: Decimal


@dataclass(frozen=True)
class DateSpan:
    """A constant range of dates, both bounds included."""

    low: Moment
    high: Moment


def read_number(raw: object) -> Decimal:
    """A decimal number from JSON (int, Decimal, float or text), exactly as it was written."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal | str):
        raise ExpectedError("a number", raw)
    text = str(raw).strip()
    if not _NUMBER.fullmatch(text):
        raise ExpectedError("a number", raw)
    number = Decimal(text)
    if not -MAX_DIGITS <= number.adjusted() <= MAX_DIGITS:
        raise ExpectedError(f"a number of at most {MAX_DIGITS} digits", raw)
    if len(number.normalize().as_tuple().digits) > MAX_DIGITS:
        raise ExpectedError(f"a number of at most {MAX_DIGITS} digits", raw)
    return number


def read_percent(raw: object) -> Decimal:
    """A percentage from 0 to 100, with or without its sign."""
    number = read_number(raw.strip().removesuffix("%") if isinstance(raw, str) else raw)
    if not 0 <= number <= 100:
        raise ExpectedError("a percentage from 0 to 100", raw)
    return number


def read_amount_window(raw: object) -> Window:
    """``0.50`` is plus or minus, ``2%`` of the ledger amount, ``-1.00..0.25`` from and to; 0 needs no percent sign."""
    low, high = _ends(raw)
    if "%" in low + high:
        low, high = (f"{end}%" if _ZERO.fullmatch(end) else end for end in (low, high))
    percent = high.endswith("%")
    if percent != low.endswith("%"):
        raise ExpectedError("both ends in percent or neither", raw)
    window = Window(
        read_number(low.removesuffix("%")), read_number(high.removesuffix("%")), "percent" if percent else "absolute"
    )
    return _around_or_between(window, raw)


def read_date_window(raw: object) -> Window:
    """``2d`` is within two calendar days, ``36h`` within hours (also s, m), ``-1d..3d`` from and to; 0 has no unit."""
    low, high = _ends(raw)
    if bool(_ZERO.fullmatch(low)) != bool(_ZERO.fullmatch(high)):
        low, high = (f"{end}d" if _ZERO.fullmatch(end) else end for end in (low, high))
    (first, first_unit), (second, second_unit) = _length(low, raw), _length(high, raw)
    if first == 0 and first_unit != second_unit:
        first_unit = second_unit
    if second == 0 and first_unit != second_unit:
        second_unit = first_unit
    if first_unit != second_unit:
        raise ExpectedError("both ends in days, or both in hours, minutes or seconds", raw)
    return _around_or_between(Window(first, second, first_unit), raw)


def read_amount_span(raw: object) -> AmountSpan:
    """``100..500``: from and to, both included."""
    low, high = _both_ends(raw, "100..500")
    span = AmountSpan(read_number(low), read_number(high))
    if span.low > span.high:
        raise ExpectedError("a range whose first end is not above its second", raw)
    return span


def read_date_span(raw: object) -> DateSpan:
    """``2026-01-01..2026-01-31``: from and to, both included."""
    low, high = _both_ends(raw, "2026-01-01..2026-01-31")
    span = DateSpan(read_moment(low), read_moment(high))
    if span.low.day > span.high.day:
        raise ExpectedError("a range whose first end is not after its second", raw)
    return span


def read_moment(raw: object) -> Moment:
    """A date (``2026-01-31``) or a date with a time (``2026-01-31T14:00:00Z``; without a zone it is UTC)."""
    text = raw.strip() if isinstance(raw, str) else ""
    try:
        if len(text) == 10:
            return Moment(date.fromisoformat(text))
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ExpectedError("a date such as 2026-01-31", raw) from error
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return Moment(at.date(), at)


def read_currency(raw: object) -> str:
    """Three letters."""
    text = raw.strip().upper() if isinstance(raw, str) else ""
    if not re.fullmatch(r"[A-Z]{3}", text):
        raise ExpectedError("a currency of three letters", raw)
    return text


def read_text(raw: object) -> str:
    """Text that has something in it; a number is taken as it is written."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal) or not str(raw).strip():
        raise ExpectedError("some text", raw)
    return str(raw)


def read_lag(raw: object) -> int:
    """Whole days from the ledger's date to the statement's: ``2d`` or 2."""
    match = _LAG.fullmatch(str(raw)) if isinstance(raw, str | int) and not isinstance(raw, bool) else None
    if match is None:
        raise ExpectedError("a number of days such as 2d", raw)
    return int(match[1])


def _ends(raw: object) -> tuple[str, str]:
    """The two ends of ``a..b``; a single value stands for minus it and plus it (written here as the same text)."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | float | Decimal):
        raise ExpectedError("a tolerance such as 0.50, 2%, 2d or -1..3", raw)
    low, dots, high = (part.strip() for part in str(raw).partition(".."))
    return (low, high) if dots else (low, low)


def _both_ends(raw: object, example: str) -> tuple[str, str]:
    low, dots, high = str(raw).partition("..") if isinstance(raw, str) else ("", "", "")
    if not dots or not low.strip() or not high.strip():
        raise ExpectedError(f"a range such as {example}", raw)
    return low.strip(), high.strip()


def _length(text: str, raw: object) -> tuple[Decimal, Unit]:
    match = _LENGTH.fullmatch(text)
    unit = match[2].lower() if match else ""
    if match is None or unit not in ("d", *_SECONDS) or (unit == "d" and "." in match[1]):
        raise ExpectedError("a length of time such as 2d, 36h or -1d..3d", raw)
    return (Decimal(match[1]), "days") if unit == "d" else (Decimal(match[1]) * _SECONDS[unit], "seconds")


def _around_or_between(window: Window, raw: object) -> Window:
    if ".." not in str(raw):
        if window.high < 0:
            raise ExpectedError("a tolerance that is not negative", raw)
        return Window(-window.high, window.high, window.unit)
    if window.low > window.high:
        raise ExpectedError("a range whose first end is not above its second", raw)
    return window
