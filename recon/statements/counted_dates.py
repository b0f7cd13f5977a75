"""Dates that programs count: days as spreadsheets number them (46082), milliseconds since 1970 (1772323200000).

Such numbers are dates only where a header or a mapping says so: by themselves they are amounts or references.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from recon.statements.dates import looks_like_date
from recon.statements.mapping import Mapping
from recon.statements.tables import Table
from recon.statements.words import fit

DAY_ZERO: Final = date(1899, 12, 30)
"""Day 0 of spreadsheets, for days after February 1900 (ECMA-376, 18.17.4.1)."""

DAY_ZERO_1904: Final = date(1904, 1, 1)
"""Day 0 of workbooks that say ``date1904``."""

_EXACT: Final = 60
_NUMBERED: Final = r"^(?:3[5-9]|4\d|5[0-4])\d{3}(?:\.\d+)?$"  # 1995 to 2050, or four years later
_MILLISECONDS: Final = r"^1\d{12}$"
_SECONDS_OF_A_DAY: Final = 86_400


def with_counted_dates(table: Table, partial: Mapping, day_zero: date = DAY_ZERO) -> Table:
    """The table whose columns of counted dates have dates, if all else in such a column is one or empty."""
    columns = [
        _dated(column, day_zero) if _means_dates(name, partial) else column
        for name, column in zip(table.header, table.columns, strict=True)
    ]
    return replace(table, columns=tuple(columns))


def _means_dates(name: str, partial: Mapping) -> bool:
    if any(name in partial.columns.get(role, ()) for role in ("booking_date", "value_date")):
        return True
    return max(fit("booking_date", name), fit("value_date", name)) >= _EXACT


def _dated(texts: pa.Array, day_zero: date) -> pa.Array:
    encoded = texts.dictionary_encode()  # each different text is looked at once: a file has few days
    counted = pc.match_substring_regex(encoded.dictionary, f"{_NUMBERED}|{_MILLISECONDS}")
    if not pc.any(counted).as_py():
        return texts
    written = encoded.dictionary.to_pylist()
    numbers = set(encoded.dictionary.filter(counted).to_pylist())
    if not all(not text or text in numbers or looks_like_date(text) for text in written):
        return texts
    dates = [_written_out(text, day_zero) if text in numbers else text for text in written]
    return pa.array(dates, pa.string()).take(encoded.indices)


def _written_out(number: str, day_zero: date) -> str:
    whole, _, fraction = number.partition(".")
    if len(whole) > len("46082"):
        return f"{datetime.fromtimestamp(int(whole) / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    seconds = round(float(f"0.{fraction or 0}") * _SECONDS_OF_A_DAY)
    at = datetime.combine(day_zero, time()) + timedelta(days=int(whole), seconds=seconds)
    return f"{at:%Y-%m-%d %H:%M:%S}" if fraction else f"{at:%Y-%m-%d}"
