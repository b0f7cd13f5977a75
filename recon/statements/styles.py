"""How a table writes numbers and dates and in which currency: decided from whole columns, asked when undecidable."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import pyarrow.compute as pc

from recon.statements.cells import Row
from recon.statements.currencies import currency_code, named_in, stated_code
from recon.statements.dates import DateError, DateOrder, order_votes, parse_date
from recon.statements.mapping import AMOUNT_ROLES, Mapping
from recon.statements.model import Hints, Question
from recon.statements.numbers import Decimals, NumberError, decimal_votes, parse_amount
from recon.statements.tables import Table
from recon.statements.words import PREAMBLE_WORDS, plain

_SAMPLE: Final = 2_000
_MUCH_LONGER: Final = 3


def decimal_of(table: Table, mapping: Mapping) -> tuple[Decimals, Question | None]:
    """The decimal mark of all amount columns together; asked only when every number fits both readings."""
    names = [name for role in AMOUNT_ROLES for name in mapping.columns.get(role, ())]
    point, comma, either = decimal_votes(_some(table, names))
    if not (point or comma):
        point, comma, either = decimal_votes(_matching(table, names, r"\d[.,]\d"))
    if point or comma or not either:
        return ("," if comma > point else "."), None
    commas = any("," in text for text in _some(table, names))  # three digits behind a mark are likelier thousands
    suggested: Decimals = _mark_elsewhere(table, names) or ("." if commas else ",")
    question = Question(
        "decimal",
        "Is the mark in numbers like 1.234 a decimal mark or does it part thousands?",
        ((".", "1,234.56: the point is the decimal mark"), (",", "1.234,56: the comma is the decimal mark")),
        suggested,
    )
    return suggested, question


def _mark_elsewhere(table: Table, names: Sequence[str]) -> Decimals | None:
    """The decimal mark of the other columns of numbers, such as rates of exchange: 0.837934."""
    votes = {".": 0, ",": 0}
    for name in table.header:
        texts = [text for text in _some(table, [name]) if name not in names]
        if texts and all(_NUMBER.fullmatch(text) for text in texts):
            for text in texts:
                votes["." if "." in text else ","] += len(re.split("[.,]", text)[1]) != _THOUSANDS
    if votes["."] == votes[","]:
        return None
    return "." if votes["."] > votes[","] else ","


_NUMBER: Final = re.compile(r"-?\d+[.,]\d+")
_THOUSANDS: Final = 3


def date_order_of(table: Table, mapping: Mapping, hints: Hints) -> tuple[DateOrder, Question | None]:
    """The order of day, month and year: as `_day_and_month` has it; asked too where a year may stand first."""
    names = [name for role in ("booking_date", "value_date") for name in mapping.columns.get(role, ())]
    order, question = _day_and_month(table, names, mapping, hints)
    texts = _some(table, names)
    if hints.date_order or not _year_may_lead(texts):
        return order, question
    return "ymd", Question(
        "date_order",
        f"Which part of {texts[0]} is the year?",
        (("ymd", "year, month, day"), ("dmy", "day, month, year"), ("mdy", "month, day, year")),
        "ymd",
    )


_SHORT_YEAR: Final = re.compile(r"\D{0,12}\d{2}\s?[-/]\s?\d{1,2}\s?[-/]\s?\d{2}(?!\d).*")


def _year_may_lead(texts: Sequence[str]) -> bool:
    """Whether dates of two digits each (26-01-02) lie nearer to each other if the year stands first; or as near, all
    of one day."""
    short = [text for text in texts if _SHORT_YEAR.fullmatch(text)]
    if 2 * len(short) <= len(texts) or (first := _days_between(short, "ymd")) is None:
        return False
    last = [days for days in (_days_between(short, "dmy"), _days_between(short, "mdy")) if days is not None]
    return not last or first < min(last) or first == 0 == max(last)


def _days_between(texts: Sequence[str], order: DateOrder) -> int | None:
    """How many days the dates span in an order; None if one of them is none in it."""
    try:
        days = [parse_date(text, order).day for text in texts]
    except DateError:
        return None
    return (max(days) - min(days)).days


def _day_and_month(
    table: Table, names: Sequence[str], mapping: Mapping, hints: Hints
) -> tuple[DateOrder, Question | None]:
    """The order of day and month: from a day past 12, else from the order of the rows, else asked."""
    texts = _some(table, names)
    day_first, month_first, either = order_votes(texts)
    if not (day_first or month_first) and texts:  # sorted rows: days past 12 may come late
        day_first, month_first, either = order_votes(_matching(table, names, r"^\D{0,12}(?:\d{1,2}\s?[-/. ]|\d{8}$)"))
    if day_first or month_first or not either:
        return ("mdy" if month_first > day_first else "dmy"), None
    if hints.date_order:
        return hints.date_order, None
    if any("." in text for text in texts):  # nobody writes month.day.year with points
        return "dmy", None
    american = mapping.currency == "USD" or (mapping.decimal == "." and mapping.currency in {None, "CAD"})
    suggested: DateOrder = _telling_order(table, names) or ("mdy" if american else "dmy")
    example = next(text for text in texts if text)
    question = Question(
        "date_order",
        f"Is {example} written day first or month first?",
        (("dmy", "day, month, year"), ("mdy", "month, day, year")),
        suggested,
    )
    return suggested, question


def currency_of(table: Table, mapping: Mapping, hints: Hints) -> str | None:
    """The currency of rows that name none: by the amount's header, its symbols, the lines above, then the account."""
    names = [name for role in AMOUNT_ROLES for name in mapping.columns.get(role, ())]
    stated = next((code for name in names if (code := named_in(name, hints.currency))), None)
    if stated or (stated := _only_code(table, mapping.column("currency"))):
        return stated
    written = _symbol(table, names, mapping.decimal or ".", hints.currency)
    return written or _above(table.above, hints.currency) or hints.currency


