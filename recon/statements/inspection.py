"""A reading in the words of ``inspect_statement``: plain data for one line of JSON, decimals as strings."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recon.rows import amount
from recon.statements import read
from recon.statements.currencies import UNKNOWN
from recon.statements.model import BalanceCheck, Hints, Reading, RowError, Statement, StatementError, Totals

_DAY_OF_FORMAT = {"mt940": "value_date"}
"""The date `first_date` and `last_date` are taken from: the one the format always gives; else the booking date."""


def inspect_file(path: Path, name: str, hints: Hints | None = None) -> tuple[dict[str, Any], bool]:
    """What a file says, as plain data, and whether it could be read at all. ``name`` is repeated as given."""
    try:
        reading = read(path, path.name, hints)
    except StatementError as refusal:
        return {**_nothing(name), "errors": [_error(each) for each in refusal.errors]}, False
    except OSError as problem:
        message = f"The file cannot be opened: {problem.strerror or problem}."
        return not_read(name, message), False
    return describe(name, reading), True


def describe(name: str, reading: Reading) -> dict[str, Any]:
    """One entry per statement and currency; a statement without lines and balances keeps one entry of its own."""
    day = _DAY_OF_FORMAT.get(reading.format, "booking_date")
    return {
        "file": name,
        "format": reading.format,
        "encoding": reading.encoding,
        "statements": [entry for statement in reading.statements for entry in _entries(statement, day)],
        "errors": [_error(each) for each in reading.errors],
        "left_out": sum(len(statement.left_out) for statement in reading.statements),
        "questions": [question.text for question in reading.questions],
    }


def not_read(name: str, message: str) -> dict[str, Any]:
    """What is said of a file that cannot be read as a whole."""
    return {**_nothing(name), "errors": [_error(RowError(None, None, None, "a readable file", message))]}


def _nothing(name: str) -> dict[str, Any]:
    return {"file": name, "format": None, "encoding": None, "statements": []}


def _error(error: RowError) -> dict[str, Any]:
    return {
        "line": error.line,
        "column": error.column,
        "found": error.found,
        "expected": error.expected,
        "message": error.message,
    }


def _entries(statement: Statement, day: str) -> list[dict[str, Any]]:
    checks = {check.currency: check for check in statement.balance_checks()}
    totals = {total.currency: total for total in statement.totals()}
    if not checks:
        return [_entry(statement, None, None, None, statement.lines, day)]
    whole = len(checks) == 1
    return [
        _entry(
            statement,
            currency,
            check,
            totals.get(currency),
            statement.lines if whole else statement.lines.filter(pc.equal(statement.lines["currency"], currency)),
            day,
        )
        for currency, check in checks.items()
    ]


def _entry(
    statement: Statement,
    currency: str | None,
    check: BalanceCheck | None,
    totals: Totals | None,
    lines: pa.Table,
    day: str,
) -> dict[str, Any]:
    first_date, last_date = _span(lines, day)
    booked = _span(lines, "booking_date")
    return {
        "account": statement.account,
        "currency": None if currency == UNKNOWN else currency or statement.currency,
        "number": statement.number,
        "opening": _text(check.opening if check else None),
        "closing": _text(check.closing if check else None),
        "balance_check": check.verdict if check else "unknown",
        "lines": lines.num_rows,
        "credits": _text(totals.credits if totals else Decimal(0)),
        "debits": _text(totals.debits if totals else Decimal(0)),
        "first_date": _day(first_date),
        "last_date": _day(last_date),
        "first_booking_date": _day(booked[0]),
        "last_booking_date": _day(booked[1]),
        "first": _first(lines),
    }


def _span(lines: pa.Table, column: str) -> tuple[date | None, date | None]:
    span = pc.min_max(lines[column]).as_py()
    return span["min"], span["max"]


def _first(lines: pa.Table) -> dict[str, str | None] | None:
    if not lines.num_rows:
        return None
    row = lines.slice(0, 1).to_pylist()[0]
    value = amount(row["units"], row["scale"])
    return {"amount": _text(value), "reference": row["reference"], "description": row["description"]}


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _day(value: date | None) -> str | None:
    return value.isoformat() if value else None


def in_words(found: dict[str, Any]) -> str:
    """What `inspect_file` found, as a few lines for a person."""
    lines = [f"{found['file']}: {found['format'] or 'not read'}"]
    for each in found["statements"]:
        currency = each["currency"] or ""
        lines.append(
            f"  account {each['account'] or 'not named'}: {each['lines']} lines"
            f" from {each['first_date'] or '?'} to {each['last_date'] or '?'},"
            f" in {each['credits']} {currency}, out {each['debits']} {currency}"
        )
        if each["opening"] or each["closing"]:
            lines.append(
                f"    opening {each['opening'] or 'not stated'}, closing {each['closing'] or 'not stated'},"
                f" balance check: {each['balance_check']}"
            )
    lines += [f"  line {each['line'] or '?'}: {each['message']}" for each in found["errors"]]
    lines += [f"  to decide: {text}" for text in found.get("questions", [])]
    return "\n".join(lines)
