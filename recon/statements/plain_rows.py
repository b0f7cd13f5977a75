"""Rows as programs send them, read at once where every value is plain: the same reading in a fraction of the time.

Plain is a JSON list of objects that have no keys but those of an external transaction, with a currency in each,
amounts of ASCII digits and a point, and ISO dates. There is nothing to find out about such rows. Whatever the careful
reader (``json_format``) could understand differently, or has to refuse, is left to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from itertools import chain
from typing import Any, Final

import pyarrow as pa

from recon.rows import ROW_SCHEMA
from recon.statements.columns import PLACEHOLDERS
from recon.statements.convert import undated
from recon.statements.csv_encoding import encoding_of
from recon.statements.csv_format import SAMPLE_ROWS
from recon.statements.currencies import UNKNOWN, stated_code
from recon.statements.json_format import EXTERNAL, NAME, Number, number_of
from recon.statements.mapping import Mapping
from recon.statements.model import Hints, Reading, Statement
from recon.statements.numbers import fitted

_AMOUNT: Final = re.compile(r"([+-]?[0-9]{1,15})(?:\.([0-9]{1,15}))?")
_EITHER: Final = 3
"""In a text, so many digits behind a mark may be thousands."""

_DATE: Final = re.compile(
    r"(?:19|2[0-3])\d\d-\d\d-\d\d"
    r"(?:[T ](?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)?)?",
    re.ASCII,
)
_DAY_ALONE: Final = len("2026-01-31")
_NOTHING: Final = frozenset(("", *PLACEHOLDERS))
_ESCAPES: Final = (b"\\n", b"\\u")
"""Of line ends, and of what may be no text."""

_MOST_BYTES: Final = 1 << 18
"""Beyond some thousand rows the careful reader, which looks at whole columns, is as quick."""

_TEXTS: Final = frozenset(("external_id", "reference", "description", "source"))


class _NotPlainError(ValueError):
    """Something in the rows takes the careful reader."""


def read(data: bytes, hints: Hints) -> Reading | None:
    """The reading of a program's rows; None if they are not plain, or if more is known of them than that plus is money
    in."""
    if hints != Hints(sign="as_given", every_row=True, limits=hints.limits):
        return None
    if len(data) > _MOST_BYTES or any(each in data for each in _ESCAPES):
        return None
    try:
        rows = json.loads(data.decode(), parse_float=number_of, parse_int=str, parse_constant=_refuse)
        return _reading(_columns(rows), encoding_of(data))
    except (ValueError, RecursionError):  # of JSON, of its encoding, of amounts and of days that do not exist
        return None


def _refuse(_found: object) -> str:
    raise _NotPlainError


def _columns(rows: Any) -> dict[str, list[str]]:
    """The texts by key, empty where a row has none."""
    if not isinstance(rows, list) or {*map(type, rows)} != {dict}:
        raise _NotPlainError
    keys = dict.fromkeys(chain.from_iterable(rows))
    if not EXTERNAL.keys() >= keys.keys() >= {"amount", "currency"}:
        raise _NotPlainError
    return {key: _texts([row.get(key) for row in rows]) for key in keys}


def _texts(values: Sequence[Any]) -> list[str]:
    return [value.strip() if type(value) is str else _number_or_nothing(value) for value in values]


def _number_or_nothing(value: Any) -> str:
    if type(value) is Number:
        return value
    return "" if value is None else _refuse(value)


def _reading(columns: dict[str, list[str]], encoding: str) -> Reading:
    codes, header = _codes(columns["currency"]), tuple(columns)
    used = set(codes)
    currency = codes[0] if len(used) == 1 else None
    days, instants = _moments(columns.get("date", []))
    lines = _lines(columns, codes, days, instants)
    known = [day for day in days if day]
    return Reading(
        format=NAME,
        encoding=encoding,
        statements=(
            Statement(
                account=None,
                currency=currency,
                number=None,
                period_start=min(known, default=None),
                period_end=max(known, default=None),
                balances=(),
                lines=lines,
            ),
        ),
        mapping=_mapping(header, currency),
        header=header,
        sample=tuple(zip(*(texts[:SAMPLE_ROWS] for texts in columns.values()), strict=True)),
        questions=() if "date" in columns else (undated(header),),
    )


def _mapping(header: Sequence[str], currency: str | None) -> Mapping:
    """What the careful reader finds out of such rows."""
    return Mapping(
        columns={EXTERNAL[key]: (key,) for key in header},
        header_row=0,
        decimal=".",
        date_order="dmy",
        sign="as_given",
        currency=currency,
    )


def _codes(texts: Sequence[str]) -> list[str]:
    meant = {text: stated_code(text) for text in {*texts}}
    if None in meant.values() or UNKNOWN in meant.values():
        raise _NotPlainError
    return [meant[text] or "" for text in texts]


def _units(text: str, code: str) -> tuple[int, int]:
    """An amount at the decimal places of its currency, or at more if it has more. Raises ValueError."""
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise _NotPlainError
    whole, fraction = found.groups("")
    if len(fraction) == _EITHER and type(text) is not Number:
        raise _NotPlainError
    return fitted(int(whole + fraction), len(fraction), code)


def _moments(texts: Sequence[str]) -> tuple[list[date | None], list[datetime | None]]:
    """The days, and the instants if times of day were meant: midnight everywhere is none."""
    moments = [_moment(text) for text in texts]
    instants = [at for _, at in moments]
    timed = any(at.time() != time() for at in instants if at)
    return [day for day, _ in moments], instants if timed else []


def _moment(text: str) -> tuple[date | None, datetime | None]:
    if text in _NOTHING:
        return None, None
    if not _DATE.fullmatch(text):
        raise _NotPlainError
    if len(text) == _DAY_ALONE:
        return date.fromisoformat(text), None
    written = datetime.fromisoformat(text)
    return written.date(), (written if written.tzinfo else written.replace(tzinfo=UTC)).astimezone(UTC)


def _lines(
    columns: dict[str, list[str]], codes: list[str], days: list[date | None], instants: list[datetime | None]
) -> pa.Table:
    count = len(codes)
    units, scales = zip(*map(_units, columns["amount"], codes), strict=True)
    values: dict[str, Sequence[Any]] = {
        "position": range(1, count + 1), "line": range(1, count + 1), "units": units, "scale": scales,
        "currency": codes, "booking_date": days, "booked_at": instants, "amount_text": columns["amount"],
    }  # fmt: skip
    for key, texts in columns.items():
        if EXTERNAL[key] in _TEXTS:
            values[EXTERNAL[key]] = [None if text in _NOTHING else text for text in texts]
    made = [
        pa.array(values[each.name], each.type) if values.get(each.name) else pa.nulls(count, each.type)
        for each in ROW_SCHEMA
    ]
    return pa.Table.from_arrays(made, schema=ROW_SCHEMA)
