"""The small values the fixed formats are made of: plain numbers, ISO dates and instants, folded text.

Nothing here guesses in silence: what cannot be read raises ``ValueError`` with a phrase for the user.
(Amounts and dates as people write them in tables are read by ``numbers`` and ``dates``.)
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from recon.statements.currencies import UNKNOWN, exponent, stated_code
from recon.statements.model import Hints, RowError
from recon.statements.numbers import fitted, parse_amount

_NUMBER = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?")
_ISO_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?!\d)")


def plain_units(text: str, currency: str) -> tuple[int, int]:
    """Integer units and scale of a number written with digits and a point, for example ``-12.5`` EUR: ``(-1250, 2)``.

    Zeros beyond the currency's decimals are dropped, other digits never; what does not fit raises ValueError.
    """
    found = _NUMBER.fullmatch(text)
    if not found or not (found[2] or found[3]):
        raise ValueError("a number like 1234.56")
    digits = found[2] + (found[3] or "")
    if len(digits.lstrip("0")) > 30:
        raise ValueError("an amount of at most 18 digits")
    units, scale = fitted(int(digits), len(found[3] or ""), currency)
    return (-units if found[1] == "-" else units), scale


def bare_number(number: str | None) -> str:
    """An account number without spaces and dashes, in capitals."""
    return "".join((number or "").replace("-", "").split()).upper()


def currency_of(hints: Hints) -> str:
    """The account's currency, for files that name none."""
    return stated_code(hints.currency or "") or UNKNOWN


def zone_of(hints: Hints) -> ZoneInfo:
    """The account's time zone, for times of day that name none; UTC when nothing is known."""
    try:
        return ZoneInfo(hints.time_zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


@lru_cache(maxsize=4096)
def iso_date(text: str) -> date:
    """The calendar day at the start of an ISO 8601 date or date-time, as written; raises ValueError."""
    found = _ISO_DATE.match(text.strip())
    if not found:
        raise ValueError("a date like 2026-01-31")
    return date(int(found[1]), int(found[2]), int(found[3]))


def iso_instant(text: str, zone: ZoneInfo) -> datetime | None:
    """The UTC instant of an ISO 8601 date-time; None for a bare date or for midnight, which banks write for "no time".

    Without an offset the time is read in `zone`.
    """
    text = text.strip()
    if len(text) < 16 or text[10] not in "Tt ":
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if is_midnight(at) else utc(at, zone)


def utc(at: datetime, zone: ZoneInfo | timezone) -> datetime | None:
    """`at` in UTC, read in `zone` if it has no offset; None at the edge of the calendar."""
    try:
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def is_midnight(at: datetime) -> bool:
    """Whether a time of day is 00:00:00."""
    return not (at.hour or at.minute or at.second or at.microsecond)


def folded(text: str | None) -> str | None:
    """Text with runs of white space folded and control characters dropped; None when nothing is left."""
    if not text:
        return None
    plain = " ".join(text.split())
    if plain.isprintable():
        return plain or None
    return "".join(c for c in plain if c.isprintable()) or None


def unreadable(line: int | None, column: str, found: str, expected: str, raw: str | None = None) -> RowError:
    """The row error for a value that does not have its expected shape."""
    shown = found if len(found) <= 60 else found[:57] + "…"
    return RowError(line, column, found, expected, f"{column}: found “{shown}”, expected {expected}", raw)


def either_mark_units(text: str, currency: str) -> tuple[int, int]:
    """Integer units and scale of an amount with a decimal point or comma, signed; raises ValueError.

    With both, the last one is the decimal mark. One comma before exactly three digits could be either and is refused.
    """
    comma, point = text.rfind(","), text.rfind(".")
    if comma > point and point < 0 and re.search(r",\d{3}$", text) and exponent(currency) != 3:
        raise ValueError("an amount whose decimal mark is plain, like 1234.56 or 1234,56")
    found = parse_amount(text, "," if comma > point else ".")
    return fitted(found.units, found.scale, currency)