def _only_code(table: Table, name: str | None) -> str | None:
    """The one currency that a currency column names, for the rows that leave it empty."""
    codes = {stated_code(text) for text in pc.unique(table.texts(name)).to_pylist() if text} if name else set()
    return codes.pop() if len(codes) == 1 else None


def _symbol(table: Table, names: Iterable[str], decimal: Decimals, expected: str | None) -> str | None:
    for text in _some(table.head(50), names):
        try:
            symbol = parse_amount(text, decimal).currency if text else None
        except NumberError:
            continue
        if symbol:
            chinese = symbol == "¥" and any("\u4e00" <= each <= "\u9fff" for each in "".join(table.header))
            return currency_code(symbol, "CNY" if chinese else expected)
    return None


def _above(rows: Iterable[Row], expected: str | None) -> str | None:
    """A currency named in the lines above the header: ``Saldo;5.000,00;EUR``, ``Betrag in EUR:``, ``Currency,USD``."""
    for row in rows:
        for cell in row.cells:
            code = currency_code(cell) if cell.isupper() else None
            code = code or (named_in(cell, expected) if re.search(r"[€£]|\b[A-Z]{3}\b", cell) else None)
            if code:
                return code
        first = plain(row.cells[0]) if row.cells else ""
        if first in PREAMBLE_WORDS["currency"] and len(row.cells) > 1 and (code := currency_code(row.cells[1])):
            return code
    return None


def _telling_order(table: Table, names: Sequence[str]) -> DateOrder | None:
    """Files are sorted by date, and are of a month rather than of a year: the order under which they are so."""
    triples = [re.findall(r"\d+", text)[:3] for text in table.texts(names[0]).slice(0, _SAMPLE).to_pylist()]
    days = [tuple(map(int, each)) for each in triples if len(each) == 3]
    if len(set(days)) < 2:
        return None
    as_dmy = [(year, month, day) for day, month, year in days]
    as_mdy = [(year, month, day) for month, day, year in days]
    is_sorted = [each == sorted(each) or each == sorted(each, reverse=True) for each in (as_dmy, as_mdy)]
    if is_sorted[0] != is_sorted[1]:
        return "dmy" if is_sorted[0] else "mdy"
    spans = [_days_in(max(each)) - _days_in(min(each)) for each in (as_dmy, as_mdy)]
    if _MUCH_LONGER * min(spans) > max(spans):
        return None
    return "dmy" if spans[0] < spans[1] else "mdy"


def _days_in(moment: tuple[int, int, int]) -> int:
    """Roughly how many days have passed at a (year, month, day)."""
    year, month, day = moment
    return year * 365 + month * 30 + day


def _some(table: Table, names: Iterable[str]) -> list[str]:
    return [text for name in names for text in table.texts(name).slice(0, _SAMPLE).to_pylist() if text]


def _matching(table: Table, names: Iterable[str], pattern: str) -> list[str]:
    """The different texts of whole columns that a pattern finds telling."""
    columns = [pc.unique(table.texts(name)) for name in names]
    return [
        text for column in columns for text in column.filter(pc.match_substring_regex(column, pattern)).to_pylist()
    ]
