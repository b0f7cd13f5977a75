"""One line and one entry against a rule: pasted, typed, or picked from a preview."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa

from recon.engine import Options, Verdict, explain_pairs
from recon.models import LedgerEntry, StatementLine
from recon.rows import MAX_SCALE, MAX_UNITS, ROW_SCHEMA
from rules.criteria import Rule
from rules.criteria.fields import TEXT_FIELDS
from rules.criteria.problems import ExpectedError
from rules.criteria.values import read_currency, read_moment, read_number

FIELD_NAMES = ("amount", "currency", "date", *TEXT_FIELDS)


@dataclass(frozen=True)
class TypedRow:
    """One row as text by field, and what is wrong with it by field."""

    said: Mapping[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not any(self.said.get(name) for name in FIELD_NAMES if name != "currency")


@dataclass(frozen=True)
class Trial:
    """Both rows, and what each criterion says about them; no verdicts while a row is unfinished."""

    line: TypedRow
    entry: TypedRow
    verdicts: tuple[Verdict, ...] = ()

    @property
    def matches(self) -> bool:
        return bool(self.verdicts) and all(verdict.passed for verdict in self.verdicts)


def try_pair(rule: Rule | None, line: TypedRow, entry: TypedRow, options: Options) -> Trial:
    """What the rule says about the pair; nothing while the rule or a row is unfinished."""
    if rule is None or line.problems or entry.problems or line.is_empty or entry.is_empty:
        return Trial(line, entry)
    told = explain_pairs([rule], _table(line), _table(entry), [([(1, 0)], [(1, 0)])], options)
    return Trial(line, entry, told[0].verdicts)


def typed_row(said: Mapping[str, str]) -> TypedRow:
    """A row from the texts of a form, with what is wrong with it. Without a currency it is in euros."""
    said = {name: said.get(name, "").strip() for name in FIELD_NAMES}
    problems: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, read in (("amount", _amount), ("currency", _currency), ("date", _date)):
        try:
            values |= read(said[name])
        except ExpectedError as error:
            problems[name] = str(error)
    values |= {name: said[name] or None for name in TEXT_FIELDS}
    return TypedRow(said, problems, values)


def row_in_words(row: StatementLine | LedgerEntry) -> TypedRow:
    """A stored row as the form shows it."""
    return typed_row(
        {
            "amount": f"{row.amount:f}",
            "currency": row.currency,
            "date": row.booking_date.isoformat() if row.booking_date else "",
            **{name: getattr(row, name) or "" for name in TEXT_FIELDS},
        }
    )


def _amount(text: str) -> dict[str, Any]:
    number = read_number(text)
    exponent = number.as_tuple().exponent
    scale = max(0, -exponent) if isinstance(exponent, int) else 0
    units = int(number.scaleb(scale))
    if scale > MAX_SCALE or abs(units) > MAX_UNITS:
        raise ExpectedError(f"an amount of at most 18 digits, {MAX_SCALE} of them decimals", text)
    return {"units": units, "scale": scale}


def _currency(text: str) -> dict[str, Any]:
    return {"currency": read_currency(text or "EUR")}


def _date(text: str) -> dict[str, date | None]:
    return {"booking_date": read_moment(text).day if text else None}


def _table(row: TypedRow) -> pa.Table:
    table = pa.Table.from_pylist([{"position": 1, **row.values}], schema=ROW_SCHEMA)
    for name, kind, value in (("id", pa.int64(), 1), ("part", pa.int32(), 0), ("ord", pa.int64(), 1)):
        table = table.append_column(name, pa.array([value], kind))
    return table
