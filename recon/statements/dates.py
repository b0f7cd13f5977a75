"""Dates and times as files write them. One order of day, month and year is decided for a whole column.

Understood whatever the order: ``2025-01-31``, ``2025/1/31``, ``2025. 01. 31.``, ``20250131``, ``2025年1月31日``,
``31 Jan 2025``, ``January 31, 2025``, ``31-JAN-25``, month names of many languages, ISO 8601 instants, Unix seconds.
By the order: ``31/01/2025``, ``31.1.25``, ``01-31-2025``, ``31012025``. Years of the Buddhist (2568), the Minguo
(``114/1/31``) and the Japanese calendar (``令和7年1月31日``, ``R7.1.31``) become common ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from recon.statements.words import MONTHS

DateOrder = Literal["dmy", "mdy", "ymd"]

_TIME: Final = (
    r"(?:[T ,;-]+\(?(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,:](?P<fraction>\d{1,9}))?)?"
    r"\s*(?P<half>[AaPp]\.?\s?[Mm]\.?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d{1,2}:?(?:\d{2})?|[A-Z]{3,4})?\)?)?"
)
_WEEKDAY: Final = r"(?:[^\W\d]+\.?,?\s+)?"
_YEAR_FIRST: Final = re.compile(
    r"(?P<year>\d{4})\s?[-/.年 ]\s?(?P<month>\d{1,2})\s?[-/.月 ]\s?(?P<day>\d{1,2})(?:日|\.)?"
    r"(?:,\s?[^\W\d_]+|\s?\(\w\))?" + _TIME
)
_COMPACT: Final = re.compile(
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"
    r"(?:[T ]?(?P<hour>\d{2}):?(?P<minute>\d{2}):?(?P<second>\d{2})?(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?P<zone>Z|[+-]\d{4})?(?:\[[^\]]*\])?"
)
_NUMERIC: Final = re.compile(_WEEKDAY + r"(\d{1,2})\s?([-/.\s])\s?(\d{1,2})\s?[-/.\s]\s?(\d{4}|\d{2})\.?" + _TIME)
_NAMED_DAY_FIRST: Final = re.compile(
    _WEEKDAY + r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|º|ª)?\.?[-/.\s,]*(?:de\s+|of\s+)?(?P<name>[^\W\d_]+)\.?[-/.\s,']*"
    r"(?:de\s+)?(?P<year>\d{4}|\d{2})(?:\s?г\.?)?" + _TIME
)
_NAMED_MONTH_FIRST: Final = re.compile(
    _WEEKDAY + r"(?P<name>[^\W\d_]+)\.?[-/.\s]*(?P<day>\d{1,2})(?:st|nd|rd|th)?[-/.\s,]+(?P<year>\d{4})" + _TIME
)
_NAMED_YEAR_FIRST: Final = re.compile(r"(?P<year>\d{4})[-/.\s]*(?P<name>[^\W\d_]+)\.?[-/.\s]*(?P<day>\d{1,2})" + _TIME)
_MINGUO: Final = re.compile(
    r"(?:民國|民国)?(?P<year>1\d\d)([-/.年])(?P<month>\d{1,2})(?:\2|月)(?P<day>\d{1,2})日?" + _TIME
)
_ERA: Final = re.compile(
    r"(?P<era>令和|平成|R|H)\.?(?P<year>\d{1,2}|元)([-/.年])(?P<month>\d{1,2})(?:\3|月)(?P<day>\d{1,2})日?" + _TIME
)
_YEARS_BEFORE: Final = {"令和": 2018, "R": 2018, "平成": 1988, "H": 1988}
_BUDDHIST: Final = range(2443, 2700)
"""Years that no statement has unless they count from the Buddha's death: 543 more than the common ones."""

