"""Ledger entries given as objects, by programs: checked column by column, exactly, thousands at a time.

Nothing is guessed here. What does not hold is named with its place, and then nothing of the whole is stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import simplejson

from recon.rows import MAX_SCALE, MAX_UNITS, ROW_SCHEMA
from recon.statements.currencies import exponent
from recon.statements.model import RowError
from recon.usecases.errors import Refused
from recon.usecases.ledger.transactions import STATUSES

TEXTS: Final[dict[str, int]] = {
    "reference": 500,
    "external_id": 500,
    "description": 10_000,
    "counterparty": 1_000,
    "type_code": 100,
    "source": 500,
    "destination": 500,
    "parent_transaction": 500,
}
"""Text fields and how many characters they take; references are indexed, so they are short."""

FIELDS: Final = frozenset({"amount", "currency", "booking_date", "value_date", "booked_at", "status", "extra", *TEXTS})
LISTED: Final = 100
"""Faults that are listed one by one."""

Rows = Sequence[Mapping[str, Any]]
Column = Any
"""An Arrow array; Arrow ships no types."""


def entry_table(rows: Rows, *, first: int, time_zone: str) -> pa.Table:
    """The objects as a table of ``ROW_SCHEMA``; `first` is the place of the first one among all, from 1.

    Without a booking date an entry is booked on the day of its `booked_at`, in `time_zone`. Raises Refused with a row
    error for everything that does not hold.
    """
    faults: list[RowError] = [*_strange(rows, first)]
    if faults:
        raise refusal(faults)
    read: dict[str, Column] = {}
    for name, convert, expected in _COLUMNS:
        values = [row.get(name) for row in rows]
        try:
            read[name] = convert(values)
        except (ValueError, TypeError):
            faults += _faults(name, values, convert, expected, first)
    if faults:
        raise refusal(faults)
    return _assembled(rows, read, first, time_zone)


def refusal(faults: Sequence[RowError]) -> Refused:
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return Refused(f"Entry {faults[0].line}: {faults[0].message}{more}", faults[:LISTED])


def fault(line: int, column: str | None, found: Any, expected: str) -> RowError:
    """A row error; `line` is the place of the entry among those sent, counted from 1."""
    shown = json.dumps(found, default=str)[:80]
    column = column and column.encode("ascii", "backslashreplace").decode()
    where = f"{column} is {shown}" if column else shown
    return RowError(line, column, shown, expected, f"{where}; expected {expected}.")


def _strange(rows: Rows, first: int) -> list[RowError]:
    """Rows that are no objects, and fields nobody knows: a mistyped name must not lose a value in silence."""
    faults = []
    for place, row in enumerate(rows, start=first):
        if not isinstance(row, dict):
            faults.append(fault(place, None, row, "an entry as a JSON object"))
        elif not FIELDS.issuperset(row):
            faults.append(_unknown(place, sorted(row.keys() - FIELDS)[0]))
        if len(faults) >= LISTED:
            break
    return faults


def _unknown(line: int, column: str) -> RowError:
    shown = column.encode("ascii", "backslashreplace").decode()[:80]
    expected = f"one of {', '.join(sorted(FIELDS))}"
    message = f"an entry has no field {shown!r}; expected {expected}."
    return RowError(line, shown, shown, expected, message)


def _faults(
    name: str, values: Sequence[Any], convert: Callable[[Sequence[Any]], Column], expected: str, first: int
) -> list[RowError]:
    """The values that do not convert by themselves."""
    faults = []
    for place, value in enumerate(values, start=first):
        try:
            convert([value])
        except (ValueError, TypeError):
            faults.append(fault(place, name, value, expected))
            if len(faults) >= LISTED:
                break
    return faults


# --- columns: a list of values as they came, to Arrow; ValueError or TypeError (Arrow's are) if one does not fit ---


def _texts(most: int) -> Callable[[Sequence[Any]], Column]:
    def convert(values: Sequence[Any]) -> Column:
        column = pa.array(values, pa.string())
        if pc.any(pc.match_substring(column, "\0")).as_py() or (pc.max(pc.utf8_length(column)).as_py() or 0) > most:
            raise ValueError("NUL or too long")
        return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)

    return convert


def _amounts(values: Sequence[Any]) -> Column:
    column = pa.array([each if each.__class__ is str else _number(each) for each in values], pa.string())
    _require(column, r"^-?[0-9]{1,18}(\.[0-9]{1,9})?$")
    return column


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError("no amount")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _currencies(values: Sequence[Any]) -> Column:
    column = pa.array(values, pa.string())
    _require(column, "^[A-Z]{3}$")
    return column


def _days(values: Sequence[Any]) -> Column:
    column = pa.array(values, pa.string())
    _require(column, "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", nulls=True)
    days = column.cast(pa.date32())
    if len(days) and (pc.min(days.cast(pa.int32())).as_py() or 0) < _FIRST_DAY:
        raise ValueError("before the year 1")
    return days


_FIRST_DAY: Final = -719162  # 0001-01-01, the first day both databases and Python know


def _instants(values: Sequence[Any]) -> Column:
    column = pa.array(values, pa.string())
    _require(column, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$", nulls=True)
    instants = column.cast(pa.timestamp("us", tz="UTC"))
    if len(instants) and (pc.min(instants.cast(pa.int64())).as_py() or 0) < _FIRST_DAY * 86_400_000_000:
        raise ValueError("before the year 1")
    return instants


def _statuses(values: Sequence[Any]) -> Column:
    column = pa.array(values, pa.string())
    if not pc.all(pc.is_in(pc.fill_null(column, ""), value_set=pa.array(["", *STATUSES]))).as_py():
        raise ValueError("no status")
    return column


def _extras(values: Sequence[Any]) -> Column:
    return pa.array([None if each is None else _object(each) for each in values], pa.string())


def _object(value: Any) -> str:
    if not isinstance(value, dict):
        raise TypeError("no object")
    text = simplejson.dumps(value, use_decimal=True, ensure_ascii=False)
    text.encode()  # a lone surrogate is a ValueError
    if "\\u0000" in text or len(text) > 20_000:
        raise ValueError("NUL or too long")
    return text


def _require(column: Column, pattern: str, *, nulls: bool = False) -> None:
    if not nulls and column.null_count:
        raise ValueError("missing")
    if len(column) and not pc.all(pc.fill_null(pc.match_substring_regex(column, pattern), True)).as_py():
        raise ValueError("another form")


_COLUMNS: Final[tuple[tuple[str, Callable[[Sequence[Any]], Column], str], ...]] = (
    ("amount", _amounts, 'an exact decimal as text, such as "12.50", of at most 18 digits and 9 decimals'),
    ("currency", _currencies, "three capital letters, such as EUR"),
    ("booking_date", _days, "a date such as 2026-03-31"),
    ("value_date", _days, "a date such as 2026-03-31"),
    ("booked_at", _instants, "an instant such as 2026-03-31T12:00:00Z"),
    ("status", _statuses, f"one of {', '.join(STATUSES)}"),
    ("extra", _extras, "a JSON object of at most 20,000 characters"),
    *((name, _texts(most), f"a text of at most {most:,} characters") for name, most in TEXTS.items()),
)


# --- the table ----------------------------------------------------------------------------------------------------


def _assembled(rows: Rows, read: dict[str, Column], first: int, time_zone: str) -> pa.Table:
    places = pa.array(range(first, first + len(rows)), pa.int64())
    units, scale = _fitted(rows, read["amount"], read["currency"], first)
    local = pc.local_timestamp(read["booked_at"].cast(pa.timestamp("us", tz=time_zone))).cast(pa.date32(), safe=False)
    booked = pc.coalesce(read["booking_date"], local)
    if booked.null_count:
        place = pc.index(pc.is_null(booked), True).as_py()
        expected = "a date such as 2026-03-31, here or as the day of booked_at"
        raise refusal([fault(first + place, "booking_date", None, expected)])
    made = {
        **read,
        "position": places,
        "line": places,
        "units": units,
        "scale": scale,
        "booking_date": booked,
        "amount_text": read["amount"],
    }
    return pa.table([made[field.name] for field in ROW_SCHEMA], schema=ROW_SCHEMA)


def _fitted(rows: Rows, amounts: Column, currencies: Column, first: int) -> tuple[Column, Column]:
    """Units and scale: at least the decimals of the currency, and no zeros beyond them."""
    point = pc.find_substring(amounts, ".").to_numpy(zero_copy_only=False)
    length = pc.binary_length(amounts).to_numpy(zero_copy_only=False)
    scale = np.where(point < 0, 0, length - point - 1).astype(np.int16)
    digits = pc.replace_substring(amounts, ".", "")
    count = pc.utf8_length(pc.utf8_ltrim(pc.utf8_ltrim(digits, "-"), "0")).to_numpy(zero_copy_only=False)
    _require_size(rows, count > _DIGITS, first)
    units = digits.cast(pa.int64()).to_numpy(zero_copy_only=False).copy()
    places = _exponents(currencies)
    for _ in range(MAX_SCALE):
        spare = (scale > places) & (units % 10 == 0)
        if not spare.any():
            break
        units[spare] //= 10
        scale[spare] -= 1
    missing = np.maximum(places - scale, 0)
    _require_size(rows, np.abs(units) > MAX_UNITS // 10**missing, first)
    return pa.array(units * 10**missing), pa.array(np.maximum(scale, places), pa.int16())


_DIGITS: Final = len(str(MAX_UNITS))


def _exponents(currencies: Column) -> Any:
    coded = currencies.dictionary_encode()
    known = np.array([exponent(code) for code in coded.dictionary.to_pylist()], np.int64)
    return known[coded.indices.to_numpy(zero_copy_only=False)]


def _require_size(rows: Rows, is_large: Any, first: int) -> None:
    if is_large.any():
        large = np.nonzero(is_large)[0][:LISTED]
        expected = f"at most {_DIGITS} digits in all"
        raise refusal([fault(first + int(place), "amount", rows[place]["amount"], expected) for place in large])
