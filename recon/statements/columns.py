"""Columns of texts to values: amounts, dates, currencies. What cannot be read is named by row, never replaced."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon.statements.currencies import stated_code
from recon.statements.dates import DateError, DateOrder, instant, parse_date
from recon.statements.numbers import Decimals, NumberError, parse_amount

T = TypeVar("T")
_WIDE: Final = pa.decimal128(38, 0)
PLACEHOLDERS: Final = ("-", "--", "---", "–", "—", "n/a", "N/A", "null", "NULL", "None")
_PLACEHOLDERS: Final = pa.array(PLACEHOLDERS)
_LONGEST_PLACEHOLDER: Final = max(len(each.encode()) for each in PLACEHOLDERS)
_ISO_LENGTH: Final = len("2025-01-31T23:59:59Z")


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


def amounts_of(texts: pa.Array, decimal: Decimals, *, places: int = 2) -> Amounts:
    """Every number of a column, as exact units.

    Plain numbers of at most ``places`` decimals are read all at once and come at that scale; the others one by one,
    at the scale they are written with.
    """
    texts = without_placeholders(texts)
    units, done = _plain_units(texts, decimal, places)
    rest = pc.and_not(pc.not_equal(texts, ""), done)
    scales = pa.repeat(pa.scalar(places, pa.int16()), len(texts))
    rows = pc.indices_nonzero(rest).to_pylist()
    if not rows:
        return Amounts(units, scales)
    symbols: dict[int, str] = {}
    failures: dict[int, str] = {}
    read: list[tuple[int | None, int]] = []
    for row, text in zip(rows, texts.filter(rest).to_pylist(), strict=True):
        try:
            one = parse_amount(text, decimal)
            read.append((one.units, one.scale))
            if one.currency:
                symbols[row] = one.currency
        except NumberError as error:
            failures[row] = str(error)
            read.append((None, places))
    units = pc.replace_with_mask(units, rest, pa.array([each for each, _ in read], _WIDE))
    scales = pc.replace_with_mask(scales, rest, pa.array([each for _, each in read], pa.int16()))
    return Amounts(units, scales, symbols, failures)


def _plain_units(texts: pa.Array, decimal: Decimals, places: int) -> tuple[pa.Array, pa.Array]:
    """Units of the numbers that are nothing but digits, and which these are.

    Arrow reads them as decimals of ``places`` digits after the mark; their unscaled integers are the units.
    """
    thousands = "," if decimal == "." else "."
    fraction = rf"(?:{re.escape(decimal)}\d{{1,{places}}})?" if places else ""
    plain = rf"^[+-]?(?:\d{{1,15}}|\d{{1,3}}(?:{re.escape(thousands)}\d{{3}}){{1,4}}){fraction}$"
    done = pc.match_substring_regex(texts, plain)
    numbers = pc.if_else(done, texts, pa.scalar(None, pa.string()))
    if has_letter(numbers, thousands):
        numbers = pc.replace_substring(numbers, thousands, "")
    if decimal == ",":
        numbers = pc.replace_substring(numbers, ",", ".")
    read = numbers.cast(pa.decimal128(20, places))
    units = pa.Array.from_buffers(_WIDE, len(read), read.buffers(), offset=read.offset)
    return units, done


def dates_of(texts: pa.Array, order: DateOrder, zone: tzinfo) -> Dates:
    """Every date of a column; each different text is read once, ISO instants all at once."""
    if iso := _iso_instants(texts):
        return iso
    texts = without_placeholders(texts)
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


def _iso_instants(texts: pa.Array) -> Dates | None:
    """A column of ``2025-01-31T23:59:59Z`` throughout: the only instant that Arrow reads from 20 letters."""
    span = pc.min_max(pc.binary_length(texts)).as_py()
    if span != {"min": _ISO_LENGTH, "max": _ISO_LENGTH}:
        return None
    try:
        instants = texts.cast(pa.timestamp("us", "UTC"))
        days = instants.cast(pa.date32())
    except pa.ArrowInvalid:  # another form, or one of them does not exist: the slower way says which
        return None
    return Dates(days, instants)


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


def without_placeholders(texts: pa.Array) -> pa.Array:
    """Texts with the marks that people set for "nothing here" emptied: an amount or a date of ``-`` is none."""
    if _shortest(texts) > _LONGEST_PLACEHOLDER:
        return texts
    nothing = pc.is_in(texts, value_set=_PLACEHOLDERS)
    return pc.if_else(nothing, "", texts) if pc.any(nothing).as_py() else texts


def has_letter(texts: pa.Array, letter: str) -> bool:
    """Whether an ASCII letter is in one of the texts, at a glance over the letters of all."""
    _, ends, letters = texts.buffers()
    if letters is None:
        return False
    first, last = np.frombuffer(ends, np.int32)[[texts.offset, texts.offset + len(texts)]]
    return bool((np.frombuffer(letters, np.uint8)[first:last] == ord(letter)).any())


def or_null(texts: pa.Array) -> pa.Array:
    """Empty texts as null."""
    return texts if _shortest(texts) else pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _shortest(texts: pa.Array) -> int:
    """The bytes of the shortest text: to compare a million texts takes many times as long as to look at their ends."""
    return pc.min(pc.binary_length(texts)).as_py() or 0


def _spread(bad: dict[int, str], indices: pa.Array) -> dict[int, str]:
    """What failed by dictionary place, by row."""
    if not bad:
        return {}
    failed = pc.is_in(indices, value_set=pa.array(list(bad), indices.type))
    rows = pc.indices_nonzero(failed).to_pylist()
    return {row: bad[indices[row].as_py()] for row in rows}