_TIME_ALONE: Final = re.compile(_TIME)
_DIGIT_TIME: Final = re.compile(r"(\d{1,2})(\d{2})(\d{2})")
_SECONDS: Final = re.compile(r"1\d{9}")
_EIGHT: Final = re.compile(r"(\d{2})(\d{2})(\d{4})")
_AS_OF: Final = re.compile(r" as of .{6,}")  # the day on which it counts, behind that on which it was booked
_SPACES: Final = re.compile(r"\s+")
_ZONES: Final = {
    "Z": 0,
    "UTC": 0,
    "GMT": 0,
    "WET": 0,
    "BST": 60,
    "WEST": 60,
    "CET": 60,
    "CEST": 120,
    "EET": 120,
    "EEST": 180,
    "MSK": 180,
    "EST": -300,
    "EDT": -240,
    "CST": -360,
    "CDT": -300,
    "MST": -420,
    "MDT": -360,
    "PST": -480,
    "PDT": -420,
    "JST": 540,
    "AEST": 600,
    "AEDT": 660,
    "HKT": 480,
    "SGT": 480,
}
"""Minutes east of Greenwich of the zone names that exports use."""


class DateError(ValueError):
    """A text that is no date; the text of the error says what was expected."""


@dataclass(frozen=True)
class Moment:
    """A day, with the time of day and its zone where the text had them."""

    day: date
    time: time | None = None
    zone: tzinfo | None = None


def parse_date(text: str, order: DateOrder) -> Moment:
    """Read one date, with its time if it has one. Raises DateError, also for days that do not exist."""
    plain = _plain(text)
    if _SECONDS.fullmatch(plain):
        instant = datetime.fromtimestamp(int(plain), UTC)
        return Moment(instant.date(), instant.time(), UTC)
    found = _YEAR_FIRST.fullmatch(plain) or (_COMPACT.fullmatch(plain) if _year_leads(plain) else None)
    if found:
        return _moment(found, int(found["year"]), int(found["month"]), int(found["day"]), text)
    if found := _MINGUO.fullmatch(plain):
        return _moment(found, int(found["year"]) + 1911, int(found["month"]), int(found["day"]), text)
    if found := _ERA.fullmatch(plain):
        year = _YEARS_BEFORE[found["era"]] + (1 if found["year"] == "元" else int(found["year"]))
        return _moment(found, year, int(found["month"]), int(found["day"]), text)
    if found := _NUMERIC.fullmatch(plain):
        year, month, day = _in_order(found[1], found[3], found[4], order)
        return _moment(found, year, month, day, text)
    if found := _EIGHT.fullmatch(plain):
        return Moment(_day(*_in_order(found[1], found[2], found[3], order), text))
    found = (
        _NAMED_DAY_FIRST.fullmatch(plain) or _NAMED_MONTH_FIRST.fullmatch(plain) or _NAMED_YEAR_FIRST.fullmatch(plain)
    )
    named = MONTHS.get(unicodedata.normalize("NFC", found["name"]).casefold()) if found else None
    if found and named:
        return _moment(found, _full_year(found["year"]), named, int(found["day"]), text)
    raise DateError(f"a date like {EXAMPLES[order]}")


EXAMPLES: Final = {"dmy": "31/01/2025 (day, month, year)", "mdy": "01/31/2025 (month, day, year)",
                   "ymd": "2025-01-31 (year, month, day)"}  # fmt: skip


def parse_time(text: str) -> tuple[time, tzinfo | None]:
    """Read a time of day that stands in a column of its own. Raises DateError."""
    plain = _plain(text)
    found = _TIME_ALONE.fullmatch(" " + plain)
    if found and found["hour"]:
        return _time(found, text), _zone(found["zone"])
    if digits := _DIGIT_TIME.fullmatch(plain):
        hour, minute, second = map(int, digits.groups())
        if hour < 24 and minute < 60 and second < 60:
            return time(hour, minute, second), None
    raise DateError("a time like 23:59:59")


