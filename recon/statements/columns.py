"""Columns of texts to values: amounts, dates, currencies. What cannot be read is named by row, never replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from recon.statements.currencies import stated_code
from recon.statements.dates import DateError, DateOrder, instant, parse_date
from recon.statements.numbers import Decimals, NumberError, parse_amount

T = TypeVar("T")


@dataclass(frozen=True)
class Amounts:
    """A column of numbers: null where the cell is empty or failed; ``failures`` says what was expected, by row."""

    units: pa.Array  # decimal128(38, 0): longer than what is stored, so that nothing wraps
    scales: pa.Array  # int16
    symbols: dict[int, str] = field(default_factory=dict)  # currency written beside the number, by row
    failures: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dates:
    """A column of dates, with the instants of those that have a time of day."""

    days: pa.Array  # date32
    instants: pa.Array  # timestamp in UTC
    failures: dict[int, str] = field(default_factory=dict)


def amounts_of(texts: pa.Array, decimal: Decimals, *, in_cents: bool = False) -> Amounts:
    """Every number of a column, as exact units at the scale it was written with."""
    units: list[int | None] = []
    scales: list[int | None] = []
    symbols: dict[int, str] = {}
    failures: dict[int, str] = {}
    for row, text in enumerate(texts.to_pylist()):
        unit = scale = None
        if text:
            try:
                read = parse_amount(text, decimal)
                unit, scale = read.units, read.scale + (2 if in_cents else 0)
                if read.currency:
                    symbols[row] = read.currency
            except NumberError as error:
                failures[row] = str(error)
        units.append(unit)
        scales.append(scale)
    return Amounts(pa.array(units, pa.decimal128(38, 0)), pa.array(scales, pa.int16()), symbols, failures)


def dates_of(texts: pa.Array, order: DateOrder, zone: tzinfo) -> Dates:
    """Every date of a column; each different text is read once."""
    bad: dict[int, str] = {}

    def moment(place: int, text: str) -> tuple[date | None, datetime | None]:
        try:
            read = parse_date(text, order) if text else None
            return (read.day, instant(read, zone)) if read else (None, None)
        except (DateError, OverflowError) as error:  # an instant may leave the years 1 to 9999
            bad[place] = str(error)
            return None, None

    moments, indices = mapped(texts, moment)
    return Dates(
        pa.array([day for day, _ in moments], pa.date32()).take(indices),
        pa.array([at for _, at in moments], pa.timestamp("us", "UTC")).take(indices),
        _spread(bad, indices),
    )


def currencies_of(texts: pa.Array, expected: str | None) -> tuple[pa.Array, dict[int, str]]:
    """Three-letter codes, null where the cell is empty; failures by row."""
    bad: dict[int, str] = {}

    def code(place: int, text: str) -> str | None:
        found = stated_code(text, expected) if text else None
        if text and not found:
            bad[place] = "a currency code of three letters like EUR"
        return found

    codes, indices = mapped(texts, code)
    return pa.array(codes, pa.string()).take(indices), _spread(bad, indices)


def mapped(texts: pa.Array, function: Callable[[int, str], T]) -> tuple[list[T], pa.Array]:
    """A function applied once to each different text, and the index of every row's result."""
    encoded = texts.dictionary_encode()
    return [function(place, text) for place, text in enumerate(encoded.dictionary.to_pylist())], encoded.indices


def or_null(texts: pa.Array) -> pa.Array:
    """Empty texts as null."""
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _spread(bad: dict[int, str], indices: pa.Array) -> dict[int, str]:
    """What failed by dictionary place, by row."""
    if not bad:
        return {}
    failed = pc.is_in(indices, value_set=pa.array(list(bad), indices.type))
    rows = pc.indices_nonzero(failed).to_pylist()
    return {row: bad[indices[row].as_py()] for row in rows}