def order_votes(texts: Iterable[str]) -> tuple[int, int, int]:
    """How many dates can only be day first, only month first, and how many fit both and mean different days."""
    day_first = month_first = either = 0
    for text in texts:
        found = _NUMERIC.fullmatch(_plain(text)) or _EIGHT.fullmatch(_plain(text))
        if not found or _year_leads(_plain(text)):
            continue
        first, second = int(found[1]), int(found[3] if found.re is _NUMERIC else found[2])
        if first > 12 >= second:
            day_first += 1
        elif second > 12 >= first:
            month_first += 1
        elif first != second:
            either += 1
    return day_first, month_first, either


def looks_like_date(text: str) -> bool:
    """Whether a text is a date in some order."""
    return any(_readable(text, order) for order in ("dmy", "mdy"))


def instant(moment: Moment, zone: tzinfo) -> datetime | None:
    """The moment in UTC, a missing zone taken as ``zone``; None without a time of day."""
    if moment.time is None:
        return None
    return datetime.combine(moment.day, moment.time, moment.zone or zone).astimezone(UTC)


def _readable(text: str, order: Literal["dmy", "mdy"]) -> bool:
    try:
        parse_date(text, order)
    except DateError:
        return False
    return True


def _plain(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = "".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in text)
    return _AS_OF.sub("", _SPACES.sub(" ", text).strip().strip("'"))


def _year_leads(plain: str) -> bool:
    return len(plain) >= 8 and plain[:8].isdecimal() and 1900 <= int(plain[:4]) < 2700 and 1 <= int(plain[4:6]) <= 12


def _in_order(first: str, second: str, third: str, order: DateOrder) -> tuple[int, int, int]:
    if order == "ymd" and len(third) == 2:
        return _full_year(first), int(second), int(third)
    if order == "mdy":
        return _full_year(third), int(first), int(second)
    return _full_year(third), int(second), int(first)


def _full_year(text: str) -> int:
    """Two digits as POSIX reads them: 69-99 are the 1900s, 00-68 the 2000s."""
    year = int(text)
    return year if len(text) == 4 else year + (1900 if year >= 69 else 2000)


def _day(year: int, month: int, day: int, text: str) -> date:
    try:
        return date(year - 543 if year in _BUDDHIST else year, month, day)
    except ValueError:
        raise DateError(f"a day that exists, not {text.strip()}") from None


def _moment(found: re.Match[str], year: int, month: int, day: int, text: str) -> Moment:
    if not found["hour"]:
        return Moment(_day(year, month, day, text))
    if found["hour"] == "24" and found["minute"] == "00":  # the end of the day, as ISO 8601 once allowed
        return Moment(_day(year, month, day, text))
    return Moment(_day(year, month, day, text), _time(found, text), _zone(found["zone"]))


def _time(found: re.Match[str], text: str) -> time:
    parts = found.groupdict()
    hour = int(parts["hour"])
    half = (parts.get("half") or "").lower()
    if half:
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    try:
        micro = int(((parts["fraction"] or "") + "000000")[:6])
        return time(hour, int(parts["minute"]), int(parts["second"] or 0), micro)
    except ValueError:
        raise DateError(f"a time that exists, not {text.strip()}") from None


def zone_named(text: str) -> tzinfo | None:
    """The time zone that a column of zones names: ``PDT``, ``GMT+01:00``, ``-0400``, ``Europe/Berlin``; else None."""
    plain = text.strip()
    try:
        if "/" in plain:
            return ZoneInfo(plain)
        return _zone(re.sub(r"^(?:GMT|UTC)(?=[+-])", "", plain.upper()) or None)
    except (DateError, ValueError, ZoneInfoNotFoundError):
        return None


def _zone(text: str | None) -> tzinfo | None:
    if not text:
        return None
    if text in _ZONES:
        return timezone(timedelta(minutes=_ZONES[text]))
    if found := re.fullmatch(r"([+-])(\d{1,2}):?(\d{2})?", text):
        minutes = int(found[2]) * 60 + int(found[3] or 0)
        return timezone(timedelta(minutes=minutes if found[1] == "+" else -minutes))
    raise DateError("a time zone like +01:00")
